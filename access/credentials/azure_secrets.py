"""`azure-secret:vault/name`: a secret in Azure Key Vault; `vault` is its name or its address.

Option `identity`: as whom it is read, `managed-identity` (as it is by itself), `workload-identity` or `client-secret`, with
the options that go with each.

The next password of a rotation is a second secret, `<name>-next`, with the version of the first that it is to replace as
a tag. It is never deleted, since a deleted name stays taken for months; once the first has another version, it means nothing
any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from access.credentials.azure import HTTP, MANAGED, OPTIONS, identity, told_of_azure
from access.credentials.base import Credential
from access.credentials.errors import ReferenceNotUnderstood, SecretNotThere
from access.credentials.extras import client_library
from access.credentials.fields import field_of, with_field
from access.credentials.references import Reference
from connectors.base import Secret

_REPLACES = "lockgate-replaces"


class AzureSecret:
    """One secret, or one field of it."""

    is_local = False

    def __init__(self, reference: Reference) -> None:
        self._reference = reference.only("identity", *OPTIONS, key=True)
        vault, _, self._name = reference.place.rpartition("/")
        if not vault or not self._name:
            raise ReferenceNotUnderstood("Write azure-secret:vault/name.")
        self._url = vault if "://" in vault else f"https://{vault}.vault.azure.net"
        if not self._url.startswith("https://"):
            raise ReferenceNotUnderstood("The address of a key vault begins with https://.")
        self._key = reference.key

    def fetch(self) -> Credential:
        """The latest version."""
        with self._connected() as client:
            return Credential(self._field(self._read(client, self._name)))

    def fetch_next(self) -> Secret | None:
        """The latest version of the secret beside it, where it holds another one."""
        with self._connected() as client:
            return self._next(client)

    def keep_next(self, secret: Secret) -> Secret:
        """Write the secret beside it."""
        with self._connected() as client:
            if beside := self._next(client):
                return beside
            replaces = self._read(client, self._name).properties.version
            client.set_secret(self._name_beside, secret.reveal(), tags={_REPLACES: replaces})
        return secret

    def promote(self, secret: Secret) -> None:
        """A new version, which is the latest from then on."""
        with self._connected() as client:
            current = self._read(client, self._name)
            if self._field(current) == secret:
                return
            text = with_field(current.value or "", self._key, secret.reveal())
            kept = {"content_type": current.properties.content_type, "tags": current.properties.tags}
            client.set_secret(self._name, text, **kept)

    @property
    def _name_beside(self) -> str:
        # Names of key vaults take letters, digits and dashes.
        return re.sub(r"[^0-9A-Za-z]+", "-", f"{self._name}-{self._key}-next" if self._key else f"{self._name}-next")

    def _next(self, client: Any) -> Secret | None:
        exceptions = client_library("azure.core.exceptions", extra="azure")
        try:
            beside = self._read(client, self._name_beside)
        except exceptions.ResourceNotFoundError:
            return None
        replaces = (beside.properties.tags or {}).get(_REPLACES)
        is_for_this = replaces == self._read(client, self._name).properties.version
        return Secret(beside.value) if beside.value and is_for_this else None

    def _read(self, client: Any, name: str) -> Any:
        return client.get_secret(name)

    def _field(self, found: Any) -> Secret:
        if not found.value:
            raise SecretNotThere(f"{self._name!r} is empty.")
        return Secret(field_of(found.value, self._key))

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        client_class = client_library("azure.keyvault.secrets", extra="azure").SecretClient
        kind = self._reference.options.get("identity", MANAGED)
        with (
            told_of_azure(f"{self._url}/secrets/{self._name}"),
            identity(kind, self._reference) as credential,
            client_class(self._url, credential, **HTTP) as client,
        ):
            yield client
