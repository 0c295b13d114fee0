"""Where the passwords of Lockgate's own accounts come from: references, resolved at the last moment, kept nowhere."""

from __future__ import annotations

import os
from pathlib import Path

from access.errors import SecretUnavailable
from connectors.base import Secret


def resolve(reference: str) -> Secret:
    """The secret that `env:NAME` or `file:PATH` names; raises `SecretUnavailable`.

    A trailing line end of a file is not part of the secret.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "env" and rest:
        return _from_environment(rest)
    if scheme == "file" and rest:
        return _from_file(Path(rest))
    raise SecretUnavailable("Write it as env:NAME or file:PATH.")


def _from_environment(name: str) -> Secret:
    value = os.environ.get(name, "")
    if not value:
        raise SecretUnavailable(f"The environment variable {name} is empty or not set.")
    return Secret(value)


def _from_file(path: Path) -> Secret:
    try:
        value = path.read_text().rstrip("\r\n")
    except OSError as error:
        raise SecretUnavailable(f"The file {path} cannot be read: {error.strerror}.") from error
    if not value:
        raise SecretUnavailable(f"The file {path} is empty.")
    return Secret(value)
