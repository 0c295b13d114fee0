"""Teams, who is in them, and which groups of the identity providers fill them: decided by administrators.

Nobody changes the teams that they themselves are in, on any way: a right that somebody gives to themself needs another
administrator's hand. Each change is recorded, and told to the other administrators.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db import IntegrityError, transaction

from access import queueing
from access.errors import BadRequest, Refused, Stale
from access.rules import may_manage_people
from access.services.door import actor_of
from audit.events import Event
from audit.log import record
from audit.models import Entry
from people import group_sync, services
from people.deactivation import deactivate, reactivate
from people.models import Capability, GroupMapping, Membership, Team, User

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
#: People and groups that an entry about a team names; each change has an entry of its own besides.
_MOST_RECORDED = 200


class NotForYou(Refused):
    """Only administrators keep teams and the groups that fill them."""


class OwnTeams(Refused):
    """Nobody decides on their own teams. Ask another administrator."""

    field = "group"


class OwnAccount(Refused):
    """Nobody switches themselves off: somebody has to be left who can switch on again. Ask another administrator."""


class KeptByGroups(Refused):
    """A provider's groups fill this team, so its people are not chosen here. Change their groups, or the mapping."""

    field = "person"


class BadTeamName(BadRequest):
    """The short name takes lower-case letters, digits and single dashes, at most 50."""

    field = "slug"


class TeamExists(BadRequest):
    """There is a team with this short name. Choose another one."""

    field = "slug"


class UnknownProvider(BadRequest):
    """Choose one of the identity providers that are configured."""

    field = "provider"


class GroupMissing(BadRequest):
    """Say which group, exactly as the provider's token names it."""

    field = "group"


class MappedAlready(BadRequest):
    """This group is mapped to this team already."""

    field = "group"


class GoneAlready(Stale):
    """Somebody else has taken that away meanwhile."""


def add_team(*, person: User, slug: str, name: str, capability: str = Capability.NONE) -> Team:
    """A new, empty team."""
    _check(person)
    if not _SLUG.fullmatch(slug) or len(slug) > 50:
        raise BadTeamName
    try:
        with transaction.atomic():
            team = services.add_team(
                slug=slug, name=name.strip() or slug, capability=capability, actor=actor_of(person)
            )
            queueing.tell_administrators_on_commit(Entry.objects.latest("seq").seq)
    except IntegrityError as error:
        raise TeamExists from error
    return team


@transaction.atomic
def put_into_team(*, person: User, member: User, team: Team) -> None:
    """Make `member` one of the team."""
    _check_member(person, member, team)
    with _told_to_others(person, team):
        services.join(person=member, team=team, actor=actor_of(person))


@transaction.atomic
def take_out_of_team(*, person: User, member: User, team: Team) -> None:
    """End `member`'s part in the team, and with it what the team allowed."""
    _check_member(person, member, team)
    with _told_to_others(person, team):
        services.leave(person=member, team=team, actor=actor_of(person))


def map_group(*, person: User, team: Team, provider: str, group: str) -> GroupMapping:
    """From each person's next sign-in on, the provider's group puts them into the team, and its absence out of it."""
    _check(person)
    group = group.strip()
    if provider not in settings.LOCKGATE_SSO:
        raise UnknownProvider
    if not group or len(group) > 255:
        raise GroupMissing
    if person.pk in {one.pk for one in people_with(provider, group)} and team.slug not in person.team_slugs:
        raise OwnTeams
    try:
        with transaction.atomic(), _told_to_others(person, team):
            mapping = group_sync.map_group(provider=provider, group=group, team=team, actor=actor_of(person))
    except group_sync.MappingExists as error:
        raise MappedAlready from error
    return mapping


@transaction.atomic
def unmap_group(*, person: User, team: Team, mapping_id: int) -> None:
    """The group gives the team no more."""
    _check(person)
    mapping = GroupMapping.objects.select_for_update().filter(pk=mapping_id, team=team).first()
    if mapping is None:
        raise GoneAlready
    with _told_to_others(person, team):
        group_sync.unmap_group(mapping=mapping, actor=actor_of(person))


def switch_off(*, person: User, member: User) -> None:
    """Nobody signs in as `member` any more: their sessions end, and what they asked for and hold goes with them."""
    _check(person)
    if member.pk == person.pk:
        raise OwnAccount
    deactivate(person=member, actor=actor_of(person))


def switch_on(*, person: User, member: User) -> None:
    """`member` may sign in again; nothing that ended comes back."""
    _check(person)
    reactivate(person=member, actor=actor_of(person))


def people_with(provider: str, group: str) -> list[User]:
    """Active people who had the group when they last signed in through the provider."""
    rows = SocialAccount.objects.filter(provider=provider, user__is_active=True, extra_data__groups__contains=[group])
    return [account.user for account in rows.select_related("user").order_by("user__email")]


def _check(person: User) -> None:
    if not may_manage_people(person):
        raise NotForYou


def _check_member(person: User, member: User, team: Team) -> None:
    _check(person)
    if member.pk == person.pk:
        raise OwnTeams
    kept_by = Membership.objects.filter(user=member, team=team).exclude(source="").exists()
    if kept_by or (team.mappings.exists() and SocialAccount.objects.filter(user=member).exists()):
        raise KeptByGroups


@contextmanager
def _told_to_others(person: User, team: Team) -> Iterator[None]:
    """Record what the block changes of the team, and tell the other administrators; inside its transaction."""
    before = _as_it_is(team)
    yield
    after = _as_it_is(team)
    if before == after:
        return
    entry = record(
        Event.TEAM_CHANGED, actor=actor_of(person), subject=services.team_subject(team), before=before, after=after
    )
    queueing.tell_administrators_on_commit(entry.seq)


def _as_it_is(team: Team) -> dict[str, object]:
    members = Membership.objects.filter(team=team).order_by("user__email").values_list("user__email", flat=True)
    mappings = GroupMapping.objects.filter(team=team)
    return {
        "memberships": list(members[:_MOST_RECORDED]),
        "groups": [f"{one.group} at {one.provider}" for one in mappings[:_MOST_RECORDED]],
    }
