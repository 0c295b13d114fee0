"""Where Lockgate's own accounts get their secrets from: references, resolved at the last moment.

A server keeps a reference, never a secret. Its scheme says who is asked: a store that holds a password, or an identity
provider that gives out short-lived tokens. `docs/credentials.md` shows each.

    resolve ── cache ── registry ─┬─ environment, files, vault, aws_secrets, azure_secrets      passwords
                                  └─ azure_identity, aws_iam                                    access tokens
    source     what a connector asks when it logs in, and when the login is refused
"""

from __future__ import annotations

from access.credentials.base import Account, Credential
from access.credentials.registry import can_be_written, gives_tokens, open_store, writable_store
from access.credentials.resolving import resolve
from access.credentials.source import ServerSource

__all__ = [
    "Account",
    "Credential",
    "ServerSource",
    "can_be_written",
    "gives_tokens",
    "open_store",
    "resolve",
    "writable_store",
]
