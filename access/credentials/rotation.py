"""Giving Lockgate's own account a new password, so that wherever this stops, one of two passwords gets in.

    1  the current secret is proved by a login            the store: current          the server: current
    2  the next one is kept beside it                     the store: current, next    the server: current
    3  the server takes the next one                      the store: current, next    the server: next
    4  it is proved by a login of its own
    5  it becomes the current one                         the store: next             the server: next

From 2 to 5 both are in the store, and a login that is refused with the current one is tried with the next
(`access.credentials.source`), which also finishes what was interrupted. The next one is never replaced by another: two who
rotate at once, or one after another's crash, go on with the same.
"""

from __future__ import annotations

from collections.abc import Callable

from access.credentials.base import WritableStore
from access.errors import Unavailable
from connectors.base import Connector, Journal, Secret
from connectors.errors import AdminLoginRefused


class RotationNotProved(Unavailable):
    """The new password was set, but a login with it failed, so the old one was set again. Look at the server's log."""


def rotate(*, connector: Connector, store: WritableStore, make: Callable[[], Secret], journal: Journal) -> None:
    """Rotate once; calling it again after a crash finishes what was begun.

    `connector` logs in through the source of the same store. Raises `RotationNotProved`, a `SecretUnavailable` or a
    `ConnectorError`; after each of them one of the two passwords gets in.
    """
    # Whatever the store and the server disagreed about is settled by this login.
    connector.signs_of_life()
    current = store.fetch().secret
    following = store.keep_next(make())
    connector.change_own_password(following, journal)
    try:
        connector.prove_own_login(following)
    except AdminLoginRefused as error:
        # The session that changed it is still in, whatever the password is.
        connector.change_own_password(current, journal)
        connector.prove_own_login(current)
        raise RotationNotProved(str(error)) from error
    store.promote(following)
