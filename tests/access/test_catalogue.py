"""Changing policies, access roles and servers: what is noticed, recorded and left alone, and that nobody helps themself."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.db import transaction

from access.errors import (
    NoPolicy,
    NotAnApprover,
    NotARequester,
    OwnRequest,
    OwnRules,
    PolicyCannotBeMet,
    RulesJustChanged,
    SecretUnavailable,
    Stale,
)
from access.gateway_rules import rules_from_json
from access.models import AccessRole, Environment, Grant, HeldBack, Policy, Server
from access.rules import approves
from access.services import catalogue, requests
from access.services.catalogue.changes import NotYourOwnRight
from access.services.catalogue.checks import OwnSecret, check_reference
from access.states import RequestState
from audit.models import Entry
from connectors.base import Level, Tls
from people.models import Capability, User
from people.services import add_person, join
from tests.access.test_votes import approve, at_once
from tests.access.world import HOUR, NOW, SETUP, World


def policy_as_it_is(policy: Policy) -> dict[str, Any]:
    policy.refresh_from_db()
    return {
        "policy": policy,
        "revision": policy.revision,
        "name": policy.name,
        "requesters": list(policy.requesters.all()),
        "steps": [(step.team, step.count) for step in policy.steps.all()],
        "self_approved_environments": [Environment(it) for it in policy.self_approved_environments],
        "break_glass_team": policy.break_glass_team,
        "longest": policy.longest,
        "lapses_after": policy.lapses_after,
    }


def change_policy(world: World, policy: Policy | None = None, *, person: User | None = None, **changes: Any) -> Policy:
    """What Erin would do on the page: everything stays but for `changes`."""
    same = policy_as_it_is(policy or world.policy)
    return _seen_by(world, catalogue.change_policy(person=person or world.erin, **{**same, **changes}))


def change_role(world: World, role: AccessRole, *, person: User | None = None, **changes: Any) -> AccessRole:
    role.refresh_from_db()
    names = (
        "name",
        "policy",
        "databases",
        "schemas",
        "tables",
        "database_roles",
        "own_identity",
        "description",
        "longest",
    )
    limits = ("revision", "connections", "statement_timeout", "idle_in_transaction_timeout", "is_enabled")
    same = {name: getattr(role, name) for name in (*names, *limits)}
    same["level"] = Level(role.level)
    same["gateway"] = rules_from_json(role.gateway) if role.gateway else None
    return _seen_by(world, catalogue.change_role(person=person or world.erin, role=role, **{**same, **changes}))


def change_server(world: World, *, person: User | None = None, **changes: Any) -> Server:
    world.server.refresh_from_db()
    names = ("name", "host", "port", "database", "tls_ca_file", "admin_user", "is_enabled", "revision")
    same = {name: getattr(world.server, name) for name in names}
    same |= {"environment": Environment(world.server.environment), "tls": Tls(world.server.tls), "admin_secret": ""}
    changed = catalogue.change_server(person=person or world.erin, server=world.server, **{**same, **changes})
    return _seen_by(world, changed)


def _seen_by(world: World, changed: Any) -> Any:
    """The next page that somebody opens reads everything anew."""
    for row in (world.policy, world.server, world.read):
        row.refresh_from_db()
    return changed


def second_administrator(world: World, *teams: Any) -> User:
    person = add_person(email="fred@example.com", display_name="Fred", actor=SETUP)
    join(person=person, team=world.erin.teams.get(capability=Capability.ADMINISTRATOR), actor=SETUP)
    for team in teams:
        join(person=person, team=team, actor=SETUP)
    return person


def test_a_changed_policy_is_recorded_with_only_what_differs(world: World) -> None:
    changed = change_policy(world, steps=[(world.dba, 2), (world.security, 1)], longest=2 * HOUR)
    entry = Entry.objects.get(event="policy.changed")
    assert (entry.actor_label, entry.subject_id) == ("erin@example.com", "one-dba")
    assert entry.before == {"steps": [{"team": "dba", "count": 1}], "longest_s": 8 * 3600}
    assert entry.after == {
        "steps": [{"team": "dba", "count": 2}, {"team": "security", "count": 1}],
        "longest_s": 7200,
        "revision": 2,
    }
    assert [(step.team, step.count) for step in changed.quorum_steps()] == [("dba", 2), ("security", 1)]


def test_saving_without_a_change_leaves_no_entry_and_no_new_revision(world: World) -> None:
    assert change_policy(world).revision == 1
    assert change_role(world, world.read).revision == 1
    assert change_server(world).revision == 1
    assert not Entry.objects.filter(event__endswith=".changed").exists()


@pytest.mark.parametrize("who", ["alice", "bob", "auditor", "oscar"])
def test_only_administrators_change_anything(world: World, who: str) -> None:
    person = getattr(world, who)
    with pytest.raises(catalogue.NotAnAdministrator):
        change_policy(world, person=person, name="Mine")
    with pytest.raises(catalogue.NotAnAdministrator):
        change_role(world, world.read, person=person, name="Mine")
    with pytest.raises(catalogue.NotAnAdministrator):
        change_server(world, person=person, name="Mine")
    assert not Entry.objects.filter(event__endswith=".changed").exists()


def test_who_opened_the_policy_before_somebody_else_saved_is_told(world: World) -> None:
    opened = policy_as_it_is(world.policy)
    change_policy(world, longest=HOUR)
    with pytest.raises(catalogue.EditedMeanwhile):
        catalogue.change_policy(person=second_administrator(world), **{**opened, "name": "Another name"})
    world.policy.refresh_from_db()
    assert (world.policy.name, world.policy.longest) == ("One DBA", HOUR)


@pytest.mark.parametrize("_round", range(5))
def test_two_administrators_who_save_one_policy_at_the_same_instant(committed_world: World, _round: int) -> None:
    world = committed_world
    fred = second_administrator(world)
    opened = policy_as_it_is(world.policy)
    results = at_once(
        lambda: catalogue.change_policy(person=world.erin, **{**opened, "steps": [(world.dba, 2)]}),
        lambda: catalogue.change_policy(person=fred, **{**opened, "steps": [(world.security, 1)]}),
    )
    assert [type(it) for it in results if isinstance(it, Exception)] == [catalogue.EditedMeanwhile]
    world.policy.refresh_from_db()
    entry = Entry.objects.get(event="policy.changed")
    winner = {"erin@example.com": [("dba", 2)], "fred@example.com": [("security", 1)]}[entry.actor_label]
    assert [(step.team, step.count) for step in world.policy.quorum_steps()] == winner
    assert world.policy.revision == 2


def test_two_administrators_who_save_one_role_or_server_at_the_same_instant(committed_world: World) -> None:
    world = committed_world
    roles = at_once(*[lambda n=n: change_role(world, world.read, name=f"Role {n}", revision=1) for n in range(2)])
    servers = at_once(*[lambda n=n: change_server(world, name=f"Server {n}", revision=1) for n in range(2)])
    for results in (roles, servers):
        assert [type(it) for it in results if isinstance(it, Exception)] == [catalogue.EditedMeanwhile]
    assert Entry.objects.filter(event__in=["role.changed", "server.changed"]).count() == 2


def test_an_open_request_keeps_its_terms_its_content_and_its_approvers(world: World) -> None:
    request = world.ask()
    frozen = (request.terms, request.content, request.content_hash, request.lapses_at)
    change_policy(world, requesters=[world.security], steps=[(world.security, 1)], longest=HOUR, lapses_after=HOUR)
    change_role(world, world.read, policy=None, databases=["elsewhere"], level=Level.DDL, is_enabled=False)
    change_server(world, host="elsewhere.test", environment=Environment.DEVELOPMENT, is_enabled=False)
    request.refresh_from_db()
    assert (request.terms, request.content, request.content_hash, request.lapses_at) == frozen
    with pytest.raises(NotAnApprover):
        approve(world, "dora", request)
    approve(world, "bob", request)
    request.refresh_from_db()
    grant = Grant.objects.get(request=request)
    assert request.state == RequestState.APPROVED
    assert (grant.scope["databases"], grant.scope["level"]) == (["orders"], "read")
    assert grant.address["host"] == "orders.test"


def test_a_living_grant_keeps_its_scope_its_end_and_its_address(world: World) -> None:
    request = world.ask()
    approve(world, "bob", request)
    before = Grant.objects.values().get(request=request)
    change_policy(world, longest=timedelta(minutes=5))
    change_role(world, world.read, databases=["elsewhere"], longest=timedelta(minutes=5))
    change_server(world, host="elsewhere.test", port=1)
    assert Grant.objects.values().get(request=request) == before


def test_what_is_asked_for_after_the_change_is_under_the_new_policy(world: World) -> None:
    change_policy(world, steps=[(world.security, 1)])
    request = world.ask()
    with pytest.raises(NotAnApprover):
        approve(world, "bob", request)
    approve(world, "dora", request)


#: Everything that an administrator could write into a policy in their own favour.
EDITS: dict[str, Any] = {
    "approvers": lambda team: {"steps": [(team, 1)]},
    "approvers and requesters": lambda team: {"requesters": [team], "steps": [(team, 1)]},
    "reads approve themselves": lambda team: {
        "requesters": [team],
        "self_approved_environments": list(Environment),
        "break_glass_team": team,
    },
    "nobody has to agree": lambda team: {
        "requesters": [team],
        "steps": [],
        "self_approved_environments": list(Environment),
    },
}


@pytest.mark.parametrize("edit", EDITS)
def test_no_edit_of_a_policy_lets_somebody_approve_a_request_of_their_own(world: World, edit: str) -> None:
    own_team = world.erin.teams.get()
    change_policy(world, requesters=[world.backend, own_team])
    request = world.ask(person=world.erin)
    voters = {who for who in ("alice", "bob", "carol", "dora", "erin") if approves(getattr(world, who), request)}
    change_policy(world, **EDITS[edit](own_team))
    request.refresh_from_db()
    assert {
        who for who in ("alice", "bob", "carol", "dora", "erin") if approves(getattr(world, who), request)
    } == voters
    with pytest.raises(OwnRequest):
        approve(world, "erin", request)
    requests.cancel(person=world.erin, request=request, now=NOW)
    # And what they ask for afterwards, under rules of their own making, is not granted either without somebody else.
    for break_glass in (False, True):
        with suppress(OwnRules, PolicyCannotBeMet, NotARequester):
            again = world.ask(person=world.erin, break_glass=break_glass)
            with pytest.raises(OwnRequest):
                approve(world, "erin", again)
    assert not Grant.objects.exists()


def self_serving(world: World) -> None:
    change_policy(
        world,
        requesters=[world.backend, world.erin.teams.get()],
        self_approved_environments=[Environment.PRODUCTION],
        break_glass_team=world.erin.teams.get(),
    )


def test_what_a_change_gives_to_its_author_is_in_the_entry(world: World) -> None:
    self_serving(world)
    after = Entry.objects.get(event="policy.changed").after
    assert after["gives_the_actor"] == [
        "ask for Orders, read",
        "break the glass for Orders, read",
        "get Orders, read without an approval",
    ]
    change_policy(world, name="Only a name")
    latest = Entry.objects.filter(event="policy.changed").order_by("-seq")[0]
    assert "gives_the_actor" not in latest.after


def test_a_right_of_ones_own_making_waits_for_another_administrator(world: World) -> None:
    fred = second_administrator(world, world.backend)
    self_serving(world)
    with pytest.raises(OwnRules):
        world.ask(person=world.erin)
    with pytest.raises(OwnRules):
        world.ask(person=world.erin, break_glass=True)
    held = HeldBack.objects.get()
    for nobody in (world.erin, world.alice):
        with pytest.raises((NotYourOwnRight, catalogue.NotAnAdministrator)):
            catalogue.confirm_right(person=nobody, held=held)
    assert world.ask(person=world.alice).state == RequestState.APPROVED
    assert world.ask(person=fred).state == RequestState.APPROVED
    catalogue.confirm_right(person=fred, held=held)
    assert Entry.objects.get(event="role.confirmed").actor_label == "fred@example.com"
    assert world.ask(person=world.erin).state == RequestState.APPROVED
    with pytest.raises(Stale):
        catalogue.confirm_right(person=fred, held=held)


def test_moving_a_role_or_a_server_into_ones_own_favour_is_held_back_as_well(world: World) -> None:
    easy = catalogue.define_policy(
        person=world.erin,
        slug="easy",
        name="Easy",
        requesters=[world.erin.teams.get()],
        self_approved_environments=[Environment.PRODUCTION, Environment.STAGING],
    )
    change_role(world, world.read, policy=easy)
    assert HeldBack.objects.filter(person=world.erin, role=world.read).exists()
    new = world.role("staging-read", easy, Level.READ)
    assert HeldBack.objects.filter(person=world.erin, role=new).exists()
    with pytest.raises(OwnRules):
        world.ask(person=world.erin, role=new)


def test_moving_a_server_to_an_easier_environment_is_held_back(world: World) -> None:
    fred = second_administrator(world)
    policy = change_policy(
        world,
        person=fred,
        requesters=[world.backend, world.erin.teams.get()],
        self_approved_environments=[Environment.STAGING],
    )
    HeldBack.objects.all().delete()
    change_server(world, environment=Environment.STAGING)
    assert [held.person for held in HeldBack.objects.filter(role__policy=policy)] == [world.erin]
    assert "get Orders, read without an approval" in Entry.objects.get(event="server.changed").after["gives_the_actor"]


def test_widening_what_one_gets_without_an_approval_is_held_back(world: World) -> None:
    self_serving(world)
    HeldBack.objects.all().delete()  # As if another administrator had confirmed.
    change_role(world, world.read, description="Only a word")
    assert not HeldBack.objects.exists()
    change_role(world, world.read, databases=["orders", "payments"])
    assert HeldBack.objects.filter(person=world.erin, role=world.read).exists()
    HeldBack.objects.all().delete()
    change_server(world, host="payments.test")
    assert HeldBack.objects.filter(person=world.erin, role=world.read).exists()


def test_having_it_for_longer_without_an_approval_is_held_back(world: World) -> None:
    self_serving(world)
    HeldBack.objects.all().delete()
    change_policy(world, longest=HOUR)
    change_role(world, world.read, longest=HOUR)
    assert not HeldBack.objects.exists()
    change_policy(world, longest=4 * HOUR)
    assert HeldBack.objects.filter(person=world.erin, role=world.read).exists()
    HeldBack.objects.all().delete()
    change_role(world, world.read, longest=4 * HOUR)
    assert HeldBack.objects.filter(person=world.erin, role=world.read).exists()


def test_two_changes_at_the_same_time_do_not_add_up_to_a_right_that_nobody_noticed(committed_world: World) -> None:
    world = committed_world
    easy = catalogue.define_policy(
        person=world.erin, slug="easy", name="Easy", requesters=[world.dba], steps=[(world.security, 1)]
    )
    generous = {
        **policy_as_it_is(easy),
        "requesters": [world.erin.teams.get()],
        "self_approved_environments": [Environment.PRODUCTION],
    }
    changed = Event()

    def change_and_commit_late() -> None:
        with transaction.atomic():
            catalogue.change_policy(person=User.objects.get(pk=world.erin.pk), **generous)
            changed.set()
            time.sleep(1)  # The other one looks around meanwhile, and must not see the world as it was.

    def move_the_role() -> None:
        assert changed.wait(timeout=10)
        change_role(world, world.read, policy=easy)

    results = at_once(change_and_commit_late, move_the_role)
    assert not [result for result in results if isinstance(result, Exception)]
    assert HeldBack.objects.filter(person=world.erin, role=world.read).exists()


def test_a_changed_server_has_to_be_checked_again_and_tells_no_secret(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANOTHER_PASSWORD", "hunter2")
    Server.objects.update(check_ok=True, checked_at=NOW, check_message="fine")
    server = change_server(world, name="Orders EU")
    assert server.check_ok is True
    server = change_server(world, admin_secret="env:ANOTHER_PASSWORD")
    assert (server.check_ok, server.checked_at, server.check_message) == (None, None, "")
    assert server.admin_secret == "env:ANOTHER_PASSWORD"
    entry = Entry.objects.filter(event="server.changed").order_by("-seq")[0]
    assert entry.before == {"admin_secret": "********"}
    assert entry.after == {"admin_secret": "********", "revision": 3}
    with pytest.raises(SecretUnavailable):
        change_server(world, admin_secret="env:NOT_SET_ANYWHERE")


def test_no_server_is_told_what_lockgate_keeps_for_itself(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "secret_key"
    own.write_text("the key under which sessions are signed")
    (tmp_path / "by-another-name").symlink_to(own)
    monkeypatch.setenv("LOCKGATE_SECRET_KEY_FILE", str(own))
    monkeypatch.setenv("LOCKGATE_ENCRYPTION_KEYS", "a key")
    monkeypatch.setenv("DATABASE_URL", "postgresql://lockgate:hunter2@localhost/lockgate")
    for reference in (
        "env:LOCKGATE_ENCRYPTION_KEYS",
        "env:VAULT_TOKEN",
        "env:AWS_SECRET_ACCESS_KEY",
        "env:DATABASE_URL",
        "env:LOCKGATE_SECRET_KEY_FILE",
        f"file:{own}",
        f"file:{tmp_path}/./by-another-name",
        "file:/proc/self/environ",
        "file:/proc/thread-self/environ",
    ):
        with pytest.raises(OwnSecret):
            change_server(world, host="mallory.test", tls=Tls.DISABLE, admin_secret=reference)
    with pytest.raises(OwnSecret):
        check_reference("azure:client-secret?tenant_id=t&client_id=c&secret=env%3ALOCKGATE_SECRET_KEY")
    other = tmp_path / "orders"
    other.write_text("a server's own password")
    assert change_server(world, admin_secret=f"file:{other}").admin_secret == f"file:{other}"


def test_what_is_switched_off_cannot_be_asked_for(world: World) -> None:
    change_role(world, world.read, is_enabled=False)
    with pytest.raises(NoPolicy):
        world.ask()
    change_role(world, world.read, is_enabled=True)
    change_server(world, is_enabled=False)
    with pytest.raises(NoPolicy):
        world.ask()
    change_server(world, is_enabled=True)
    assert world.ask().is_open


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"requesters": []}, catalogue.PolicyIncomplete),
        ({"steps": []}, catalogue.PolicyIncomplete),
        ({"longest": timedelta(0)}, catalogue.LongestNotPossible),
        ({"longest": timedelta(days=31)}, catalogue.LongestNotPossible),
        ({"lapses_after": timedelta(seconds=5)}, catalogue.LapseNotPossible),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(world: World, changes: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        change_policy(world, **changes)
    assert world.ask().is_open


def test_a_short_name_is_taken_once(world: World) -> None:
    with pytest.raises(catalogue.SlugTaken):
        catalogue.define_policy(
            person=world.erin, slug="one-dba", name="Again", requesters=[world.backend], steps=[(world.dba, 1)]
        )


def test_what_was_read_before_somebody_saved_is_not_asked_under(world: World) -> None:
    opened = AccessRole.objects.select_related("policy", "server").get(pk=world.read.pk)
    assert opened.policy
    change_policy(world, steps=[(world.dba, 2)])
    with pytest.raises(RulesJustChanged):
        world.ask(role=opened)
