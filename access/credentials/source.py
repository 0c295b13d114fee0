"""What a connector asks when it opens a connection, and when the server refuses the login."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from access.credentials.base import Account, WritableStore
from access.credentials.cache import CACHE
from access.credentials.registry import open_store, writable_store
from access.credentials.resolving import resolve
from access.errors import SecretUnavailable
from connectors.base import Secret

log = structlog.get_logger(__name__)


class ServerSource:
    """The secrets of one account, for one connector. See `connectors.base.SecretSource`.

    After a refusal the store is asked anew, once: a token may have been withdrawn, a password rotated by another
    process. If that is refused too, the next password of an interrupted rotation is tried; where it gets in, the rotation
    had reached the server, and is finished here.
    """

    def __init__(self, reference: str, account: Account, *, on_settled: Callable[[], None]) -> None:
        """`on_settled` is called after an interrupted rotation was finished."""
        self._reference = reference
        self._account = account
        self._on_settled = on_settled
        self._was_read_again = False
        self._next: Secret | None = None

    def current(self) -> Secret:
        """See `SecretSource.current`."""
        self._was_read_again = False
        self._next = None
        return resolve(self._reference, self._account).secret

    def instead_of(self, refused: Secret) -> Secret | None:
        """See `SecretSource.instead_of`."""
        try:
            return self._read_again(refused) or self._of_unfinished_rotation(refused)
        except SecretUnavailable as error:
            # What the caller has to be told is that the login was refused; this says why there was no second try.
            log.warning("credential.no_other", error=str(error))
            return None

    def accepted(self, secret: Secret) -> None:
        """See `SecretSource.accepted`."""
        if self._next is None or secret != self._next:
            return
        try:
            writable_store(self._reference, self._account).promote(secret)
        except SecretUnavailable as error:
            # We are in, and shall be the same way next time.
            log.warning("credential.not_promoted", error=str(error))
            return
        CACHE.forget((self._reference, self._account))
        self._on_settled()

    def _read_again(self, refused: Secret) -> Secret | None:
        if self._was_read_again:
            return None
        self._was_read_again = True
        if not CACHE.drop((self._reference, self._account), refused):
            return None
        fresh = resolve(self._reference, self._account).secret
        return fresh if fresh != refused else None

    def _of_unfinished_rotation(self, refused: Secret) -> Secret | None:
        store = open_store(self._reference, self._account)
        if self._next is not None or not isinstance(store, WritableStore):
            return None
        self._next = store.fetch_next()
        if self._next is None:
            # Another process may have finished its rotation since the store was read.
            fresh = store.fetch().secret
            return fresh if fresh != refused else None
        return self._next if self._next != refused else None
