"""A grant from request to receipt on real servers: a login works, then fails, and the server's catalog knows nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from access import claims, provisioning, recognition
from access.errors import AlreadyShown, GrantIsOver, NotYours
from access.models import AccessRole, Grant, JournalLine, Server
from access.services import grants, requests, votes
from access.sweeping import sweep_server
from access.targets import connect
from audit.models import Entry
from connectors.base import Connector, Level, Limits, ProvisionRequest, Secret
from tests.access.world import HOUR, World
from tests.lifecycle.conftest import reached_at, role_on
from tests.lifecycle.estates import REFUSED, Estate


def granted(world: World, role: AccessRole | None = None, **wishes: object) -> Grant:
    """Alice asks, Bob approves; nothing is made yet."""
    now = timezone.now()
    request = world.ask(role=role, now=now, **wishes)
    votes.approve(person=world.bob, request=request, content_hash=request.content_hash, now=now, authenticated_at=now)
    return Grant.objects.get(request=request)


def provisioned(world: World, role: AccessRole | None = None, **wishes: object) -> tuple[Grant, str]:
    """The same, with the account made and the password shown."""
    grant = granted(world, role, **wishes)
    provisioning.provision(grant_id=grant.pk, claimant="test")
    grant.refresh_from_db()
    assert grant.state == "active", grant.last_error
    return grant, grants.reveal_password(person=world.alice, grant=grant, now=timezone.now())


def refused(log_in: Callable[[], object]) -> bool:
    """Whether the server refuses the login."""
    try:
        log_in()
    except REFUSED:
        return True
    return False


def test_access_works_then_ends_with_its_session_and_the_server_knows_nothing(shop_world: World, shop: Estate) -> None:
    grant, password = provisioned(shop_world)
    session = shop.log_in(grant.principal, password)
    assert session.ask("SELECT count(*) FROM orders") == 3

    grants.end(person=shop_world.alice, grant=grant, reason="done", now=timezone.now())
    provisioning.revoke(grant_id=grant.pk, claimant="test")

    grant.refresh_from_db()
    assert (grant.state, grant.receipt["is_clean"], grant.receipt["sessions_ended"]) == ("revoked", True, 1)
    with pytest.raises(REFUSED):
        session.ask("SELECT 1")
    assert refused(lambda: shop.log_in(grant.principal, password))
    assert shop.accounts(grant.principal) == 0


def test_nothing_is_taken_away_before_the_window_ends(shop_world: World, shop: Estate) -> None:
    grant, password = provisioned(shop_world)
    provisioning.revoke(grant_id=grant.pk, claimant="test")
    grant.refresh_from_db()
    assert grant.state == "active"
    shop.log_in(grant.principal, password).close()


def test_at_the_end_of_the_window_it_is_taken_away(shop_world: World, shop: Estate) -> None:
    grant, password = provisioned(shop_world)
    provisioning.revoke(grant_id=grant.pk, claimant="test", clock=lambda: grant.ends_at)
    grant.refresh_from_db()
    assert (grant.state, grant.end_reason) == ("revoked", "expired")
    assert refused(lambda: shop.log_in(grant.principal, password))


def test_the_window_begins_when_the_access_works_and_is_no_longer_than_approved(
    shop_world: World, shop: Estate
) -> None:
    approved_at = timezone.now()
    grant, _ = provisioned(shop_world)
    assert approved_at < grant.starts_at <= timezone.now()
    assert grant.ends_at - grant.starts_at <= HOUR
    assert grant.ends_at > approved_at + HOUR - timedelta(seconds=5)


def test_the_password_is_shown_once_to_its_owner_and_kept_nowhere(shop_world: World, shop: Estate) -> None:
    grant, password = provisioned(shop_world)
    with pytest.raises(AlreadyShown):
        grants.reveal_password(person=shop_world.alice, grant=grant, now=timezone.now())
    with pytest.raises(NotYours):
        grants.reveal_password(person=shop_world.bob, grant=grant, now=timezone.now())
    everything = str([list(table.objects.values()) for table in (Grant, JournalLine, Entry)])
    assert password not in everything


def test_a_password_that_nobody_asked_for_is_gone_after_the_end(shop_world: World, shop: Estate) -> None:
    grant = granted(shop_world)
    provisioning.provision(grant_id=grant.pk, claimant="test")
    provisioning.revoke(grant_id=grant.pk, claimant="test", clock=lambda: timezone.now() + 2 * HOUR)
    grant.refresh_from_db()
    assert (grant.state, grant.password) == ("revoked", "")
    with pytest.raises(GrantIsOver):
        grants.reveal_password(person=shop_world.alice, grant=grant, now=timezone.now())


def test_every_statement_is_journalled_and_the_receipt_says_what_was_asked(shop_world: World, shop: Estate) -> None:
    grant, _ = provisioned(shop_world)
    grants.end(person=shop_world.erin, grant=grant, reason="", now=timezone.now())
    provisioning.revoke(grant_id=grant.pk, claimant="test")
    grant.refresh_from_db()
    directions = set(grant.journal.values_list("direction", flat=True))
    assert directions == {"provision", "revoke"}
    assert all(grant.principal in str(finding) or finding["sql"] for finding in grant.receipt["findings"])
    assert len(grant.receipt["findings"]) >= 3


def test_an_extension_moves_the_end_on_the_server_and_keeps_the_session(shop_world: World, shop: Estate) -> None:
    grant, password = provisioned(shop_world)
    session = shop.log_in(grant.principal, password)
    now = timezone.now()
    extension = requests.extend(person=shop_world.alice, grant=grant, duration=HOUR, reason="More", now=now)
    votes.approve(
        person=shop_world.bob, request=extension, content_hash=extension.content_hash, now=now, authenticated_at=now
    )
    old_end = grant.ends_at
    provisioning.extend(grant_id=grant.pk, claimant="test")
    grant.refresh_from_db()
    assert (grant.ends_at, grant.extend_to) == (old_end + HOUR, None)
    provisioning.revoke(grant_id=grant.pk, claimant="test", clock=lambda: old_end)
    assert session.ask("SELECT 1") == 1
    with connect(shop_world.server) as connector:
        [account] = [found for found in connector.list_principals() if found.name == grant.principal]
    assert account.valid_until is not None
    assert abs(account.valid_until - grant.ends_at) < timedelta(seconds=1)
    session.close()


def test_a_grant_that_is_ended_while_its_account_is_being_made_leaves_nothing(shop_world: World, shop: Estate) -> None:
    grant = granted(shop_world)
    real = provisioning._activate

    def ended_just_before(*args: object, **kwargs: object) -> bool:
        grants.end(person=shop_world.alice, grant=grant, reason="", now=timezone.now())
        return bool(real(*args, **kwargs))  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provisioning, "_activate", ended_just_before)
        provisioning.provision(grant_id=grant.pk, claimant="maker")
    provisioning.revoke(grant_id=grant.pk, claimant="ender")
    grant.refresh_from_db()
    assert grant.state == "revoked"
    assert shop.accounts(grant.principal) == 0


@contextmanager
def standing_still(verb: str, meanwhile: Callable[[], None]) -> Iterator[None]:
    """The first worker stops just before its first statement, for longer than its lease, and then goes on."""
    opened, waits = provisioning.connect, [True]

    class Slow:
        def __init__(self, connector: Connector) -> None:
            self._connector = connector

        def __getattr__(self, name: str) -> object:
            if name == verb and waits:
                waits.clear()
                meanwhile()
            return getattr(self._connector, name)

        def __enter__(self) -> Slow:
            return self

        def __exit__(self, *exc: object) -> None:
            self._connector.__exit__(*exc)

    with pytest.MonkeyPatch.context() as patch:
        for module in (provisioning, recognition):
            patch.setattr(module, "connect", lambda *args: Slow(opened(*args)))
        yield


def much_later() -> datetime:
    return timezone.now() + 2 * claims.LEASE


def test_a_worker_that_was_replaced_leaves_the_password_that_is_shown(shop_world: World, shop: Estate) -> None:
    grant = granted(shop_world)

    def replaced() -> None:
        provisioning.provision(grant_id=grant.pk, claimant="quick", clock=much_later)

    with standing_still("provision", replaced), pytest.raises(provisioning.ClaimLost):
        provisioning.provision(grant_id=grant.pk, claimant="slow")
    grant.refresh_from_db()
    Grant.objects.filter(pk=grant.pk).update(starts_at=timezone.now() - timedelta(seconds=1))
    password = grants.reveal_password(person=shop_world.alice, grant=grant, now=timezone.now())
    shop.log_in(grant.principal, password).close()


def test_a_worker_that_goes_on_after_all_is_over_leaves_nothing(shop_world: World, shop: Estate) -> None:
    grant = granted(shop_world)

    def over() -> None:
        grants.end(person=shop_world.alice, grant=grant, reason="", now=timezone.now())
        provisioning.revoke(grant_id=grant.pk, claimant="quick", clock=much_later)

    with standing_still("provision", over), pytest.raises(provisioning.ClaimLost):
        provisioning.provision(grant_id=grant.pk, claimant="slow")
    grant.refresh_from_db()
    assert grant.state == "revoked"
    assert shop.accounts(grant.principal) == 0


def test_an_extension_that_goes_on_after_all_is_over_leaves_nothing(shop_world: World, shop: Estate) -> None:
    grant, _ = provisioned(shop_world)
    Grant.objects.filter(pk=grant.pk).update(extend_to=grant.ends_at + timedelta(hours=1))

    def over() -> None:
        grants.end(person=shop_world.alice, grant=grant, reason="", now=timezone.now())
        provisioning.revoke(grant_id=grant.pk, claimant="quick", clock=much_later)

    with standing_still("extend", over), suppress(provisioning.ClaimLost):
        provisioning.extend(grant_id=grant.pk, claimant="slow")
    grant.refresh_from_db()
    assert grant.state == "revoked"
    assert shop.accounts(grant.principal) == 0
    with connect(shop_world.server) as connector:
        receipt = connector.revoke(provisioning.revoke_request(grant), lambda entry: None)
    assert receipt.is_clean


def test_what_was_half_made_is_cleaned_away_when_it_cannot_be_made(shop_world: World, shop: Estate) -> None:
    role = role_on(shop_world, shop, "gone", Level.READ)
    role.tables = [["public" if shop.engine == "postgresql" else shop.database, "no_such_table"]]
    role.save()
    grant = granted(shop_world, role)
    provisioning.provision(grant_id=grant.pk, claimant="test")
    grant.refresh_from_db()
    assert (grant.state, grant.end_reason) == ("revoking", "failed")
    provisioning.revoke(grant_id=grant.pk, claimant="test")
    grant.refresh_from_db()
    assert (grant.state, grant.receipt["is_clean"]) == ("failed", True)
    assert "no_such_table" in grant.last_error
    assert shop.accounts(grant.principal) == 0


def is_at(world: World, grant: Grant, port: int) -> None:
    """The server, and the account that was made on it: whoever is away is looked for where the entry leads as well."""
    Server.objects.filter(pk=world.server.pk).update(port=port)
    Grant.objects.filter(pk=grant.pk).update(address={**grant.address, "port": port})


def test_a_server_that_is_away_is_tried_again_and_never_given_up(shop_world: World, shop: Estate) -> None:
    grant, password = provisioned(shop_world)
    reached_at(shop_world, 1)
    is_at(shop_world, grant, 1)
    grants.end(person=shop_world.alice, grant=grant, reason="", now=timezone.now())
    for attempt in (1, 2, 3):
        provisioning.revoke(grant_id=grant.pk, claimant="test")
        grant.refresh_from_db()
        assert (grant.state, grant.attempts) == ("revoking", attempt)
        assert "does not answer" in grant.last_error
        assert grant.next_attempt_at > timezone.now()
    shop.log_in(grant.principal, password).close()
    is_at(shop_world, grant, shop.url.port or 0)
    provisioning.revoke(grant_id=grant.pk, claimant="test")
    grant.refresh_from_db()
    assert grant.state == "revoked"
    assert refused(lambda: shop.log_in(grant.principal, password))


def test_an_account_that_is_already_gone_is_a_success(shop_world: World, shop: Estate) -> None:
    grant, _ = provisioned(shop_world)
    with connect(shop_world.server) as connector:
        connector.revoke(provisioning.revoke_request(grant), lambda entry: None)
    grants.end(person=shop_world.alice, grant=grant, reason="", now=timezone.now())
    provisioning.revoke(grant_id=grant.pk, claimant="test")
    grant.refresh_from_db()
    assert (grant.state, grant.receipt["is_clean"]) == ("revoked", True)


@pytest.mark.xdist_group("sweep")
def test_the_sweep_takes_an_orphan_away_and_leaves_living_accounts_alone(shop_world: World, shop: Estate) -> None:
    grant, password = provisioned(shop_world)
    orphan = f"lg_orphan_{shop.database}"[:32]
    with connect(shop_world.server) as connector:
        made = ProvisionRequest(
            orphan, Secret("an-orphans-password"), shop_world.read.scope, timezone.now() + HOUR, Limits()
        )
        connector.provision(made, lambda entry: None)
    shop.log_in(orphan, "an-orphans-password").close()
    sweep_living_everywhere(shop_world, keep_others=True)
    assert refused(lambda: shop.log_in(orphan, "an-orphans-password"))
    shop.log_in(grant.principal, password).close()
    assert Entry.objects.filter(event="sweep.orphan_removed").exists()


def sweep_living_everywhere(world: World, *, keep_others: bool) -> None:
    """Sweep, but spare the accounts of tests that run beside this one: they are orphans to this test's database."""
    from access import sweeping

    real = sweeping._is_orphan

    def of_this_test(account: object, living: dict[str, Grant]) -> bool:
        mine = getattr(account, "name", "").startswith("lg_orphan_")
        return real(account, living) and (mine or not keep_others)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweeping, "_is_orphan", of_this_test)
        sweep_server(server=world.server, now=timezone.now())
