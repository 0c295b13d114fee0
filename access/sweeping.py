"""The sweep: compare the grants with what is really on each server.

An account with our prefix and no living grant is an orphan (a crash, a restored backup, a hand) and is taken away with a
receipt. A living grant without its account, or an account that can log in although its grant is not usable, is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import transaction

from access.errors import SecretUnavailable
from access.models import Grant, Server, SweepFinding
from access.models.sweeps import FindingKind
from access.provisioning import receipt_to_json
from access.states import LIVING, GrantState
from access.targets import connect
from audit.events import Event
from audit.log import Actor, Subject, record
from connectors.base import FoundPrincipal, Level, Receipt, RevokeRequest, Scope
from connectors.errors import ConnectorError

log = structlog.get_logger(__name__)

SWEEPER = Actor("worker", "sweep", "sweep")


@dataclass(slots=True)
class SweepReport:
    """What one sweep of one server saw and did."""

    server: str
    accounts: int = 0
    orphans_removed: list[str] = field(default_factory=list)
    orphans_left: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    error: str = ""


def sweep_all(*, now: datetime) -> list[SweepReport]:
    """Sweep every enabled server; one that does not answer is reported and does not stop the others."""
    return [sweep_server(server=server, now=now) for server in Server.objects.filter(is_enabled=True)]


def sweep_server(*, server: Server, now: datetime) -> SweepReport:
    """Compare one server with its grants, take orphans away, note the rest."""
    report = SweepReport(server.slug)
    try:
        with connect(server) as connector:
            # The server first, the grants second: an account made in between then has its grant already.
            found = connector.list_principals()
            report.accounts = len(found)
            living = _living(server)
            orphans = [account for account in found if _is_orphan(account, living)]
            for account in orphans:
                request = RevokeRequest(account.name, _nothing(server), server.heir)
                _settle_orphan(server, account, connector.revoke(request, lambda entry: None), report, now)
    except (ConnectorError, SecretUnavailable) as error:
        log.warning("sweep.failed", server=server.slug, error=str(error))
        report.error = str(error)
        return report
    _compare(found, living, report, now)
    _note(server, report, now)
    return report


def _living(server: Server) -> dict[str, Grant]:
    """Living grants made at the server's present address, by account."""
    grants = Grant.objects.filter(server=server, state__in=LIVING, address=server.address)
    return {grant.principal: grant for grant in grants}


def _is_orphan(account: FoundPrincipal, living: dict[str, Grant]) -> bool:
    return account.name not in living


def _nothing(server: Server) -> Scope:
    """The scope of an account of which nothing is known: the connectors look everywhere anyway."""
    return Scope(level=Level.MEMBER, databases=(server.database,) if server.database else ())


def _settle_orphan(
    server: Server, account: FoundPrincipal, receipt: Receipt, report: SweepReport, now: datetime
) -> None:
    (report.orphans_removed if receipt.is_clean else report.orphans_left).append(account.name)
    with transaction.atomic():
        SweepFinding.objects.update_or_create(
            server=server,
            kind=FindingKind.ORPHAN,
            principal=account.name,
            settled_at=None,
            defaults={
                "detail": _described(account),
                "found_at": now,
                "receipt": receipt_to_json(receipt),
            },
        )
        record(
            Event.SWEEP_ORPHAN_REMOVED if receipt.is_clean else Event.SWEEP_ORPHAN_FOUND,
            actor=SWEEPER,
            subject=Subject("server", server.slug, server.name),
            after={"principal": account.name, "receipt": receipt_to_json(receipt)},
            reason=_described(account),
        )
        if receipt.is_clean:
            SweepFinding.objects.filter(
                server=server, kind=FindingKind.ORPHAN, principal=account.name, settled_at=None
            ).update(settled_at=now)


def _described(account: FoundPrincipal) -> str:
    login = "can log in" if account.can_log_in else "cannot log in"
    return (
        f"{account.name} {login}, {account.sessions} sessions, member of {', '.join(account.memberships) or 'nothing'}"
    )


def _compare(found: Sequence[FoundPrincipal], living: dict[str, Grant], report: SweepReport, now: datetime) -> None:
    by_name = {account.name: account for account in found}
    for name, grant in living.items():
        account = by_name.get(name)
        usable = grant.state == GrantState.ACTIVE and grant.window.contains(now)
        if account is None:
            # It may have been ended since the server was read; only a grant that should be usable is missed.
            if usable:
                report.missing.append(name)
        elif usable and not account.can_log_in:
            report.drift.append(name)


def _note(server: Server, report: SweepReport, now: datetime) -> None:
    with transaction.atomic():
        for kind, names, detail in (
            (FindingKind.MISSING, report.missing, "The grant is active, but its account is not on the server."),
            (FindingKind.DRIFT, report.drift, "The grant is active, but its account cannot log in."),
        ):
            open_findings = SweepFinding.objects.filter(server=server, kind=kind, settled_at=None)
            open_findings.exclude(principal__in=names).update(settled_at=now)
            known = set(open_findings.values_list("principal", flat=True))
            for name in names:
                if name in known:
                    continue
                SweepFinding.objects.create(server=server, kind=kind, principal=name, detail=detail, found_at=now)
                record(
                    Event.SWEEP_DRIFT_FOUND,
                    actor=SWEEPER,
                    subject=Subject("server", server.slug, server.name),
                    after={"principal": name, "kind": kind.value},
                    reason=detail,
                )
        Server.objects.filter(pk=server.pk).update(swept_at=now)
