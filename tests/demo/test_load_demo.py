"""The demo world, loaded for real: its data, its history, its refusals; and what a second run does."""

from __future__ import annotations

import shutil
import stat
from collections import Counter
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError
from pytest_django import Settings

from access.demo import estates, history, people
from access.models import AccessRequest, Grant, Server
from audit.models import Entry
from deploy.local.servers import PostgreSQL
from deploy.local.stack import Stack
from people.models import User
from tests.bench.prober import Place, run
from tests.demo.conftest import load_demo

pytestmark = pytest.mark.xdist_group("demo")

ROWS = {
    "orders": {"customers": 20_000, "orders": 100_000, "order_items": 250_000, "billing.payments": 100_000},
    "catalogue": {"categories": 8, "products": 60_000, "prices": 120_000, "stock": 120_000},
}


def places(stack: Stack) -> dict[str, Place]:
    return {
        "orders": Place("postgresql", urlsplit(stack.orders.url), "orders"),
        "catalogue": Place("mariadb", urlsplit(stack.catalogue.url), "catalogue"),
    }


def count(place: Place, what: str) -> int:
    """Seen by the server's own administrator."""
    with closing(place.as_root()) as root:
        return int(run(root, f"SELECT count(*) FROM {what}")[0][0])


def accounts(stack: Stack) -> set[str]:
    """Of people, on both servers, as their own catalogs have them."""
    found = set()
    catalogs = {"orders": ("rolname", "pg_roles"), "catalogue": ("User", "mysql.global_priv")}
    for name, place in places(stack).items():
        column, catalog = catalogs[name]
        with closing(place.as_root()) as root:
            found |= {row[0] for row in run(root, f"SELECT {column} FROM {catalog}") if row[0].startswith("lg_")}
    return found


def test_the_servers_hold_believable_data(demo: Stack) -> None:
    load_demo()
    for database, tables in ROWS.items():
        place = places(demo)[database]
        assert {table: count(place, table) for table in tables} == tables
    # What belongs together adds up, or nobody would believe it.
    assert (
        count(places(demo)["orders"], "orders o JOIN billing.payments p ON p.order_id = o.id AND p.amount <> o.total")
        == 0
    )


def test_history_shows_every_state_and_leaves_no_account_but_the_living(demo: Stack) -> None:
    before = accounts(demo)
    load_demo()
    assert Counter(AccessRequest.objects.values_list("state", flat=True)) == {
        "pending": 4,
        "approved": 6,
        "denied": 1,
        "cancelled": 1,
    }
    assert Counter(Grant.objects.values_list("state", flat=True)) == {"active": 1, "revoked": 5}
    assert all(grant.receipt and grant.receipt["is_clean"] for grant in Grant.objects.filter(state="revoked"))
    assert Grant.objects.filter(is_break_glass=True, reviewed_at=None).count() == 1
    assert accounts(demo) - before == {Grant.objects.get(state="active").principal}


def test_everybody_signs_in_with_the_password_that_is_printed(demo: Stack) -> None:
    printed = load_demo()
    assert people.PASSWORD in printed
    assert User.objects.count() == len(people.PEOPLE)
    for person in User.objects.all():
        assert person.email in printed
        assert authenticate(email=person.email, password=people.PASSWORD) == person
    assert {user.email for user in User.objects.all() if user.is_auditor} == {"dana@demo.example"}
    assert {user.email for user in User.objects.all() if user.is_administrator} == {"erin@demo.example"}


def test_lockgates_own_accounts_are_no_administrators_and_work(demo: Stack) -> None:
    load_demo()
    for server in Server.objects.all():
        assert server.check_ok, server.check_message
        path = Path(server.admin_secret.removeprefix("file:"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with closing(places(demo)[server.slug].log_in(server.admin_user, path.read_text())) as session:
            if server.engine == "postgresql":
                assert run(session, "SELECT rolsuper FROM pg_roles WHERE rolname = session_user") == [(False,)]
            else:
                assert not any("ALL PRIVILEGES ON *.*" in row[0] for row in run(session, "SHOW GRANTS"))


def test_a_second_run_changes_nothing(demo: Stack) -> None:
    load_demo()
    entries, living = Entry.objects.count(), accounts(demo)
    assert load_demo() == load_demo("--who")
    assert Entry.objects.count() == entries
    assert accounts(demo) == living


def test_asking_who_loads_nothing(demo: Stack) -> None:
    assert "alice@demo.example" in load_demo("--who")
    assert not User.objects.exists()


def test_history_that_was_not_told_is_told_by_the_next_run(demo: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(history, "tell", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_demo()
    assert not AccessRequest.objects.exists()
    load_demo()
    assert AccessRequest.objects.count() == 12


def test_orders_that_were_half_loaded_are_loaded_by_the_next_run(demo: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = demo.folder / "half"
    fresh = PostgreSQL(folder, durable=False)
    fresh.start()
    try:
        monkeypatch.setenv("LOCKGATE_DEMO_POSTGRESQL_URL", fresh.url)
        with monkeypatch.context() as patch:
            patch.setattr(estates, "_setup_sql", lambda *_: "SELECT 1 / 0")
            with pytest.raises(estates.DemoSqlFailed, match="division by zero"):
                estates.orders()
        estates.orders()
        assert count(Place("postgresql", urlsplit(fresh.url), "orders"), "order_items") == 250_000
    finally:
        fresh.stop()
        shutil.rmtree(folder)


def test_a_catalogue_that_was_half_loaded_is_completed_by_the_next_run(demo: Stack) -> None:
    load_demo()
    place = places(demo)["catalogue"]
    with closing(place.as_root()) as root:
        run(root, "DELETE FROM stock WHERE product_id > 100")
    estates.catalogue()
    assert count(place, "stock") == 120_000


def test_without_servers_it_says_what_to_do(demo: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCKGATE_DEMO_MARIADB_URL")
    with pytest.raises(CommandError, match="LOCKGATE_DEMO_MARIADB_URL is not set"):
        load_demo()
    assert not User.objects.exists()


def test_it_refuses_outside_development(demo: Stack, settings: Settings) -> None:
    settings.DEVELOPMENT = False
    for options in ((), ("--who",)):
        with pytest.raises(CommandError, match="LOCKGATE_ENV=development only"):
            load_demo(*options)
    assert not User.objects.exists()


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
