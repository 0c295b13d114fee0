"""Keeping secrets out of everything that is shown, kept or logged.

A statement that carries a secret is composed twice, once for the server and once with `MASK`: nothing has to be found
and cut out of it. `scrub` is for the words of others: a server's error message may quote the statement it refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from connectors.base import Secret

#: What stands where a secret was.
MASK = "********"

#: Stands in printed SQL where somebody has to put a password of his own choice, on engines that make no account without
#: one. No server takes it: pasted as it is, the statement fails, and no account with a password that everybody knows is
#: made.
PASSWORD_TO_CHOOSE = "<your password in quotes>"  # noqa: S105 - it is none

#: What stands for a password in SQL: PostgreSQL's verifiers, MariaDB's hashes, SQL Server's.
_VERIFIERS = re.compile(
    r"SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+(?:\$[A-Za-z0-9+/=:]*)?"
    r"|\bmd5[0-9a-f]{32}\b"
    r"|\*[0-9A-F]{40}\b"
    r"|\b0x0[1-3]00[0-9A-Fa-f]{48,}\b"
)


def scrub(text: str, secrets: Iterable[Secret] = ()) -> str:
    """The text with each of the secrets, and every password verifier, replaced by `MASK`."""
    for secret in secrets:
        for form in _forms(secret.reveal()):
            text = text.replace(form, MASK)
    return _VERIFIERS.sub(MASK, text)


def digest_of(statement: str) -> str:
    """What an audit trail keeps of a statement that carries a verifier: enough to find it in the server's own log."""
    return hashlib.sha256(statement.encode()).hexdigest()


def _forms(secret: str) -> list[str]:
    """A secret as it is, and as it looks inside a quoted text; the longest first, so that none leaves a remainder."""
    if not secret:
        return []
    doubled = secret.replace("'", "''")
    forms = {secret, doubled, doubled.replace("\\", "\\\\"), secret.replace("\\", "\\\\")}
    return sorted(forms, key=len, reverse=True)
