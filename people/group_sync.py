"""Teams follow the groups of the identity provider, at every sign-in.

A provider keeps the teams that it has a mapping for, and those memberships that it made before a mapping was taken away.
Other teams are kept by hand, in the console.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.db.models import Q

from audit.events import Event
from audit.log import Actor, record
from people.models import GroupMapping, Membership, Team, User
from people.services import end_memberships, join, leave_all, team_subject


class MappingExists(Exception):
    """This group is mapped to this team already."""


@transaction.atomic
def follow_groups(*, person: User, provider: str, groups: Iterable[str], actor: Actor) -> None:
    """Put the person into the teams that their groups are mapped to, and out of the others that the provider keeps."""
    mappings = GroupMapping.objects.filter(provider=provider)
    kept = Q(team__in=mappings.values("team")) | Q(source=provider)
    current = {membership.team for membership in person.memberships.filter(kept).select_related("team")}
    theirs = mappings.filter(group__in=list(groups)).select_related("team")
    # A mapping lets its author in nowhere, also when they have got hold of the group only afterwards.
    wanted = {mapping.team for mapping in theirs if mapping.made_by_id != person.pk or mapping.team in current}
    leave_all(person=person, teams=current - wanted, actor=actor)
    for team in sorted(wanted - current, key=lambda team: team.slug):
        join(person=person, team=team, actor=actor, source=provider)


def map_group(*, provider: str, group: str, team: Team, actor: Actor) -> GroupMapping:
    """From the next sign-in of each person on, the group puts people into the team, but for whoever maps it.

    Raises `MappingExists`.
    """
    made_by = int(actor.id) if actor.kind == "person" else None
    try:
        with transaction.atomic():
            mapping = GroupMapping.objects.create(provider=provider, group=group, team=team, made_by_id=made_by)
            after = {"provider": provider, "group": group, "team": team.slug}
            record(Event.TEAM_MAPPED, actor=actor, subject=team_subject(team), after=after)
    except IntegrityError as error:
        raise MappingExists from error
    return mapping


@transaction.atomic
def unmap_group(*, mapping: GroupMapping, actor: Actor) -> None:
    """The group gives the team no more: at once when it was the last one that did, else at each person's next sign-in."""
    team, provider = mapping.team, mapping.provider
    mapping.delete()
    if not team.mappings.filter(provider=provider).exists():
        end_memberships(memberships=Membership.objects.filter(team=team, source=provider), actor=actor)
    before = {"provider": provider, "group": mapping.group, "team": team.slug}
    record(Event.TEAM_UNMAPPED, actor=actor, subject=team_subject(team), before=before)
