"""Whether our own account can do everything on a server, with the remedy for each thing that is missing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from connectors.base import CheckReport, Remedy, Scope, Target, Tls
from connectors.postgresql import replicas
from connectors.postgresql.databases_checked import about_databases
from connectors.postgresql.own_account import about_account, own_account
from connectors.postgresql.session import Sessions

OLDEST_VERSION = 130000

_SERVER = """
SELECT current_setting('server_version'), current_setting('server_version_num')::int, clock_timestamp(),
  pg_is_in_recovery(), coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)
"""


def check(target: Target, sessions: Sessions, scopes: Sequence[Scope] = ()) -> CheckReport:
    """See `Connector.check`."""
    home = sessions.home
    began = time.monotonic()
    home.rows("SELECT 1")
    latency = timedelta(seconds=time.monotonic() - began)
    version, number, server_time, in_recovery, encrypted = home.rows(_SERVER)[0]
    us = own_account(home)
    remedies = _about_server(number, in_recovery=in_recovery)
    if us.is_superuser:
        remedies.append(_SUPERUSER)
    remedies += about_account(home, us, scopes)
    if not encrypted and target.tls is not Tls.DISABLE:
        remedies.append(Remedy("The connection is not encrypted.", "Turn on ssl in postgresql.conf.", blocking=False))
    remedies += about_databases(target, sessions, us, scopes, is_ready=not any(each.blocking for each in remedies))
    following = () if in_recovery else tuple(replicas.seen(sessions))
    return CheckReport(f"PostgreSQL {version}", latency, server_time, tuple(remedies), encrypted, replicas=following)


_SUPERUSER = Remedy(
    "Lockgate's account is a superuser, which is more than it needs.",
    "Make one with the SQL that this page shows, and give Lockgate that one.",
    blocking=False,
)


def _about_server(number: int, *, in_recovery: bool) -> list[Remedy]:
    found = []
    if number < OLDEST_VERSION:
        found.append(Remedy("The server is older than PostgreSQL 13.", "Upgrade it: nothing older is supported."))
    if in_recovery:
        found.append(
            Remedy("The server is a standby: nothing can be changed on it.", "Give the address of the primary.")
        )
    return found
