"""`vault:mount/path#key`: a field of a secret in HashiCorp Vault's key-value engine, version 1 or 2.

Where Vault is and who we are stands in Vault's own variables, as its command line reads them: VAULT_ADDR, VAULT_TOKEN or
VAULT_TOKEN_FILE, VAULT_NAMESPACE, VAULT_CACERT. The token's file is read each time, since an agent renews it.

The next password of a rotation is the field `<key>_next` of the same secret. With version 2 each writing says which version
it goes out from, so that two never overwrite each other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from access.credentials.base import Credential
from access.credentials.errors import (
    ReferenceNotUnderstood,
    SecretNotThere,
    StoreNotConfigured,
    StoreRefused,
    StoreUnreachable,
)
from access.credentials.extras import client_library
from access.credentials.references import Reference
from connectors.base import Secret

_TIMEOUT_SECONDS = 5
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: How often a writing is tried that another one came before.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class _Place:
    mount: str
    path: str
    version: str


class _Overtaken(Exception):
    """Somebody else has written the secret since we read it."""


class VaultSecret:
    """One field of one secret."""

    is_local = False

    def __init__(self, reference: Reference) -> None:
        self._reference = reference.only("kv", "mount", key=True)
        self._key = reference.key or "password"
        if reference.options.get("kv", "1") not in ("1", "2"):
            raise ReferenceNotUnderstood("kv is 1 or 2, the version of the key-value engine.")
        if "/" not in reference.place.strip("/"):
            raise ReferenceNotUnderstood("Write vault:mount/path#key.")

    def fetch(self) -> Credential:
        """The field now."""
        with self._connected() as (client, place):
            data, _ = self._read(client, place)
        return Credential(Secret(self._field(data)))

    def fetch_next(self) -> Secret | None:
        """The field beside it."""
        with self._connected() as (client, place):
            data, _ = self._read(client, place)
        return self._next_in(data)

    def keep_next(self, secret: Secret) -> Secret:
        """Add the field, where there is none."""

        def added(data: dict[str, Any]) -> dict[str, Any]:
            return data if self._next_in(data) else {**data, self._next_key: secret.reveal()}

        return self._next_in(self._changed(added)) or secret

    def promote(self, secret: Secret) -> None:
        """Both fields in one writing."""

        def promoted(data: dict[str, Any]) -> dict[str, Any]:
            others = {name: value for name, value in data.items() if name != self._next_key}
            return {**others, self._key: secret.reveal()}

        self._changed(promoted)

    @property
    def _next_key(self) -> str:
        return f"{self._key}_next"

    def _field(self, data: dict[str, Any]) -> str:
        value = data.get(self._key)
        if not isinstance(value, str) or not value:
            raise SecretNotThere(f"The secret at {self._reference.place} has no field {self._key!r} with text in it.")
        return value

    def _next_in(self, data: dict[str, Any]) -> Secret | None:
        value = data.get(self._next_key)
        return Secret(value) if isinstance(value, str) and value and value != data.get(self._key) else None

    def _changed(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """What the secret holds after the change, made to what it holds now."""
        with self._connected() as (client, place):
            for _ in range(_TRIES):
                data, revision = self._read(client, place)
                wanted = change(data)
                if wanted == data:
                    return data
                try:
                    self._write(client, place, wanted, revision)
                except _Overtaken:
                    continue
                return wanted
        raise StoreUnreachable("Others keep writing the same secret.")

    def _read(self, client: Any, place: _Place) -> tuple[dict[str, Any], int]:
        """The fields, and the version they are of; 0 without versions."""
        if place.version == "1":
            answer = client.secrets.kv.v1.read_secret(path=place.path, mount_point=place.mount)
            return dict(answer["data"]), 0
        answer = client.secrets.kv.v2.read_secret_version(
            path=place.path, mount_point=place.mount, raise_on_deleted_version=True
        )
        return dict(answer["data"]["data"]), int(answer["data"]["metadata"]["version"])

    def _write(self, client: Any, place: _Place, data: dict[str, Any], revision: int) -> None:
        if place.version == "1":
            client.secrets.kv.v1.create_or_update_secret(path=place.path, secret=data, mount_point=place.mount)
            return
        exceptions = client_library("hvac.exceptions", extra="vault")
        try:
            client.secrets.kv.v2.create_or_update_secret(
                path=place.path, secret=data, cas=revision, mount_point=place.mount
            )
        except exceptions.InvalidRequest as error:
            _, now_at = self._read(client, place)
            if now_at != revision:
                raise _Overtaken from error
            raise

    @contextmanager
    def _connected(self) -> Iterator[tuple[Any, _Place]]:
        hvac = client_library("hvac", extra="vault")
        client = hvac.Client(
            url=_address(),
            token=_token(),
            namespace=os.environ.get("VAULT_NAMESPACE") or None,
            verify=os.environ.get("VAULT_CACERT") or True,
            timeout=_TIMEOUT_SECONDS,
        )
        try:
            with _told(self._reference.place):
                yield client, self._place(client)
        finally:
            client.adapter.close()

    def _place(self, client: Any) -> _Place:
        """Mount, path in it and version: as the reference says, or as Vault does, like its command line."""
        whole = self._reference.place.strip("/")
        mount = self._reference.options.get("mount", "").strip("/")
        version = self._reference.options.get("kv", "")
        if not version:
            told = client.adapter.get(f"/v1/sys/internal/ui/mounts/{whole}")["data"]
            mount = mount or str(told["path"]).strip("/")
            version = str((told.get("options") or {}).get("version", "1"))
        mount = mount or whole.partition("/")[0]
        if not whole.startswith(f"{mount}/"):
            raise ReferenceNotUnderstood(f"{whole} does not lie below the mount {mount}.")
        return _Place(mount, whole.removeprefix(f"{mount}/"), version)


def _address() -> str:
    address = os.environ.get("VAULT_ADDR", "")
    if not address:
        raise StoreNotConfigured("VAULT_ADDR is not set.")
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise StoreNotConfigured("VAULT_ADDR has to begin with https://, unless Vault's agent runs on this machine.")
    return address


def _token() -> str:
    path = os.environ.get("VAULT_TOKEN_FILE", "")
    if path and os.environ.get("VAULT_TOKEN"):
        raise StoreNotConfigured("VAULT_TOKEN and VAULT_TOKEN_FILE are both set.")
    try:
        token = Path(path).read_text().strip() if path else os.environ.get("VAULT_TOKEN", "")
    except OSError as error:
        raise StoreNotConfigured(f"VAULT_TOKEN_FILE {path} cannot be read: {error.strerror}.") from error
    if not token:
        raise StoreNotConfigured("VAULT_TOKEN or VAULT_TOKEN_FILE is not set.")
    return token


@contextmanager
def _told(place: str) -> Iterator[None]:
    """Errors of the client as ours. What Vault answers is not shown: it may quote what was sent."""
    exceptions = client_library("hvac.exceptions", extra="vault")
    requests = client_library("requests", extra="vault")
    try:
        yield
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        raise StoreRefused(f"Vault does not allow it on {place}, or does not know the token.") from error
    except exceptions.InvalidPath as error:
        raise SecretNotThere(f"Vault has nothing at {place}.") from error
    except exceptions.InvalidRequest as error:
        raise StoreRefused(f"Vault does not take the request for {place}.") from error
    except exceptions.VaultError as error:
        raise StoreUnreachable(f"Vault answers with an error ({type(error).__name__}): it may be sealed.") from error
    except requests.exceptions.SSLError as error:
        raise StoreUnreachable(
            "Vault's certificate is not trusted: set VAULT_CACERT to its authority's file."
        ) from error
    except requests.exceptions.RequestException as error:
        raise StoreUnreachable(f"Vault ({type(error).__name__}).") from error
