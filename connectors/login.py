"""How Lockgate's own account gets in: with which secret, what is refused beforehand, and what is tried after a refusal.

One loop for every engine. A target may be held longer than its secret lives, so its source is asked at the moment of the
login; and when the server refuses, the source may know of another: a fresh token, or the other one of two passwords
between which a rotation was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from connectors.base import Authentication, Target, Tls
from connectors.errors import AdminLoginRefused, TokenNeedsTls

Opened = TypeVar("Opened")

#: A fresh reading of the store, then the password of an unfinished rotation. A source that names more is at fault, and
#: accounts get locked by too many wrong passwords.
MOST_OTHERS = 2


def log_in(target: Target, attempt: Callable[[Target], Opened]) -> Opened:
    """What `attempt` gives for the target, with the secret that gets in. Raises `AdminLoginRefused`, `TokenNeedsTls`."""
    require_tls_for_tokens(target)
    source = target.source
    if source is None:
        return attempt(target)
    secret = source.current()
    for others in range(MOST_OTHERS + 1):
        try:
            opened = attempt(replace(target, password=secret))
        except AdminLoginRefused:
            other = source.instead_of(secret) if others < MOST_OTHERS else None
            if other is None:
                raise
            secret = other
        else:
            source.accepted(secret)
            return opened
    raise AssertionError("The last try either returns or raises.")


def require_tls_for_tokens(target: Target) -> None:
    """Raises `TokenNeedsTls` before anything is sent."""
    if target.authentication is Authentication.ACCESS_TOKEN and target.tls is Tls.DISABLE:
        raise TokenNeedsTls
