"""A small world for the tests of access: Alice asks, Bob and Carol approve, Dora guards, Erin administers, Oscar is outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from access.models import AccessRequest, AccessRole, Environment, Policy, Server
from access.services import catalogue, requests
from audit.log import Actor
from connectors.base import Level
from people.models import Capability, Team, User
from people.services import add_person, add_team, join

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETUP = Actor("command", "tests", "tests")


@dataclass(slots=True)
class World:
    """Everybody and everything."""

    alice: User
    bob: User
    carol: User
    dora: User
    erin: User
    oscar: User
    auditor: User
    backend: Team
    dba: Team
    security: Team
    server: Server
    policy: Policy
    read: AccessRole

    def ask(self, *, role: AccessRole | None = None, now: datetime = NOW, **wishes: object) -> AccessRequest:
        """Alice asks for an hour, unless `wishes` say otherwise."""
        asked = {"person": self.alice, "duration": HOUR, "reason": "Ticket 4711: an order is stuck", **wishes}
        return requests.submit(role=role or self.read, now=now, **asked)  # type: ignore[arg-type]

    def role(self, slug: str, policy: Policy | None, level: Level = Level.WRITE) -> AccessRole:
        """Another access role on the same server."""
        return catalogue.define_role(
            person=self.erin, slug=slug, name=slug, server=self.server, policy=policy, level=level, databases=["orders"]
        )

    def two_steps(self) -> AccessRole:
        """A role that one of the dba team and then one of security have to agree to."""
        policy = catalogue.define_policy(
            person=self.erin,
            slug="two-steps",
            name="Two steps",
            requesters=[self.backend],
            steps=[(self.dba, 1), (self.security, 1)],
        )
        return self.role("orders-ddl", policy, Level.DDL)

    def two_people(self) -> AccessRole:
        """A role that two people of the dba team have to agree to."""
        policy = catalogue.define_policy(
            person=self.erin, slug="two", name="Two people", requesters=[self.backend], steps=[(self.dba, 2)]
        )
        return self.role("orders-write", policy)


def build(secret_reference: str) -> World:
    """Make the world through the product's own services."""
    teams = {
        slug: add_team(slug=slug, name=slug.title(), capability=capability, actor=SETUP)
        for slug, capability in (
            ("backend", Capability.NONE),
            ("dba", Capability.NONE),
            ("security", Capability.NONE),
            ("auditors", Capability.AUDITOR),
            ("administrators", Capability.ADMINISTRATOR),
        )
    }
    people = {}
    for name, team in (
        ("alice", "backend"),
        ("bob", "dba"),
        ("carol", "dba"),
        ("dora", "security"),
        ("auditor", "auditors"),
        ("erin", "administrators"),
        ("oscar", None),
    ):
        people[name] = add_person(
            email=f"{name}@example.com", display_name=name.title(), password="correct-horse-battery", actor=SETUP
        )
        if team:
            join(person=people[name], team=teams[team], actor=SETUP)
    erin = people["erin"]
    server = catalogue.add_server(
        person=erin,
        slug="orders",
        name="Orders",
        engine="fake",
        environment=Environment.PRODUCTION,
        host="orders.test",
        port=5432,
        admin_user="lockgate",
        admin_secret=secret_reference,
    )
    policy = catalogue.define_policy(
        person=erin, slug="one-dba", name="One DBA", requesters=[teams["backend"]], steps=[(teams["dba"], 1)]
    )
    read = catalogue.define_role(
        person=erin,
        slug="orders-read",
        name="Orders, read",
        server=server,
        policy=policy,
        level=Level.READ,
        databases=["orders"],
    )
    return World(
        **people,
        backend=teams["backend"],
        dba=teams["dba"],
        security=teams["security"],
        server=server,
        policy=policy,
        read=read,
    )
