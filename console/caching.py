"""The cache: in Redis, and in the console's own database while Redis is away.

What is counted there (wrong passwords, codes that were used, tokens that were guessed) is what keeps people out. So nothing
fails open when Redis does, and nobody is locked out either: the counts go on, a little slower, shared by all processes as
before. They begin at nothing when the place changes, so that at worst a limit is reached twice.
"""

from __future__ import annotations

import time
from typing import Any

import structlog
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.redis import RedisCache
from redis import RedisError

from access.queueing import IMPATIENT

log = structlog.get_logger(__name__)

TABLE = "access_cache"

#: Seconds during which Redis is not asked again when it did not answer.
_PAUSE = 3.0


class SteadyCache(RedisCache):
    """Django's cache in Redis, with the table of its cache in the database behind it."""

    #: Of the process: each of its threads has a cache of its own.
    _away_until = 0.0

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, {**params, "OPTIONS": {**IMPATIENT, **params.get("OPTIONS", {})}})
        self._behind = DatabaseCache(TABLE, {key: value for key, value in params.items() if key != "OPTIONS"})

    def _asked(self, verb: str, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= SteadyCache._away_until:
            try:
                return getattr(super(), verb)(*args, **kwargs)
            except RedisError as error:
                SteadyCache._away_until = time.monotonic() + _PAUSE
                log.warning("cache.unreachable", error=str(error))
        self._behind.key_prefix = self.key_prefix
        return getattr(self._behind, verb)(*args, **kwargs)

    def add(self, *args: Any, **kwargs: Any) -> Any:
        """See `BaseCache`."""
        return self._asked("add", *args, **kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """See `BaseCache`."""
        return self._asked("get", *args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        """See `BaseCache`."""
        return self._asked("set", *args, **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> Any:
        """See `BaseCache`."""
        return self._asked("touch", *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """See `BaseCache`."""
        return self._asked("delete", *args, **kwargs)

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        """See `BaseCache`."""
        return self._asked("get_many", *args, **kwargs)

    def has_key(self, *args: Any, **kwargs: Any) -> Any:
        """See `BaseCache`."""
        return self._asked("has_key", *args, **kwargs)

    def incr(self, *args: Any, **kwargs: Any) -> Any:
        """See `BaseCache`."""
        return self._asked("incr", *args, **kwargs)

    def set_many(self, *args: Any, **kwargs: Any) -> Any:
        """See `BaseCache`."""
        return self._asked("set_many", *args, **kwargs)

    def delete_many(self, *args: Any, **kwargs: Any) -> Any:
        """See `BaseCache`."""
        return self._asked("delete_many", *args, **kwargs)

    def clear(self) -> Any:
        """See `BaseCache`."""
        return self._asked("clear")
