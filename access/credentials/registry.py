"""Which scheme is answered by whom. The only place that knows them all; a client is imported when first used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from access.credentials.base import Account, Store, WritableStore
from access.credentials.errors import ReferenceNotUnderstood, StoreNotWritable
from access.credentials.references import Reference, parse

#: Scheme → (module, class) of stores, which hold a password.
_STORES = {
    "env": ("access.credentials.environment", "EnvironmentSecret"),
    "file": ("access.credentials.files", "FileSecret"),
    "vault": ("access.credentials.vault", "VaultSecret"),
    "aws-secret": ("access.credentials.aws_secrets", "AwsSecret"),
    "azure-secret": ("access.credentials.azure_secrets", "AzureSecret"),
}
#: The same of identities, which give tokens.
_IDENTITIES = {
    "azure": ("access.credentials.azure_identity", "AzureIdentity"),
    "aws-iam": ("access.credentials.aws_iam", "AwsIam"),
}


def open_store(reference: str, account: Account) -> Store:
    """Who answers the reference. Raises a `SecretUnavailable`."""
    parsed = parse(reference)
    if parsed.scheme in _IDENTITIES:
        of_identity: Callable[[Reference, Account], Store] = _loaded(*_IDENTITIES[parsed.scheme])
        return of_identity(parsed, account)
    return open_password_store(reference)


def open_password_store(reference: str) -> Store:
    """The same for references to passwords alone. Raises a `SecretUnavailable`."""
    parsed = parse(reference)
    if parsed.scheme not in _STORES:
        known = ", ".join(f"{scheme}:" for scheme in (*_STORES, *_IDENTITIES))
        raise ReferenceNotUnderstood(f"{parsed.scheme}: is none of {known}.")
    of_store: Callable[[Reference], Store] = _loaded(*_STORES[parsed.scheme])
    return of_store(parsed)


def gives_tokens(reference: str) -> bool:
    """Whether the reference names an identity, whose tokens need TLS. Asks nobody, and a mistake in it is no matter."""
    return reference.strip().partition(":")[0] in _IDENTITIES


def can_be_written(reference: str) -> bool:
    """Whether a rotation is possible with a reference of this scheme. Asks nobody."""
    scheme = reference.strip().partition(":")[0]
    return scheme in _STORES and hasattr(_loaded(*_STORES[scheme]), "keep_next")


def writable_store(reference: str, account: Account) -> WritableStore:
    """The store, for a rotation. Raises `StoreNotWritable` for what can only be read."""
    store = open_store(reference, account)
    if not isinstance(store, WritableStore):
        scheme = parse(reference).scheme
        why = (
            "An identity has no password: its tokens run out by themselves."
            if scheme in _IDENTITIES
            else f"What {scheme}: names can be read only."
        )
        raise StoreNotWritable(why)
    return store


def _loaded(module: str, name: str) -> Callable[..., Store]:
    made: Callable[..., Store] = getattr(import_module(module), name)
    return made
