"""Servers: does one answer, and can Lockgate do its work there."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime

import structlog
from django.db import transaction

from access import clock
from access.errors import AnotherServer, Refused, SecretUnavailable
from access.models import Server
from access.recognition import recognise
from access.rules import may_manage_servers
from access.secret_uses import keep_encryption
from access.services.door import actor_of
from access.services.server_clocks import about_its_clock
from access.targets import account_of, connect
from audit.events import Event
from audit.log import Subject, record
from connectors.base import CheckReport, Remedy
from connectors.errors import ConnectorError
from people.models import User

log = structlog.get_logger(__name__)


def test_connection(*, person: User, server: Server, now: datetime) -> CheckReport:
    """Connect as Lockgate's own account and report what stands in the way.

    Raises `Refused`, `SecretUnavailable` or a `ConnectorError`; the server's row remembers the outcome either way.
    """
    if not may_manage_servers(person):
        raise Refused("Only administrators test connections.")
    try:
        report = check(server=server, now=now)
    except (ConnectorError, SecretUnavailable) as error:
        _record(person, server, str(error))
        raise
    _record(person, server, "ok" if report.ok else "; ".join(remedy.problem for remedy in report.remedies))
    return report


def check(*, server: Server, now: datetime, thorough: bool = True) -> CheckReport:
    """Connect, and keep the outcome on the server's row; raises what `Connector.check` raises.

    A thorough check tries what each access role of the server needs; the one of each minute does not, unless something
    stood in the way before: then the same question is asked again before it is called well.
    """
    try:
        with connect(server) as connector:
            scopes = [role.scope for role in server.roles.filter(is_enabled=True)]
            begun = clock.now()
            report = connector.check(scopes if thorough else [])
            if report.ok and not thorough and scopes and server.check_ok is False:
                begun = clock.now()
                report = connector.check(scopes)
            clocks = tuple(about_its_clock(report, before=begun, after=clock.now()))
            report = _with_itself(server, replace(report, remedies=(*report.remedies, *clocks)), now)
        keep_encryption(server, account_of(server))
    except (ConnectorError, SecretUnavailable) as error:
        _store(server, now, ok=False, message=str(error))
        raise
    blocking = [f"{remedy.problem} {remedy.what_to_do}" for remedy in report.remedies if remedy.blocking]
    _store(server, now, ok=report.ok, message="\n".join(blocking), report=report)
    return report


def _with_itself(server: Server, report: CheckReport, now: datetime) -> CheckReport:
    """The report, and what stands in the way where this is not the server that is meant."""
    try:
        recognise(server, report.identity, now=now)
    except AnotherServer as error:
        stranger = Remedy(
            str(error), "Say what it is on the server's page: nothing is granted or swept here until then."
        )
        return replace(report, remedies=(stranger, *report.remedies))
    return report


def check_all(*, now: datetime) -> None:
    """Check every enabled server; what fails is on its row."""
    for server in Server.objects.filter(is_enabled=True):
        try:
            check(server=server, now=now, thorough=False)
        except (ConnectorError, SecretUnavailable) as error:
            log.warning("server.check_failed", server=server.slug, error=str(error))
        except Exception:
            # A mistake of ours on one server is no reason to leave the others unlooked at.
            log.exception("server.check_broken", server=server.slug)


def _store(server: Server, now: datetime, *, ok: bool, message: str, report: CheckReport | None = None) -> None:
    server.checked_at = now
    server.check_ok = ok
    server.check_message = message
    fields = ["checked_at", "check_ok", "check_message"]
    if report is not None:
        server.version = report.version
        server.latency = report.latency
        server.replicas_seen = [asdict(replica) for replica in report.replicas]
        fields += ["version", "latency", "replicas_seen"]
    server.save(update_fields=fields)


def _record(person: User, server: Server, outcome: str) -> None:
    with transaction.atomic():
        record(
            Event.SERVER_CHECKED,
            actor=actor_of(person),
            subject=Subject("server", server.slug, server.name),
            after={"outcome": outcome},
        )
