"""Servers that follow the one under management and let people read: who they are, and the end of sessions there.

An account and its end come to a standby with everything else; a session there is none of the primary's. Lockgate ends it
where it was given the standby's address: a primary knows from where a standby connects, and not where it listens.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from connectors.base import Finding, Journal, Replica
from connectors.errors import ConnectorError
from connectors.postgresql import statements
from connectors.postgresql.session import Session, Sessions

#: Whoever reads the whole log of the server and is no database's subscriber, and not a copy that is being made. Without
#: pg_read_all_stats only the name of each is told.
_FOLLOWING = """
SELECT coalesce(nullif(r.application_name, ''), 'a standby'), coalesce(host(r.client_addr), ''),
  coalesce(r.state, '')
FROM pg_stat_replication r JOIN pg_stat_activity a ON a.pid = r.pid
WHERE a.datid IS NULL AND r.application_name NOT IN ('pg_basebackup', 'pg_receivewal') ORDER BY 1, 2
"""
#: A place that is kept for a standby that is away.
_AWAY = """
SELECT slot_name::text FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT active AND NOT temporary ORDER BY 1
"""

_WHERE_THE_LOG_IS = "SELECT pg_current_wal_flush_lsn()::text"

_STANDBY = "SELECT pg_is_in_recovery(), (SELECT system_identifier FROM pg_control_system())"
_ITSELF = "SELECT system_identifier FROM pg_control_system()"
_REPLAYED = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"

_LEFT_THERE = """SELECT format('process %s in %s', a.pid, a.datname) FROM pg_stat_activity a
WHERE a.usesysid IN ({oids}) OR a.usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.usesysid)"""
_KNOWN_THERE = "SELECT rolname FROM pg_roles WHERE oid IN ({oids})"

#: How long a standby may take to do what the primary has done.
_PATIENCE_SECONDS = 4.0
_PAUSE = 0.02


@dataclass(slots=True)
class Followers:
    """What was done on the servers that follow, and what was not."""

    findings: list[Finding] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    ended: int = 0
    reached: int = 0
    unseen: list[str] = field(default_factory=list)

    @property
    def not_seen(self) -> tuple[str, ...]:
        """For the receipt."""
        return tuple(self.unseen)


def seen(sessions: Sessions) -> list[Replica]:
    """Who follows the server, for its page."""
    home = sessions.home
    reached = {}
    for host, port in sessions.target.replicas:
        try:
            with _standby(sessions, host, port):
                reached[host, port] = ""
        except ConnectorError as error:
            reached[host, port] = str(error)
    following = home.rows(_FOLLOWING)
    found = [
        Replica(f"{host}:{port}", host, problem or "reached by Lockgate", is_reached=not problem)
        for (host, port), problem in reached.items()
    ]
    strangers = len(following) - sum(not problem for problem in reached.values())
    if strangers > 0:
        known = {host for host, _ in reached}
        others = sorted(following, key=lambda row: row[1] in known)[:strangers]
        found += [Replica(name, address, state) for name, address, state in others]
    return found + [Replica(slot, "", "away; a slot is kept for it") for (slot,) in home.rows(_AWAY)]


def end_sessions(sessions: Sessions, oids: Sequence[int], journal: Journal) -> Followers:
    """End the sessions of ended accounts on every standby whose address is known, and say which ones are not."""
    told = Followers()
    try:
        log = sessions.home.rows(_WHERE_THE_LOG_IS)[0][0]
        following = sessions.home.rows(_FOLLOWING)
        away = sessions.home.rows(_AWAY)
    except ConnectorError as error:
        if sessions.home.is_broken:
            raise
        told.unseen.append(f"Whether any server follows this one could not be read: {error.detail}")
        return told
    for host, port in sessions.target.replicas:
        try:
            with _standby(sessions, host, port) as standby:
                _end_on(standby, f"{host}:{port}", oids, log, journal, told)
            told.reached += 1
        except ConnectorError as error:
            told.unseen.append(f"Sessions on the standby {host}:{port} were neither seen nor ended: {error}")
    if (strangers := len(following) - told.reached) > 0:
        names = ", ".join(sorted({f"{name} {address}".strip() for name, address, _ in following}))
        told.unseen.append(
            f"{strangers} of {len(following)} servers that follow this one ({names}) have no address that Lockgate knows:"
            " sessions there were neither seen nor ended. Name their addresses under Change on the server's page."
        )
    told.unseen += [
        f"The standby of the slot {slot} is away: sessions there were neither seen nor ended." for (slot,) in away
    ]
    return told


@contextmanager
def _standby(sessions: Sessions, host: str, port: int) -> Iterator[Session]:
    """The session on a standby, closed afterwards. Raises `ConnectorError` where it is no standby of this server."""
    there = Sessions(replace(sessions.target, host=host, port=port, replicas=()))
    try:
        standby = there.home
        in_recovery, identifier = standby.rows(_STANDBY)[0]
        if sessions.home.rows(_ITSELF) != [(identifier,)]:
            raise ConnectorError("It is no copy of this server.")
        if not in_recovery:
            raise ConnectorError("It follows no server any more.")
        yield standby
    finally:
        there.close()


def _end_on(standby: Session, address: str, oids: Sequence[int], log: str, journal: Journal, told: Followers) -> None:
    """Once it has replayed the end of the account, nobody gets in there any more; what is in is ended."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    listed = ", ".join(str(oid) for oid in oids) or "0"
    ending = statements.end_everywhere(listed, f"{standby.database} on {address}")
    left = _LEFT_THERE.format(oids=listed)
    ended: set[int] = set()
    while True:
        replayed = standby.rows(_REPLAYED, [log]) == [(True,)]
        there = standby.rows(left)
        if there:
            ended |= {pid for pid, _ in standby.run(ending, journal)}
        elif replayed:
            break
        if time.monotonic() > deadline:
            break
        time.sleep(_PAUSE)
    told.ended += len(ended)
    sql = _KNOWN_THERE.format(oids=listed)
    told.findings += [
        Finding(f"sessions of the account on the standby {address}", left, tuple(row[0] for row in standby.rows(left))),
        Finding(f"the account on the standby {address}", sql, tuple(row[0] for row in standby.rows(sql))),
    ]
