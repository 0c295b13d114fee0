"""Access roles that a person may ask for, and what asking for one would mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce, NullIf

from access import installation
from access.content import Content
from access.errors import Refused
from access.models import AccessRequest, AccessRole, Grant, Policy, Vote
from access.quorum import Step
from access.services.policies import terms_foreseen
from access.states import RequestState
from access.targets import make_principal, target_without_secret
from access.terms import Terms
from connectors.base import ExtendRequest, Plan, ProvisionRequest, RevokeRequest, Secret
from connectors.registry import open_connector
from people.models import Membership, Team, User
from people.sso.arrival import directory_account

#: More people than this are not named.
MOST_NAMES = 12
#: More words than these narrow nothing down.
MOST_WORDS = 8
#: The usual time until a decision is the median of this many latest ones.
_LATEST = 20


@dataclass(frozen=True, slots=True)
class Approvers:
    """One step of approval, with the people who could take it."""

    step: Step
    team: str
    people: tuple[str, ...]
    """By name, as many as anybody reads."""
    more: bool = False
    """Whether there are others."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen if a person asked for a role now."""

    role: AccessRole
    refusal: str
    """Why it would be refused; empty when it would not."""
    terms: Terms | None
    approvers: tuple[Approvers, ...]
    usual_time: timedelta | None
    """Median time to a decision for this role; None when there was none yet."""
    plan: Plan


def roles_requestable_by(person: User) -> QuerySet[AccessRole]:
    """Enabled roles whose policy names one of the person's teams, as requester or for breaking the glass."""
    rows = AccessRole.objects.select_related("server", "policy")
    if not person.is_active:
        return rows.none()
    teams = list(person.team_slugs)
    # By its policy, of which there are few: no role comes twice, so nothing has to be compared with everything.
    may = Policy.objects.filter(Q(requesters__slug__in=teams) | Q(break_glass_team__slug__in=teams))
    return rows.filter(policy__in=may.order_by().values("pk"), is_enabled=True, server__is_enabled=True)


def fitting(roles: QuerySet[AccessRole], words: str) -> QuerySet[AccessRole]:
    """Those in which every word occurs: name, server, environment, engine, level."""
    for word in words.split()[:MOST_WORDS]:
        named = Q(name__icontains=word) | Q(slug__icontains=word) | Q(description__icontains=word)
        placed = Q(server__name__icontains=word) | Q(server__slug__icontains=word)
        kind = Q(server__environment__istartswith=word) | Q(server__engine__istartswith=word) | Q(level__iexact=word)
        roles = roles.filter(named | placed | kind)
    return roles


def preview(
    *, person: User, role: AccessRole, duration: timedelta, break_glass: bool = False, now: datetime
) -> Preview:
    """Who would have to agree, how long that usually takes, and the exact SQL that would run."""
    terms, refusal = None, ""
    try:
        terms = terms_foreseen(person=person, role=role, level=role.scope.level, break_glass=break_glass)
    except Refused as error:
        refusal = error.sentence
    return Preview(
        role=role,
        refusal=refusal,
        terms=terms,
        approvers=approvers_of(terms, requester=person) if terms and not terms.is_immediate else (),
        usual_time=usual_time(role),
        plan=_plan_for_role(person, role, now + duration),
    )


def approvers_of(terms: Terms, *, requester: User) -> tuple[Approvers, ...]:
    """The people who can take each step, the requester aside."""
    label = Coalesce(NullIf("user__display_name", Value("")), "user__email", output_field=CharField())
    people = Membership.objects.filter(team=OuterRef("pk"), user__is_active=True).exclude(user=requester)
    names = ArraySubquery(people.annotate(label=label).order_by("label").values("label")[: MOST_NAMES + 1])
    teams = Team.objects.filter(slug__in={step.team for step in terms.steps}).order_by()
    found = {slug: (name, people) for slug, name, people in teams.values_list("slug", "name", names)}
    steps = []
    for step in terms.steps:
        team, who = found.get(step.team, (step.team, []))
        steps.append(Approvers(step, team, tuple(who[:MOST_NAMES]), more=len(who) > MOST_NAMES))
    return tuple(steps)


def usual_time(role: AccessRole) -> timedelta | None:
    """Median time from asking to a decision by people, over the latest requests for the role."""
    by_people = Exists(Vote.objects.filter(request=OuterRef("pk")))
    decided = AccessRequest.objects.filter(by_people, role=role, state__in=[RequestState.APPROVED, RequestState.DENIED])
    pairs = decided.order_by("-id").values_list("submitted_at", "decided_at")[:_LATEST]
    times = sorted(decided_at - submitted_at for submitted_at, decided_at in pairs if decided_at)
    return times[len(times) // 2] if times else None


def plan_of(request: AccessRequest) -> Plan:
    """The exact statements that this request stands for, secrets out.

    More time for an access makes no account: it moves the end of the one that is there.
    """
    content = request.frozen
    if request.extends is not None:
        return _plan_of_more_time(request, request.extends)
    start = content.wished_start or request.submitted_at
    end = request.grant.ends_at if hasattr(request, "grant") else start + request.duration
    return _plan(content, request.role, end)


def _plan_of_more_time(request: AccessRequest, grant: Grant) -> Plan:
    until = grant.extend_to or grant.ends_at
    if request.state == RequestState.PENDING:
        until += request.duration
    moved = ExtendRequest(grant.principal, until, grant.identifier, made_by=installation.mark())
    with open_connector(target_without_secret(grant.server, grant.address)) as connector:
        return Plan(connector.plan_extension(moved), _plan(request.frozen, request.role, until).revoke)


def _plan_for_role(person: User, role: AccessRole, valid_until: datetime) -> Plan:
    content = Content(
        reference="",
        requester=person.pk,
        principal=make_principal(person),
        identity=directory_account(person) if role.own_identity else "",
        server=role.server.slug,
        address=role.server.address,
        heir=role.server.heir,
        role=role.slug,
        scope=role.scope,
        limits=role.limits,
        duration=timedelta(0),
        reason="",
        ticket="",
        wished_start=None,
        terms_hash="",
    )
    return _plan(content, role, valid_until)


def _plan(content: Content, role: AccessRole, valid_until: datetime) -> Plan:
    # A plan asks the server nothing, so it needs no password of ours, and gives none away.
    nothing = Secret("")
    with open_connector(target_without_secret(role.server, content.address)) as connector:
        return connector.plan(
            ProvisionRequest(
                content.principal,
                nothing,
                content.scope,
                valid_until,
                content.limits,
                content.identity,
                made_by=installation.mark(),
            ),
            RevokeRequest(content.principal, content.scope, content.heir, content.identity),
        )


def names_of_teams(slugs: Sequence[str]) -> dict[str, str]:
    """Team names by slug."""
    return dict(Team.objects.filter(slug__in=slugs).values_list("slug", "name"))
