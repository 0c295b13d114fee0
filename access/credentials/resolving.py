"""From a reference to what an account logs in with now."""

from __future__ import annotations

from access.credentials.base import Account, Credential
from access.credentials.cache import CACHE
from access.credentials.registry import open_store


def resolve(reference: str, account: Account) -> Credential:
    """What the reference names, for this account. Raises a `SecretUnavailable`."""
    store = open_store(reference, account)
    return store.fetch() if store.is_local else CACHE.get((reference, account), store.fetch)
