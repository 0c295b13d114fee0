"""Some history: requests in every state, and grants that were really made and really taken away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from access import clock, provisioning
from access.models import AccessRequest, AccessRole, Grant
from access.services import grants, requests, votes
from people.models import User

HOUR = timedelta(hours=1)
CLAIMANT = "manage.py load_demo"


@dataclass(slots=True)
class Storyteller:
    """Plays what people and workers did."""

    people: dict[str, User]
    roles: dict[str, AccessRole]

    def ask(self, who: str, role: str, reason: str, duration: timedelta = HOUR, **more: object) -> AccessRequest:
        """Somebody asks."""
        return requests.submit(
            person=self.people[who],
            role=self.roles[role],
            duration=duration,
            reason=reason,
            now=clock.now(),
            **more,  # type: ignore[arg-type]
        )

    def approve(self, who: str, request: AccessRequest, duration: timedelta | None = None) -> None:
        """Somebody agrees."""
        votes.approve(
            person=self.people[who],
            request=request,
            content_hash=request.content_hash,
            duration=duration,
            now=clock.now(),
            authenticated_at=clock.now(),
        )

    def deny(self, who: str, request: AccessRequest, comment: str) -> None:
        """Somebody does not."""
        votes.deny(
            person=self.people[who],
            request=request,
            content_hash=request.content_hash,
            comment=comment,
            now=clock.now(),
        )

    def make(self, request: AccessRequest) -> Grant:
        """What a worker does when access begins."""
        grant = Grant.objects.get(request=request)
        provisioning.provision(grant_id=grant.pk, claimant=CLAIMANT)
        return grant

    def give_back(self, request: AccessRequest, who: str, reason: str = "") -> None:
        """Access begins, and is ended by somebody; the worker takes it away."""
        grant = self.make(request)
        grants.end(person=self.people[who], grant=grant, reason=reason, now=clock.now())
        provisioning.revoke(grant_id=grant.pk, claimant=CLAIMANT)


def tell(people: dict[str, User], roles: dict[str, AccessRole]) -> None:
    """A dozen requests, oldest first."""
    story = Storyteller(people, roles)
    _ended(story)
    _refused(story)
    _living(story)
    _waiting(story)


def _ended(story: Storyteller) -> None:
    first = story.ask("alice", "orders-read", "Order 48113 shows the wrong total", ticket="SHOP-2041")
    story.approve("bob", first)
    story.give_back(first, "alice", "Found it: rounding in the export")

    second = story.ask("ravi", "catalogue-read", "Compare prices before the import")
    story.give_back(second, "ravi")

    third = story.ask("ravi", "orders-write", "Correct the country of 14 customers", ticket="SHOP-2050")
    story.approve("carol", third, timedelta(minutes=30))
    story.give_back(third, "carol", "Done before the window ended")

    fourth = story.ask("alice", "orders-schema", "Add the column orders.channel", 2 * HOUR, ticket="SHOP-1987")
    story.approve("bob", fourth)
    story.approve("carol", fourth)
    story.give_back(fourth, "alice")


def _refused(story: Storyteller) -> None:
    story.deny(
        "bob",
        story.ask("ravi", "orders-reporting", "Curious about payment methods"),
        "Payments hold card data. Ask the reporting team for the monthly numbers.",
    )
    mistaken = story.ask("alice", "catalogue-write", "Wrong server, sorry")
    requests.cancel(person=story.people["alice"], request=mistaken, now=clock.now())


def _living(story: Storyteller) -> None:
    story.make(story.ask("alice", "catalogue-read", "Check stock numbers for the spring sale", 4 * HOUR))
    urgent = story.ask(
        "alice", "orders-support", "Checkout is down and nobody of the DBAs answers", break_glass=True, ticket="INC-77"
    )
    story.give_back(urgent, "alice", "Checkout is back")


def _waiting(story: Storyteller) -> None:
    open_one = story.ask("ravi", "orders-read", "Customer asks for a copy of all their orders", ticket="SHOP-2063")
    requests.comment(person=story.people["bob"], request=open_one, text="Which customer is it?", now=clock.now())
    story.ask("alice", "orders-write", "Mark order 60144 as returned", timedelta(minutes=30), ticket="SHOP-2066")
    half = story.ask("ravi", "orders-schema", "Index for the slow customer page", ticket="SHOP-2060")
    story.approve("bob", half)
    two = story.ask("alice", "orders-reporting", "Month-end reconciliation", ticket="FIN-310")
    story.approve("bob", two)
