"""The sweep: compare the grants with what is really on each server.

An account with our prefix and no living grant is an orphan (a crash, a restored backup, a hand) and is taken away with a
receipt. A living grant without its account, or an account that can log in although its grant is not usable, is shown.
The account of a living grant is never an orphan, wherever it is found: two entries may name one server, and a copy of a
server has the accounts of the one that it was made from. A server that is not the one it is known as is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Q

from access import installation
from access.content import scope_from_json
from access.errors import AnotherServer, SecretUnavailable
from access.groups_kept import SWEEPER, keep_groups
from access.models import Grant, Server, SweepFinding
from access.models.sweeps import FindingKind
from access.provisioning import receipt_to_json
from access.recognition import require_itself
from access.states import LIVING, GrantState
from access.targets import connect
from audit.events import Event
from audit.log import Subject, record
from connectors.base import Connector, FoundPrincipal, Level, Receipt, RevokeRequest, Scope
from connectors.errors import AdminLacksPrivilege, ConnectorError, ServerRefused

log = structlog.get_logger(__name__)

_MISSING = "The grant is active, but its account is not on the server."
_COPY = "Its grant {} lives on {}. It is left alone until that ends, and goes then."
_ELSEWHERE = (
    "Another Lockgate made it, with the mark {}. It is left alone: if nobody answers for it, take it away by hand."
)
_STUCK = "No grant explains it, and it cannot be taken away: take it away by hand. {}"
_SHUT = "The grant is active, but its account cannot log in."
_BEYOND = "Somebody has made its account a member of {} as well, which nobody granted. That ends with its grant at the latest."
_RENAMED = "Its account was renamed to {} by hand. It ends with its grant all the same."
_FOREIGN = (
    "Nobody was granted this: Lockgate did not make it, and it is a member of {}. Take it out of there, unless it is meant to"
    " have what the group gives for good."
)


@dataclass(slots=True)
class SweepReport:
    """What one sweep of one server saw and did."""

    server: str
    accounts: int = 0
    orphans_removed: list[str] = field(default_factory=list)
    orphans_left: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    memberships: dict[str, str] = field(default_factory=dict)
    """What is to be told of accounts that are in more than was granted."""
    renamed: dict[str, str] = field(default_factory=dict)
    """By the name of its grant, what is to be told of an account that goes by another name."""
    foreign: dict[str, str] = field(default_factory=dict)
    """What is to be told of roles that nobody was granted and that have what a group of ours gives."""
    stuck: dict[str, str] = field(default_factory=dict)
    """What is to be told of orphans that the engine's connector cannot take away, such as a name that is none of ours."""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """What is to be told of accounts that another Lockgate made."""
    copies: dict[str, str] = field(default_factory=dict)
    """What is to be told of accounts whose living grant is at home on another server."""
    groups: dict[str, str] = field(default_factory=dict)
    """What is to be told of groups that hold something else than their access role says, and could not be set right."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """What the grants say, read after the server was."""

    everywhere: Mapping[str, Grant]
    """Living grants, by their accounts, whichever server they are on."""
    here: Mapping[str, Grant]
    """Those that were made on this server, under whichever entry."""
    ours: Mapping[str, Grant]
    """Those of them that were granted under this entry, which is to say what has become of them."""
    ended: Mapping[str, str]
    """By identifier, what grants that have ended called accounts that nothing on the server says are ours."""
    mark: str
    """Which Lockgate this is."""
    granted: frozenset[str]
    """Names of accounts that this Lockgate once granted, whatever became of them."""


def sweep_all(*, now: datetime) -> list[SweepReport]:
    """Sweep every enabled server; one that does not answer is reported and does not stop the others."""
    return [_swept(server, now) for server in Server.objects.filter(is_enabled=True)]


def _swept(server: Server, now: datetime) -> SweepReport:
    try:
        return sweep_server(server=server, now=now)
    except Exception as error:
        # A mistake of ours on one server is no reason to leave the others alone.
        log.exception("sweep.broken", server=server.slug)
        return SweepReport(server.slug, error=type(error).__name__)


def sweep_server(*, server: Server, now: datetime) -> SweepReport:
    """Compare one server with its grants, take orphans away, note the rest."""
    report = SweepReport(server.slug)
    try:
        with connect(server) as connector:
            require_itself(server, connector, server.address, now=now)
            # The server first, the grants second: an account made in between then has its grant already.
            found = connector.list_principals()
            report.accounts = len(found)
            known = _known(server, found)
            orphans = [account for account in found if _is_orphan(account, known)]
            for account in orphans:
                _take_away(server, connector, account, known, report, now)
            usable = [grant for grant in known.ours.values() if grant.state == GrantState.ACTIVE]
            report.groups = keep_groups(server, connector, usable)
    except (ConnectorError, SecretUnavailable, AnotherServer) as error:
        log.warning("sweep.failed", server=server.slug, error=str(error))
        report.error = str(error)
        return report
    _compare(found, known, report, now)
    _note(server, report, now)
    return report


def _known(server: Server, found: Sequence[FoundPrincipal]) -> _Known:
    names = {account.principal for account in found} | {account.name for account in found}
    wanted = Q(server=server) | Q(principal__in=names)
    if server.identity:
        wanted |= Q(server_identity=server.identity)
    rows = Grant.objects.filter(wanted, state__in=LIVING).select_related("server")
    living = {grant.principal: grant for grant in rows}
    here = {name: grant for name, grant in living.items() if _is_made_on(grant, server)}
    ours = {name: grant for name, grant in here.items() if grant.server_id == server.pk}
    granted = frozenset(Grant.objects.filter(principal__in=names).values_list("principal", flat=True))
    return _Known(living, here, ours, _ended(server, found), installation.mark(), granted)


def _is_made_on(grant: Grant, server: Server) -> bool:
    """Whether the grant's account belongs on this server: by what the server is; by its address where that is not known."""
    if grant.server_identity and server.identity:
        return grant.server_identity == server.identity and (grant.server_id == server.pk or not server.is_copy)
    return bool(grant.server_id == server.pk and grant.address == server.address)


def _ended(server: Server, found: Sequence[FoundPrincipal]) -> dict[str, str]:
    foreign = [account.identifier for account in found if account.is_foreign and account.identifier]
    if not foreign:
        return {}
    made_here = Q(server_identity=server.identity) if server.identity else Q(server=server, address=server.address)
    grants = Grant.objects.filter(made_here, identifier__in=foreign)
    return dict(grants.exclude(state__in=LIVING).values_list("identifier", "principal"))


def _is_orphan(account: FoundPrincipal, known: _Known) -> bool:
    if account.principal in known.everywhere or account.name in known.everywhere:
        return False
    if _grant_of(account, known) is not None or _is_anothers(account, known):
        return False
    return not account.is_foreign or account.identifier in known.ended


def _is_anothers(account: FoundPrincipal, known: _Known) -> bool:
    """Whether another Lockgate made it, so that no grant of ours says whether it may live."""
    return account.made_by not in ("", known.mark) and account.principal not in known.granted


def _grant_of(account: FoundPrincipal, known: _Known) -> Grant | None:
    """The living grant whose account this is, under whatever name it goes now."""
    if (grant := known.here.get(account.principal)) is not None:
        return grant
    if not account.identifier:
        return None
    # It says which account it is on its own server alone.
    return next((grant for grant in known.here.values() if grant.identifier == account.identifier), None)


def _nothing(server: Server) -> Scope:
    """The scope of an account of which nothing is known: the connectors look everywhere anyway."""
    return Scope(level=Level.MEMBER, databases=(server.database,) if server.database else ())


def _take_away(
    server: Server, connector: Connector, account: FoundPrincipal, known: _Known, report: SweepReport, now: datetime
) -> None:
    principal = known.ended.get(account.identifier, account.principal)
    request = RevokeRequest(principal, _nothing(server), server.heir, identifier=account.identifier)
    try:
        receipt = connector.revoke(request, lambda entry: None)
    except (ServerRefused, AdminLacksPrivilege) as error:
        # One that cannot be taken away keeps no other.
        report.stuck[account.name] = _STUCK.format(error)
        return
    _settle_orphan(server, account, receipt, report, now)


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


def _compare(found: Sequence[FoundPrincipal], known: _Known, report: SweepReport, now: datetime) -> None:
    by_grant = {grant.principal: account for account in found if (grant := _grant_of(account, known)) is not None}
    for account in found:
        if account.is_foreign and _grant_of(account, known) is None and account.name not in report.orphans_removed:
            report.foreign[account.name] = _FOREIGN.format(", ".join(account.memberships))
        elif _is_anothers(account, known):
            report.elsewhere[account.name] = _ELSEWHERE.format(account.made_by)
        if (copied := known.everywhere.get(account.principal)) is not None and copied.principal not in known.here:
            report.copies[account.name] = _COPY.format(copied.reference, copied.server.name)
    _compare_grants(by_grant, known, report, now)


def _compare_grants(by_grant: Mapping[str, FoundPrincipal], known: _Known, report: SweepReport, now: datetime) -> None:
    for name, grant in known.ours.items():
        mine = by_grant.get(name)
        usable = grant.state == GrantState.ACTIVE and grant.window.contains(now)
        if mine is None:
            # It may have been ended since the server was read; only a grant that should be usable is missed.
            if usable:
                report.missing.append(name)
        elif usable and not mine.can_log_in:
            report.drift.append(name)
        elif usable and (beyond := _beyond(grant, mine)):
            report.memberships[name] = _BEYOND.format(", ".join(beyond))
        elif mine.name != name:
            report.renamed[name] = _RENAMED.format(mine.name)


def _beyond(grant: Grant, account: FoundPrincipal) -> list[str]:
    """What the account is a member of besides what was granted; nothing where its engine does not tell."""
    scope = scope_from_json(grant.scope)
    return sorted(set(account.memberships) - {scope.group, *scope.database_roles})


def _note(server: Server, report: SweepReport, now: datetime) -> None:
    with transaction.atomic():
        for kind, details in (
            (FindingKind.MISSING, dict.fromkeys(report.missing, _MISSING)),
            (FindingKind.COPY, report.copies),
            (
                FindingKind.DRIFT,
                {
                    **dict.fromkeys(report.drift, _SHUT),
                    **report.memberships,
                    **report.renamed,
                    **report.foreign,
                    **report.elsewhere,
                    **report.groups,
                    **report.stuck,
                },
            ),
        ):
            open_findings = SweepFinding.objects.filter(server=server, kind=kind, settled_at=None)
            open_findings.exclude(principal__in=details).update(settled_at=now)
            known = set(open_findings.values_list("principal", flat=True))
            for name, detail in details.items():
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
