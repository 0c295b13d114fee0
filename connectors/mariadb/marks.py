"""What an account of ours is known by when somebody has renamed it.

MariaDB keeps no number of an account. What RENAME USER leaves as it is, and what the account itself cannot change, are the
limits it was made with: so two that nobody reaches, how many statements and how many changes in an hour, hold a digest of
the name that Lockgate gave it. Both are beyond two thousand million.
"""

from __future__ import annotations

import hashlib

#: The least that is a mark and no limit of somebody's.
BEYOND = 1 << 31


def marks_of(principal: str) -> tuple[int, int]:
    """The two numbers that go with a name of ours."""
    digest = hashlib.sha256(principal.encode()).digest()
    return _mark(digest[:4]), _mark(digest[4:8])


def _mark(part: bytes) -> int:
    return BEYOND + int.from_bytes(part, "big") % BEYOND


def identifier_of(principal: str) -> str:
    """The same as one text."""
    return "{}.{}".format(*marks_of(principal))
