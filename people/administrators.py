"""The first administrator: on a new installation nobody is there yet who could let anybody in."""

from __future__ import annotations

from django.db import transaction

from audit.log import Actor
from people.errors import AddressInUse, NotAnAdministratorsTeam
from people.models import Capability, Team, User
from people.services import add_person, add_team, join

TEAM = "administrators"


@transaction.atomic
def add_administrator(*, email: str, display_name: str, password: str, actor: Actor) -> User:
    """A new person in the team of administrators, which is made when there is none.

    Raises `AddressInUse` and `NotAnAdministratorsTeam`. Whether the password is a good one is for the caller to ask.
    """
    if User.objects.filter(email__iexact=email).exists():
        raise AddressInUse(f"It is {email}.")
    team = Team.objects.filter(slug=TEAM).first()
    if team is not None and team.capability != Capability.ADMINISTRATOR:
        raise NotAnAdministratorsTeam("Give it back its capability, or rename it.")
    if team is None:
        team = add_team(slug=TEAM, name="Administrators", capability=Capability.ADMINISTRATOR, actor=actor)
    person = add_person(email=email, display_name=display_name, password=password, actor=actor)
    join(person=person, team=team, actor=actor)
    return person
