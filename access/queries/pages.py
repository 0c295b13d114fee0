"""What single pages need beyond the general lookups: the shell, role search, similar requests, the story that the audit
trail tells, servers, and how to use an account. Each costs a constant number of queries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from access.content import scope_from_json
from access.credentials import can_be_written
from access.models import AccessRequest, AccessRole, Comment, Grant, Server, SweepFinding, Vote
from access.models.grants import Direction, JournalLine
from access.queries.certificates import file_name
from access.queries.counting import Counted
from access.queries.requests import requests_visible_to, votes_with_voters
from access.queries.roles import fitting, roles_requestable_by
from access.queries.status import Alarm, Status, status_for
from access.risk import Assessment, assess
from access.rules import may_see_audit, may_see_servers, may_see_settings
from access.states import LIVING, RequestState
from access.targets import target_without_secret
from audit import search, verification
from audit.models import Entry, Verification
from audit.search import Filters
from connectors.base import ConnectionHint, Level
from connectors.registry import DEFAULT_PORTS, ENGINE_LABELS, open_connector, tls_settings_of
from people.models import User

#: A list of roles longer than this is to be searched, not scrolled.
MOST_ROLES = 50
#: The story of a request that is longer than this continues in the audit log.
MOST_ENTRIES = 100
_RECENT_REQUESTS = 50
_ATTEMPTS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Shell:
    """What every page shows around its own content."""

    status: Status
    sees_audit: bool
    sees_servers: bool
    sees_settings: bool

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """What is broken now."""
        return self.status.alarms


def shell_for(person: User, *, now: datetime) -> Shell:
    """Counts, alarms and what the navigation offers to the person."""
    return Shell(
        status=status_for(person, now=now),
        sees_audit=may_see_audit(person),
        sees_servers=may_see_servers(person),
        sees_settings=may_see_settings(person),
    )


def roles_found_by(person: User, words: str) -> QuerySet[AccessRole]:
    """Roles that the person may ask for and in which every word occurs: name, server, environment, engine, level."""
    rows = roles_requestable_by(person)
    return fitting(rows, words).order_by("server__name", "name")


def latest_requests_by_role(person: User, *, limit: int) -> list[AccessRequest]:
    """The person's last request for each of the roles that they asked for last, newest first."""
    mine = AccessRequest.objects.filter(requester=person, extends=None).order_by("-id")
    latest: dict[int, int] = {}
    for role, request in mine.values_list("role", "pk")[:_RECENT_REQUESTS]:
        latest.setdefault(role, request)
    # Of these few it is asked which may still be asked for, and not of every role which of them was.
    requestable = roles_requestable_by(person).order_by().values("pk")
    found = AccessRequest.objects.filter(pk__in=list(latest.values()), role__in=requestable)
    return list(found.select_related("role__server").order_by("-id")[:limit])


def risk_of(request: AccessRequest) -> Assessment:
    """How much could go wrong, by what was frozen into the request, and the environment of the server as it is now."""
    scope = scope_from_json(request.content["scope"])
    environment = request.role.server.environment
    return assess(level=Level(scope.level), environment=environment, duration=request.duration)


def similar_to(requests: Iterable[AccessRequest], *, viewer: User) -> dict[int, AccessRequest]:
    """For each request, by its id: the last decided one before it of the same person for the same role.

    Only such as the viewer may see: the policy, and who approves, may have been another then.
    """
    same = {"requester": OuterRef("requester"), "role": OuterRef("role"), "pk__lt": OuterRef("pk")}
    wanted = AccessRequest.objects.filter(pk__in=[request.pk for request in requests])
    last = Subquery(_decided(viewer).filter(**same).order_by("-id").values("pk")[:1])
    pairs = dict(wanted.annotate(similar=last).values_list("pk", "similar"))
    found = AccessRequest.objects.in_bulk([similar for similar in pairs.values() if similar])
    return {pk: found[similar] for pk, similar in pairs.items() if similar in found}


def earlier_like(request: AccessRequest, *, viewer: User) -> AccessRequest | None:
    """As `similar_to`, of one request, in one query."""
    same = {"requester": request.requester_id, "role": request.role_id, "pk__lt": request.pk}
    last = _decided(viewer).filter(**same).order_by("-id").values("pk")[:1]
    return AccessRequest.objects.filter(pk=Subquery(last)).first()


def _decided(viewer: User) -> QuerySet[AccessRequest]:
    return requests_visible_to(viewer).exclude(state__in=[RequestState.PENDING, RequestState.CANCELLED])


def request_with_story(person: User) -> QuerySet[AccessRequest]:
    """Requests that the person may see, with everything that their page shows."""
    # A revocation is tried for ever, and leaves its lines each time: the page shows the latest attempts.
    shown = ~Q(direction=Direction.REVOKE) | Q(attempt__gt=F("grant__attempts") - _ATTEMPTS_SHOWN)
    journal = Prefetch("grant__journal", queryset=JournalLine.objects.filter(shown))
    comments = Prefetch("comments", queryset=Comment.objects.select_related("author"))
    added = AccessRequest.objects.filter(extends=OuterRef("grant__pk"))
    # No more tables than the planner joins quickly: with ten it thought longer than it read.
    rows = requests_visible_to(person).select_related(None).select_related(*_ON_THE_PAGE)
    rows = rows.annotate(last_line=Subquery(_last_line()), was_extended=Exists(added.order_by()))
    return rows.prefetch_related(votes_with_voters(), comments, journal)


_ON_THE_PAGE = ("requester", "role__server", "grant__ended_by", "extends")

#: What of a request, the access it extends and its grant is in the version of its page.
_VERSION = ("state", "content_hash", "extends__state", "extends__extend_to")
_GRANT_VERSION = ("state", "attempts", "ends_at", "extend_to", "password_shown_at", "reviewed_at")


def _last_line() -> QuerySet[JournalLine, Any]:
    return JournalLine.objects.filter(grant=OuterRef("grant__pk")).order_by("-id").values("pk")[:1]


def version_of_request(person: User, reference: str) -> str | None:
    """Changes whenever the progress, the conversation or the story has something new to show; None where the person sees
    no such request. One query: open pages ask for it every second.
    """
    on_it = {"request": OuterRef("pk")}
    votes = Vote.objects.filter(**on_it).order_by().values("request").annotate(n=Count("pk")).values("n")
    comments = Comment.objects.filter(**on_it).order_by().values("request").annotate(n=Count("pk")).values("n")
    rows = requests_visible_to(person).filter(reference=reference).order_by()
    counts = (Coalesce(Subquery(votes), 0), Coalesce(Subquery(comments), 0), Subquery(_last_line()))
    found = rows.values_list(*counts, *_VERSION, *(f"grant__{name}" for name in _GRANT_VERSION)).first()
    return _hashed(found) if found else None


def version_shown(request: AccessRequest) -> str:
    """The same, of a request as its page has it: read by `request_with_story`."""
    grant, extended = getattr(request, "grant", None), request.extends
    values = (
        len(request.votes.all()),
        len(request.comments.all()),
        request.last_line,  # type: ignore[attr-defined]  # annotated
        request.state,
        request.content_hash,
        extended.state if extended is not None else None,
        extended.extend_to if extended is not None else None,
        *(getattr(grant, name, None) for name in _GRANT_VERSION),
    )
    return _hashed(values)


def _hashed(values: tuple[Any, ...]) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]


def story_of(request: AccessRequest) -> Sequence[Entry]:
    """What the audit trail tells about the request and its grant, oldest first; for whoever may see the request."""
    found = search.page(Filters(subject=("request", request.reference)), size=MOST_ENTRIES)
    return tuple(reversed(found.entries))


def hints_for(person: User, grant: Grant) -> Sequence[ConnectionHint]:
    """How to connect as the grant's account, for its owner and nobody else; `{password}` stands for the password."""
    if grant.person_id != person.pk:
        raise PermissionDenied
    databases = grant.scope["databases"]
    # Hints ask the server nothing, so they need no password of ours.
    target = target_without_secret(grant.server, grant.address)
    with open_connector(replace(target, tls_ca_file=file_name(target.tls_ca_file))) as connector:
        return connector.connection_hints(grant.identity or grant.principal, databases[0] if databases else "")


def servers_for(person: User) -> QuerySet[Server]:
    """Servers with how many roles, living grants and open findings they have; for administrators and auditors."""
    if not may_see_servers(person):
        raise PermissionDenied
    of_it = {"server": OuterRef("pk")}
    return Server.objects.annotate(
        living=Counted(Grant.objects.filter(**of_it, state__in=LIVING).order_by()),
        roles_there=Counted(AccessRole.objects.filter(**of_it).order_by()),
        findings_open=Counted(SweepFinding.objects.filter(**of_it, settled_at=None).order_by()),
    )


def roles_on(server: Server) -> QuerySet[AccessRole]:
    """What can be asked for on the server."""
    return AccessRole.objects.filter(server=server).select_related("policy").order_by("name", "id")


def open_findings(server: Server) -> QuerySet[SweepFinding]:
    """Differences that the last sweep found, newest first."""
    return SweepFinding.objects.filter(server=server, settled_at=None).order_by("-id")


def engine_choices() -> list[tuple[str, str]]:
    """The engines that a server can have: name and what people call it."""
    return list(ENGINE_LABELS.items())


def default_port_of(engine: str) -> int | None:
    """The port on which the engine's servers listen by themselves; `None` for an engine that has none."""
    return DEFAULT_PORTS.get(engine)


def tls_values_of(engine: str) -> set[str]:
    """The TLS settings that the engine's driver does as they say."""
    return {tls.value for tls in tls_settings_of(engine)}


def settled_findings(server: Server, *, limit: int) -> list[SweepFinding]:
    """Differences that a sweep found and that are gone, newest first."""
    return list(server.findings.exclude(settled_at=None).order_by("-settled_at")[:limit])


def can_rotate(server: Server) -> bool:
    """Whether the secret of Lockgate's account lies where it can be written. Asks nobody."""
    return can_be_written(server.admin_secret)


def setup_sql_for(server: Server) -> str:
    """The SQL that makes Lockgate's own account on the server. It asks the server nothing."""
    with open_connector(target_without_secret(server)) as connector:
        return connector.setup_sql()


def audit_page_for(person: User, filters: Filters, *, older_than: int | None) -> search.Page:
    """One page of the audit log, for auditors and administrators."""
    if not may_see_audit(person):
        raise PermissionDenied
    return search.page(filters, older_than=older_than)


def chain_state_for(person: User) -> Verification | None:
    """What the last check of the chain found; None before the first."""
    if not may_see_audit(person):
        raise PermissionDenied
    return verification.last_verification()
