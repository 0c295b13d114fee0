"""Whether the connection that a web thread kept from its last request is still one, told without asking the server."""

from __future__ import annotations

import select
from typing import Any

from django.db import connection


def look_at_the_kept_one(**details: Any) -> None:
    """At the beginning of a request: one on which something can be read is over, since a server that nobody asks is silent.

    Django's own check (`CONN_HEALTH_CHECKS`) asks a question, at each page and each poll; workers have it. One that vanished
    without a word neither tells apart: `tcp_user_timeout` bounds both.
    """
    kept = connection.connection
    if kept is None or kept.closed or connection.in_atomic_block:
        return
    watched = select.poll()
    watched.register(kept, select.POLLIN)
    if watched.poll(0):
        connection.close()
    else:
        connection.health_check_done = True  # type: ignore[attr-defined]
