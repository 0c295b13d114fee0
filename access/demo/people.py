"""The people of the demo, and what each of them may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.hashers import make_password

from audit.log import Actor
from people.group_sync import map_group
from people.models import Capability, Team, User
from people.services import add_person, add_team, join

#: Of everybody in the demo. Known to all the world, which is why the demo refuses to load outside development.
PASSWORD = "lockgate-demo"  # noqa: S105 - see above

#: The demo's identity provider, as `make demo` configures it.
PROVIDER = "demo"

SETUP = Actor("command", "load_demo", "manage.py load_demo")

TEAMS = {
    "backend": ("Backend", Capability.NONE),
    "on-call": ("On call", Capability.NONE),
    "dba": ("Database administrators", Capability.NONE),
    "security": ("Security", Capability.NONE),
    "auditors": ("Auditors", Capability.AUDITOR),
    "administrators": ("Administrators", Capability.ADMINISTRATOR),
}


@dataclass(frozen=True, slots=True)
class Somebody:
    """One person of the demo."""

    name: str
    may: str
    teams: tuple[str, ...]

    @property
    def first_name(self) -> str:
        """By which the rest of the demo calls them."""
        return self.name.split()[0].lower()

    @property
    def email(self) -> str:
        """With which they sign in."""
        return f"{self.first_name}@demo.example"

    @property
    def claims(self) -> dict[str, Any]:
        """What the demo's identity provider says of them."""
        groups = [group_of(team) for team in self.teams]
        return {"email": self.email, "email_verified": True, "name": self.name, "groups": groups}


def group_of(team: str) -> str:
    """The group at the demo's identity provider whose people are in the team."""
    return f"lockgate-{team}"


PEOPLE = (
    Somebody("Alice Engineer", "asks for access", ("backend", "on-call")),
    Somebody("Ravi Engineer", "asks for access", ("backend",)),
    Somebody("Bob Approver", "approves for the database administrators", ("dba",)),
    Somebody("Carol Approver", "approves for database administrators and security", ("dba", "security")),
    Somebody("Dana Auditor", "reads everything, changes nothing", ("auditors",)),
    Somebody("Erin Administrator", "manages servers; cannot approve", ("administrators",)),
    Somebody("Oscar Outsider", "is in no team and sees nothing", ()),
)


def make_people() -> tuple[dict[str, User], dict[str, Team]]:
    """Everybody by first name, and their teams by slug."""
    teams = {
        slug: add_team(slug=slug, name=name, capability=capability, actor=SETUP)
        for slug, (name, capability) in TEAMS.items()
    }
    for slug, team in teams.items():
        map_group(provider=PROVIDER, group=group_of(slug), team=team, actor=SETUP)
    for somebody in PEOPLE:
        person = add_person(email=somebody.email, display_name=somebody.name, actor=SETUP)
        for slug in somebody.teams:
            join(person=person, team=teams[slug], actor=SETUP, source=PROVIDER)
    # One hash for all of them: a good one takes its time, and the password is the same.
    ours = User.objects.filter(email__in=[somebody.email for somebody in PEOPLE])
    ours.update(password=make_password(PASSWORD))
    return everybody(), teams


def everybody() -> dict[str, User]:
    """Everybody of the demo by first name."""
    by_email = {person.email: person for person in User.objects.all()}
    return {somebody.first_name: by_email[somebody.email] for somebody in PEOPLE}


def who_can_sign_in() -> str:
    """A table for the terminal."""
    lines = [f"    {somebody.email:<24} {somebody.may}" for somebody in PEOPLE]
    return "\n".join([f"\n  Sign in with SSO, or with the password {PASSWORD}, as", *lines])
