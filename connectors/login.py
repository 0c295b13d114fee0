"""How Lockgate's own account gets in: with which secret, what is refused beforehand, and what is tried after a refusal.

One loop for every engine. A target may be held longer than its secret lives, so its source is asked at the moment of the
login; and when the server refuses, the source may know of another: a fresh token, or the other one of two passwords
between which a rotation was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Protocol, TypeVar

from connectors.base import Authentication, Target, Tls
from connectors.errors import AdminLoginRefused, NotEncrypted, PasswordNeedsTls, TokenNeedsTls


class Closable(Protocol):
    """A connection."""

    def close(self) -> Any:
        """End it."""
        ...


Opened = TypeVar("Opened", bound=Closable)

#: A fresh reading of the store, then the password of an unfinished rotation. A source that names more is at fault, and
#: accounts get locked by too many wrong passwords.
MOST_OTHERS = 2


def log_in(target: Target, attempt: Callable[[Target], Opened]) -> Opened:
    """What `attempt` gives for the target, with the secret that gets in. Raises `AdminLoginRefused`, `TokenNeedsTls`."""
    checked_for_tokens(target)
    source = target.source
    if source is None:
        return attempt(target)
    secret = source.current()
    for others in range(MOST_OTHERS + 1):
        try:
            opened = attempt(replace(target, password=secret))
        except NotEncrypted:
            # No secret was looked at: another one would fare no better.
            raise
        except AdminLoginRefused:
            other = source.instead_of(secret) if others < MOST_OTHERS else None
            if other is None:
                raise
            secret = other
        else:
            try:
                source.accepted(secret)
            except BaseException:
                # Nobody gets what was opened, so nobody else would close it.
                opened.close()
                raise
            return opened
    raise AssertionError("The last try either returns or raises.")


def verifies(target: Target) -> bool:
    """Whether the server's certificate is checked, so that what goes inside TLS goes to nobody else."""
    return target.tls in (Tls.VERIFY_FULL, Tls.VERIFY_CA)


def checked_for_tokens(target: Target) -> Target:
    """The target as a token may be sent to it. Raises `TokenNeedsTls` before anything is sent.

    A token goes as it is, to whoever is at the other end. With 'require' the certificate is therefore checked all the same.
    """
    if target.authentication is not Authentication.ACCESS_TOKEN:
        return target
    if target.tls is Tls.DISABLE:
        raise TokenNeedsTls
    return replace(target, tls=Tls.VERIFY_FULL) if target.tls is Tls.REQUIRE else target


def require_tls_for_passwords(target: Target) -> None:
    """For engines whose protocol has no proof but the password itself. Raises `PasswordNeedsTls` before anything is sent.

    Without TLS it stays on this machine.
    """
    if target.tls is Tls.DISABLE and not is_here(target.host):
        raise PasswordNeedsTls


def is_here(host: str) -> bool:
    """Whether the host is this machine, which nobody listens to from outside."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
