"""One process at a time changes which password of Lockgate's own account on a server is the present one.

A rotation holds the lock from its beginning to its end; a login that got in with the password of an interrupted rotation
makes it the present one only while no rotation is under way, which would do so itself, or take it back. The lock belongs to
the connection to the console's database: a process that dies leaves none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from access.models import Server
from audit.events import Event
from audit.log import Actor, Subject, record

#: The first of the two numbers of this kind of advisory lock; the other is the server's.
ROTATION_LOCK = 0x20747


@contextmanager
def alone_with_secret_of(server: Server) -> Iterator[bool]:
    """Whether nobody else changes it while the block runs. A process may come in twice."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [ROTATION_LOCK, server.pk])
        is_ours = bool(cursor.fetchone()[0])
        try:
            yield is_ours
        finally:
            if is_ours:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [ROTATION_LOCK, server.pk])


def settle(server: Server, promote: Callable[[], bool]) -> None:
    """Finish an interrupted rotation whose password got in, unless one is under way."""
    with alone_with_secret_of(server) as is_ours:
        if not is_ours or not promote():
            return
        with transaction.atomic():
            record(
                Event.SERVER_SECRET_ROTATED,
                actor=Actor("worker", "login", "login"),
                subject=Subject("server", server.slug, server.name),
                after={
                    "detail": "An interrupted rotation had reached the server: its password got in, and is the only one now."
                },
            )
