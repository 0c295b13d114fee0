"""Which processes are there: each holds a lock in the console's database that ends with its connection.

A claim (`access.claims`) names the presence of whoever made it. When the process dies, the system closes its connection, the
database releases the lock, and what it had claimed is free at once, without waiting for the lease to run out.

A worker's own clock (`access.own_clock`) holds the presence of its main process. Each process that it forks has one of its own,
held while it works: the system may kill one of them alone, and Celery does when it loses the queue. Through a pooler
that shares connections between clients the lock outlives the process: then the lease has to run out, as it would without.
docs/adr/0017-one-clock-and-presences.md says more.
"""

from __future__ import annotations

import secrets

from django.db import connection
from django.db.models import IntegerField
from django.db.models.expressions import RawSQL

#: The first of the two numbers of our advisory locks, so that nobody else's are taken for them.
_NAMESPACE = 0x4C4B4754
_LARGEST = 2**31 - 1

_LOCKS = f"""
SELECT objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND granted AND classid = {_NAMESPACE} AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

#: Two questions without an answer, two seconds apart.
_KEEPALIVES = ", ".join(
    f"set_config('tcp_keepalives_{name}', '{value}', false)"
    for name, value in (("idle", 2), ("interval", 2), ("count", 2))
)

_mine: int | None = None
_is_forked = False


def begin() -> int:
    """A presence for this process; nobody sees it before `hold`."""
    global _mine
    _mine = secrets.randbelow(_LARGEST) + 1
    return _mine


def begin_forked() -> None:
    """The same for a process that a worker has forked, which takes its lock with each piece of work."""
    global _is_forked
    begin()
    _is_forked = True


def hold_while_working() -> None:
    """In a forked process: take the lock on the connection that the work is done with. Raises `django.db.Error`."""
    if _is_forked:
        hold()


def hold() -> None:
    """Take the lock on this thread's connection, unless it is held. Raises `django.db.Error`.

    Called again and again: a connection that broke is another one now, and has lost the lock. A machine that loses its power
    closes no connection; the server is told to look after seconds whether it is still there, not after hours.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT pg_try_advisory_lock({_NAMESPACE}, %s), {_KEEPALIVES} WHERE NOT EXISTS ({_LOCKS} AND objid = %s)",
            [_mine, _mine],
        )


def living() -> RawSQL:
    """For a query: the presences that are held now."""
    return RawSQL(_LOCKS, ())  # noqa: S611 - a constant


def held() -> RawSQL:
    """For an update: this process's own presence, or nothing while it is not held."""
    return RawSQL(f"({_LOCKS} AND objid = %s LIMIT 1)", (_mine or 0,), output_field=IntegerField())  # noqa: S611 - bound
