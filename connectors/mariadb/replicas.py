"""Servers that follow the one under management and let people read: who they are, and the end of sessions there.

An account and its end come to a replica with everything else; a session there is none of the primary's, and the switch that
would have ended it is off there (`SLAVESIDE_DISABLED`). Lockgate ends it where it was given the replica's address: a primary
knows from where a replica connects, and not where it listens.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from connectors.base import Finding, Journal, Replica, Target
from connectors.errors import ConnectorError
from connectors.mariadb import ending, known_by, names
from connectors.mariadb.session import Session
from connectors.quoting import mariadb_text

#: Who reads the binary log: replicas, and tools that pass for one.
_FOLLOWING = """
    SELECT user, SUBSTRING_INDEX(host, ':', 1), COALESCE(state, '') FROM information_schema.processlist
    WHERE command LIKE 'Binlog Dump%' ORDER BY 1, 2
"""
_ITSELF = "SELECT @@hostname, @@port, @@server_id, @@datadir"
_THERE = "SELECT CONCAT(User, '@', Host) FROM mysql.global_priv WHERE User = %s AND Host <> ''"
#: How long a replica may take to do what the primary has done.
_PATIENCE_SECONDS = 4.0
_PAUSE = 0.05


@dataclass(slots=True)
class Followers:
    """What was done on the servers that follow, and what was not."""

    findings: list[Finding] = field(default_factory=list)
    ended: int = 0
    reached: int = 0
    unseen: list[str] = field(default_factory=list)


def seen(target: Target, session: Session) -> tuple[Replica, ...]:
    """Who follows the server, for its page."""
    found, reached = [], 0
    for host, port in target.replicas:
        problem = ""
        try:
            with _replica(target, session, host, port):
                reached += 1
        except ConnectorError as error:
            problem = str(error)
        found.append(Replica(f"{host}:{port}", host, problem or "reached by Lockgate", is_reached=not problem))
    known = {host for host, _ in target.replicas}
    following = sorted(session.rows(_FOLLOWING), key=lambda row: row[1] in known)
    strangers = following[: max(0, len(following) - reached)]
    return (*found, *(Replica(user, address, state) for user, address, state in strangers))


def end_sessions(target: Target, session: Session, known: list[str], journal: Journal) -> Followers:
    """End the sessions of an ended account on every replica whose address is known, and say which ones are not."""
    told = Followers()
    for host, port in target.replicas:
        try:
            with _replica(target, session, host, port) as there:
                for name in known:
                    _end_on(there, f"{host}:{port}", name, journal, told)
            told.reached += 1
        except ConnectorError as error:
            told.unseen.append(f"Sessions on the replica {host}:{port} were neither seen nor ended: {error}")
    following = session.rows(_FOLLOWING)
    if (strangers := len(following) - told.reached) > 0:
        who = ", ".join(sorted({f"{user} from {address}" for user, address, _ in following}))
        told.unseen.append(
            f"{strangers} of {len(following)} servers that follow this one ({who}) have no address that Lockgate knows:"
            " sessions there were neither seen nor ended. Name their addresses under Change on the server's page."
        )
    return told


@contextmanager
def _replica(target: Target, primary: Session, host: str, port: int) -> Iterator[Session]:
    there = Session(replace(target, host=host, port=port, replicas=()))
    there.spoil()
    try:
        if there.rows(_ITSELF) == primary.rows(_ITSELF):
            raise ConnectorError("This is the server itself, not one that follows it.")
        if there.rows(known_by.READ, names.OWN_SCHEMA, known_by.MARK) != primary.rows(
            known_by.READ, names.OWN_SCHEMA, known_by.MARK
        ):
            raise ConnectorError("It is no copy of this server.")
        yield there
    finally:
        there.close()


def _end_on(there: Session, address: str, name: str, journal: Journal, told: Followers) -> None:
    """Once the account is gone there, nobody gets in any more; what is in is ended."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while there.rows(_THERE, name) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    told.ended += ending.end_sessions(there, name, journal).count
    asked = " ".join(ending.SHOWN.split()) % (mariadb_text(name), mariadb_text(name))
    told.findings += [
        Finding(f"sessions of the account on the replica {address}", asked, tuple(ending.sessions_left(there, name))),
        Finding(f"the account on the replica {address}", _THERE % mariadb_text(name), tuple(there.texts(_THERE, name))),
    ]
