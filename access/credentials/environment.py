"""`env:NAME`: a password in the environment of web and workers."""

from __future__ import annotations

import os

from access.credentials.base import Credential
from access.credentials.errors import SecretNotThere
from access.credentials.references import Reference
from connectors.base import Secret


class EnvironmentSecret:
    """Read each time; it cannot be written for the other processes."""

    is_local = True

    def __init__(self, reference: Reference) -> None:
        self._name = reference.place

    def fetch(self) -> Credential:
        """The variable's value."""
        value = os.environ.get(self._name, "")
        if not value:
            raise SecretNotThere(f"The environment variable {self._name} is empty or not set.")
        return Credential(Secret(value))
