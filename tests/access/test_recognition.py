"""A server is known by what it is, and not by its address: two entries of one server, a host that is edited, a copy, an
upgrade, and something else that answers where the server was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from access import provisioning
from access.errors import AnotherServer
from access.models import Environment, Grant, Server, SweepFinding
from access.models.sweeps import FindingKind
from access.queries.status import alarms_for
from access.recognition import strangeness_of, twins_of
from access.services import catalogue, grants, identities, servers
from access.services.catalogue import NotAnAdministrator
from access.services.identities import NothingToConfirm, Seen, confirm_identity
from access.states import LIVING, GrantState
from access.sweeping import sweep_server
from audit.models import Entry
from connectors.base import Limits
from connectors.fake.server import FakeAccount, FakeServer
from tests.access.test_ends import active, granted, sent
from tests.access.world import HOUR, NOW, World

__all__ = ["sent"]

LATER = NOW + timedelta(minutes=10)


@pytest.fixture
def server(world: World) -> Iterator[FakeServer]:
    """The server that the small world speaks of; other names are known to this test alone."""
    before = dict(FakeServer._servers)
    FakeServer.forget_all()
    made = FakeServer.named(world.server.host)
    made.clock = lambda: NOW
    made.databases["orders"] = {}
    yield made
    FakeServer._servers = before


@pytest.fixture
def other_entry(world: World, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A second entry, at another address, that leads to the same server."""
    monkeypatch.setenv("TEST_SECOND_PASSWORD", "x")
    server.also_at("orders-by-another-name.test")
    return second(world, "orders-by-another-name.test")


def second(world: World, host: str, slug: str = "second") -> Server:
    return catalogue.add_server(
        person=world.erin,
        slug=slug,
        name="Second",
        engine="fake",
        environment=Environment.PRODUCTION,
        host=host,
        port=5432,
        admin_user="lockgate",
        admin_secret="env:TEST_SECOND_PASSWORD",
    )


def moved(world: World, host: str) -> None:
    """An administrator edits the host."""
    Server.objects.filter(pk=world.server.pk).update(host=host)
    world.server.refresh_from_db()


def checked(server: Server) -> str:
    servers.check(server=server, now=LATER)
    server.refresh_from_db()
    return server.check_message


def ended(world: World, grant: Grant) -> Grant:
    grants.end(person=world.alice, grant=grant, reason="", now=LATER)
    return tried_again(grant)


def tried_again(grant: Grant) -> Grant:
    Grant.objects.filter(pk=grant.pk).update(next_attempt_at=None)
    provisioning.revoke(grant_id=grant.pk, claimant="w", clock=lambda: LATER)
    grant.refresh_from_db()
    return grant


def upgraded(server: FakeServer) -> str:
    """What pg_upgrade makes of a server: another identity, the same accounts."""
    server.identity = "fake:after-the-upgrade"
    return server.identity


def replaced(world: World) -> FakeServer:
    """Another server takes the address over, without the accounts."""
    FakeServer._servers.pop(world.server.host)
    fresh = FakeServer.named(world.server.host)
    fresh.clock = lambda: NOW
    fresh.databases["orders"] = {}
    return fresh


def with_orphan(server: FakeServer) -> str:
    server.accounts["lg_orphan"] = FakeAccount("", NOW + HOUR, Limits())
    return "lg_orphan"


# --- What is learned, and when


def test_a_server_is_known_from_the_first_check_on(world: World, server: FakeServer) -> None:
    checked(world.server)
    assert world.server.identity == server.identity
    assert Entry.objects.filter(event="server.recognised").count() == 1
    checked(world.server)
    assert Entry.objects.filter(event="server.recognised").count() == 1, "only what is new is told"


def test_a_grant_keeps_which_server_its_account_was_made_on(world: World, server: FakeServer) -> None:
    grant = active(world)
    assert grant.server_identity == server.identity
    receipt = ended(world, grant).receipt
    assert receipt["read_at"] == {"host": "orders.test", "port": 5432, "server_identity": server.identity}


# --- The account of a living grant is never an orphan


@pytest.mark.parametrize("state", sorted(LIVING))
def test_the_account_of_a_living_grant_is_no_orphan_under_any_entry(
    world: World, server: FakeServer, other_entry: Server, state: GrantState
) -> None:
    grant = active(world)
    orphan = with_orphan(server)
    Grant.objects.filter(pk=grant.pk).update(state=state)
    confirm_identity_after_check(world, other_entry, Seen.SAME)
    report = sweep_server(server=other_entry, now=LATER)
    assert (report.error, report.orphans_removed) == ("", [orphan])
    assert list(server.accounts) == [grant.principal]


def test_the_account_stays_after_the_host_was_edited(world: World, server: FakeServer) -> None:
    grant = active(world)
    server.also_at("renamed.test")
    moved(world, "renamed.test")
    orphan = with_orphan(server)
    report = sweep_server(server=world.server, now=LATER)
    assert (report.error, report.orphans_removed, report.missing) == ("", [orphan], [])
    assert list(server.accounts) == [grant.principal]


@pytest.mark.parametrize("seen", [Seen.SAME, Seen.COPY])
def test_an_entry_whose_server_is_not_known_yet_does_not_sweep_what_another_entry_has(
    world: World, server: FakeServer, other_entry: Server, seen: Seen
) -> None:
    active(world)
    with_orphan(server)
    report = sweep_server(server=other_entry, now=LATER)
    assert "Orders" in report.error
    assert len(server.accounts) == 2
    other_entry.refresh_from_db()
    confirm_identity(person=world.erin, server=other_entry, found=server.identity, seen=seen)
    sweep_server(server=reloaded(other_entry), now=LATER)
    assert len(server.accounts) == 1


# --- Two entries of one server


def test_a_second_entry_of_a_server_says_so_and_waits_for_a_word(
    world: World, server: FakeServer, other_entry: Server
) -> None:
    checked(world.server)
    assert "It is Orders, or a copy of it" in checked(other_entry)
    assert (other_entry.check_ok, other_entry.identity) == (False, "")
    assert identities.answers_for(other_entry) == [Seen.SAME, Seen.COPY]
    confirm_identity(person=world.erin, server=other_entry, found=server.identity, seen=Seen.SAME)
    assert checked(other_entry) == ""
    assert [twin.slug for twin in twins_of(other_entry, other_entry.identity)] == ["orders"]


def test_an_entry_that_is_corrected_to_a_server_of_its_own_needs_no_word(
    world: World, server: FakeServer, other_entry: Server
) -> None:
    checked(world.server)
    checked(other_entry)
    own = FakeServer.named("its-own.test")
    Server.objects.filter(pk=other_entry.pk).update(host="its-own.test")
    assert checked(reloaded(other_entry)) == ""
    assert reloaded(other_entry).identity == own.identity


# --- Something else answers


def test_another_server_is_not_swept_and_nothing_is_granted_on_it(world: World, server: FakeServer) -> None:
    checked(world.server)
    stranger = replaced(world)
    orphan = with_orphan(stranger)
    assert "not the server that Lockgate knows" in sweep_server(server=world.server, now=LATER).error
    assert list(stranger.accounts) == [orphan]
    grant = granted(world)
    provisioning.provision(grant_id=grant.pk, claimant="w", clock=lambda: NOW)
    grant.refresh_from_db()
    assert grant.state == GrantState.PROVISIONING, "it waits, and is given up after a while"
    assert "not the server that Lockgate knows" in grant.last_error
    assert list(stranger.accounts) == [orphan]


def test_another_server_is_told_loudly_until_it_is_itself_again(world: World, server: FakeServer) -> None:
    checked(world.server)
    replaced(world)
    assert f"now {FakeServer.named('orders.test').identity} answers" in checked(world.server)
    assert [alarm.kind for alarm in alarms_for(world.alice, now=LATER)].count("server") == 1
    assert Entry.objects.filter(event="server.stranger").count() == 1
    server.also_at(world.server.host)
    assert checked(world.server) == ""
    assert strangeness_of(world.server) == ""
    assert "server" not in [alarm.kind for alarm in alarms_for(world.alice, now=LATER)]


def test_what_is_read_on_another_server_proves_nothing(world: World, server: FakeServer) -> None:
    grant = active(world)
    replaced(world)
    ended(world, grant)
    assert (grant.state, grant.receipt) == (GrantState.REVOKING, None)
    assert "answers" in grant.last_error
    server.also_at(world.server.host)
    assert tried_again(grant).state == GrantState.REVOKED
    assert not server.accounts


def test_an_account_is_taken_away_where_its_server_is_now(world: World, server: FakeServer) -> None:
    grant = active(world)
    server.also_at("new-home.test")
    replaced(world)
    moved(world, "new-home.test")
    checked(world.server)
    ended(world, grant)
    assert (grant.state, grant.receipt["read_at"]["host"]) == (GrantState.REVOKED, "new-home.test")
    assert not server.accounts


def test_a_server_that_is_away_is_waited_for_once_and_then_looked_for_where_it_is_now(
    world: World, server: FakeServer
) -> None:
    grant = active(world)
    server.also_at("new-home.test")
    replaced(world).is_down = True
    moved(world, "new-home.test")
    checked(world.server)
    assert ended(world, grant).state == GrantState.REVOKING
    assert tried_again(grant).state == GrantState.REVOKED
    assert not server.accounts


def test_a_copy_is_never_taken_for_the_server_that_holds_the_account(
    world: World, server: FakeServer, other_entry: Server
) -> None:
    grant = active(world)
    copy = FakeServer.named("copy.test")
    copy.identity = server.identity
    Server.objects.filter(pk=other_entry.pk).update(host="copy.test")
    confirm_identity_after_check(world, reloaded(other_entry), Seen.COPY)
    server.is_down = True
    assert ended(world, grant).state == GrantState.REVOKING
    assert tried_again(grant).state == GrantState.REVOKING
    server.is_down = False
    assert tried_again(grant).state == GrantState.REVOKED


# --- What an administrator says of it


def test_after_an_upgrade_access_ends_as_promised(world: World, server: FakeServer) -> None:
    grant = active(world)
    found = upgraded(server)
    ended(world, grant)
    assert (grant.state, grant.server_identity) == (GrantState.REVOKED, found)
    assert not server.accounts
    assert Entry.objects.get(event="grant.followed").after["server_identity"] == found


def test_after_an_upgrade_nothing_is_granted_until_somebody_has_said_so(world: World, server: FakeServer) -> None:
    grant = active(world)
    found = upgraded(server)
    checked(world.server)
    assert identities.answers_for(world.server) == [Seen.BECAME, Seen.ANOTHER]
    confirm_identity(person=world.erin, server=world.server, found=found, seen=Seen.BECAME)
    grant.refresh_from_db()
    assert grant.server_identity == found
    entry = Entry.objects.get(event="server.confirmed")
    assert (entry.actor_label, entry.after["seen_as"], entry.after["followed"]) == ("erin@example.com", "became", 1)
    assert checked(reloaded(world.server)) == ""
    report = sweep_server(server=reloaded(world.server), now=LATER)
    assert (report.missing, report.orphans_removed) == ([], [])


def test_another_server_closes_no_grant_of_the_one_before(world: World, server: FakeServer) -> None:
    grant = active(world)
    fresh = replaced(world)
    checked(world.server)
    confirm_identity(person=world.erin, server=world.server, found=fresh.identity, seen=Seen.ANOTHER)
    world.server.refresh_from_db()
    assert ended(world, grant).state == GrantState.REVOKING
    assert sweep_server(server=reloaded(world.server), now=LATER).missing == [], "it was never here"


def test_only_what_was_shown_is_confirmed_and_only_by_administrators(world: World, server: FakeServer) -> None:
    checked(world.server)
    fresh = replaced(world)
    checked(world.server)
    with pytest.raises(NothingToConfirm):
        confirm_identity(person=world.erin, server=world.server, found=server.identity, seen=Seen.ANOTHER)
    with pytest.raises(NothingToConfirm):
        confirm_identity(person=world.erin, server=world.server, found=fresh.identity, seen=Seen.SAME)
    with pytest.raises(NotAnAdministrator):
        confirm_identity(person=world.auditor, server=world.server, found=fresh.identity, seen=Seen.ANOTHER)


def test_a_copy_of_a_living_account_is_told_and_goes_when_its_grant_has_ended(
    world: World, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_SECOND_PASSWORD", "x")
    grant = active(world)
    clone = FakeServer.named("clone.test")
    clone.accounts[grant.principal] = server.accounts[grant.principal]
    entry = second(world, "clone.test")
    sweep_server(server=entry, now=LATER)
    assert list(clone.accounts) == [grant.principal]
    finding = SweepFinding.objects.get(server=entry, kind=FindingKind.COPY, settled_at=None)
    assert grant.reference in finding.detail
    ended(world, grant)
    assert sweep_server(server=reloaded(entry), now=LATER).orphans_removed == [grant.principal]
    assert not SweepFinding.objects.filter(settled_at=None)


def test_a_server_that_cannot_tell_what_it_is_is_known_by_its_address(world: World, server: FakeServer) -> None:
    server.identity = ""
    grant = active(world)
    assert sweep_server(server=world.server, now=LATER).missing == []
    assert ended(world, grant).state == GrantState.REVOKED


def test_a_server_that_tells_nothing_any_more_is_another_one_until_confirmed(world: World, server: FakeServer) -> None:
    checked(world.server)
    server.identity = ""
    with pytest.raises(AnotherServer):
        provisioning.require_itself(world.server, _Told(""), world.server.address, now=LATER)  # type: ignore[arg-type]
    world.server.refresh_from_db()
    confirm_identity(person=world.erin, server=world.server, found="", seen=Seen.BECAME)
    assert checked(reloaded(world.server)) == ""


class _Told:
    def __init__(self, identity: str) -> None:
        self._identity = identity

    def identify(self) -> str:
        return self._identity


def reloaded(server: Server) -> Server:
    return Server.objects.get(pk=server.pk)


def confirm_identity_after_check(world: World, entry: Server, seen: Seen) -> None:
    checked(world.server)
    checked(entry)
    confirm_identity(person=world.erin, server=entry, found=entry.found_identity, seen=seen)
    entry.refresh_from_db()
