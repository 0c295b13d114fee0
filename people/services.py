"""People join, change teams and leave; every step is in the audit trail, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet

from audit.events import Event
from audit.log import Actor, Subject, record
from people.models import Capability, Membership, Team, User
from people.signals import left_teams


def person_subject(person: User) -> Subject:
    """A person as the audit trail names them."""
    return Subject("person", str(person.pk), person.email)


def team_subject(team: Team) -> Subject:
    """A team as the audit trail names it."""
    return Subject("team", team.slug, team.name)


@transaction.atomic
def add_team(*, slug: str, name: str, capability: str = Capability.NONE, actor: Actor) -> Team:
    """A new, empty team."""
    team = Team.objects.create(slug=slug, name=name, capability=capability)
    record(Event.TEAM_ADDED, actor=actor, subject=team_subject(team), after={"name": name, "capability": capability})
    return team


@transaction.atomic
def add_person(*, email: str, display_name: str, password: str | None = None, actor: Actor) -> User:
    """Somebody who may sign in, and by that alone may do nothing; without a password only SSO lets them in."""
    person = User.objects.create_user(email, password, display_name=display_name)
    record(Event.PERSON_ADDED, actor=actor, subject=person_subject(person), after={"display_name": display_name})
    return person


@transaction.atomic
def join(*, person: User, team: Team, actor: Actor, source: str = "") -> None:
    """Put the person into the team; nothing happens when they are in it already.

    `source` is the identity provider whose groups say so.
    """
    _, created = Membership.objects.get_or_create(user=person, team=team, defaults={"source": source})
    if created:
        _forget_teams(person)
        record(
            Event.PERSON_JOINED,
            actor=actor,
            subject=person_subject(person),
            after={"team": team.slug, "source": source},
            related=[team_subject(team)],
        )


def leave(*, person: User, team: Team, actor: Actor) -> None:
    """Take the person out of the team; nothing happens when they are not in it."""
    leave_all(person=person, teams=[team], actor=actor)


def leave_all(*, person: User, teams: Iterable[Team], actor: Actor) -> None:
    """Take the person out of those of the teams that they are in."""
    end_memberships(memberships=person.memberships.filter(team__in=teams), actor=actor)
    _forget_teams(person)


@transaction.atomic
def end_memberships(*, memberships: QuerySet[Membership], actor: Actor) -> None:
    """Take people out of teams, as many as these are, all in one step."""
    # Nobody asks for anything as a member while they cease to be one. Their rows in one order, and before all others.
    list(User.objects.select_for_update(no_key=True).filter(pk__in=memberships.values("user")).order_by("pk"))
    ending = list(memberships.select_related("user", "team").order_by("user__email", "team__slug"))
    if not ending:
        return
    Membership.objects.filter(pk__in=[membership.pk for membership in ending]).delete()
    left: dict[User, list[Team]] = {}
    for membership in ending:
        left.setdefault(membership.user, []).append(membership.team)
    # Once, and before the first audit entry: whoever hears of it locks rows, and those locks come before the chain's.
    left_teams.send(sender=Team, left=left, actor=actor)
    for membership in ending:
        record(
            Event.PERSON_LEFT,
            actor=actor,
            subject=person_subject(membership.user),
            before={"team": membership.team.slug},
            related=[team_subject(membership.team)],
        )


def _forget_teams(person: User) -> None:
    """The person's teams are read once per object; after a change they have to be read again."""
    for name in ("_teams_by_slug", "team_slugs", "teams_read"):
        person.__dict__.pop(name, None)
