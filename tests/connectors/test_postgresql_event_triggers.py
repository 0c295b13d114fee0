"""Triggers that a company has on its server's own events: where they stop Lockgate, they are named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors.base import Level
from connectors.errors import PrincipalCannotLogIn, TriggerInTheWay
from connectors.quoting import postgresql_name as name
from tests.connectors.conftest import Accounts
from tests.connectors.labs.base import Place, scope_of
from tests.connectors.labs.postgresql import PostgreSQLLab
from tests.connectors.test_postgresql_revocation import lab, session_of

__all__ = ["lab"]

LOGIN_SINCE = 170000


@contextmanager
def event_trigger(lab: PostgreSQLLab, database: str, event: str, body: str) -> Iterator[None]:
    """While the block runs, in one database."""
    lab.run(
        "CREATE TABLE IF NOT EXISTS public.event_log (what text)",
        f"ALTER TABLE public.event_log OWNER TO {name(lab.owner)}",
        "GRANT INSERT ON public.event_log TO PUBLIC",
        "CREATE OR REPLACE FUNCTION public.on_event() RETURNS event_trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {body} END $$",
        f"CREATE EVENT TRIGGER of_the_company ON {event} EXECUTE FUNCTION public.on_event()",
        database=database,
    )
    try:
        yield
    finally:
        lab.run("DROP EVENT TRIGGER IF EXISTS of_the_company", database=database)


def need_login_triggers(lab: PostgreSQLLab) -> None:
    if lab.version < LOGIN_SINCE:
        pytest.skip("could not be shown on this server: event triggers on login")


@pytest.mark.parametrize(
    "body", ["INSERT INTO event_log VALUES (tg_tag);", "RAISE EXCEPTION 'not by day';"], ids=["bare name", "forbids"]
)
def test_granting_is_refused_in_words_that_name_the_trigger(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place, body: str
) -> None:
    alice = accounts.new(scope_of(Level.READ, orders))
    with event_trigger(lab, orders.database, "ddl_command_end", body), pytest.raises(TriggerInTheWay) as told:
        alice.provision()
    assert "of_the_company" in str(told.value)
    assert "public.on_event()" in str(told.value)
    assert not told.value.transient


def test_the_receipt_of_a_revocation_names_the_trigger(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders))
    made = orders.sibling("of_alice")
    session_of(alice).create_table(made)
    with event_trigger(lab, orders.database, "ddl_command_end", "INSERT INTO event_log VALUES (tg_tag);"):
        receipt = alice.revoke()
        assert not receipt.is_clean
        assert any("of_the_company" in line for line in receipt.errors)
    assert alice.revoke().is_clean
    assert lab.owner_of(made) == "lockgate_heir"


def test_a_trigger_with_names_in_full_is_in_nobodys_way(lab: PostgreSQLLab, accounts: Accounts, orders: Place) -> None:
    with event_trigger(lab, orders.database, "ddl_command_end", "INSERT INTO public.event_log VALUES (tg_tag);"):
        alice = accounts.provisioned(scope_of(Level.DDL, orders))
        session_of(alice).create_table(orders.sibling("of_alice"))
        receipt = alice.revoke()
    assert receipt.is_clean
    assert receipt.errors == ()


def test_a_login_trigger_that_writes_is_told_as_what_it_is(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    need_login_triggers(lab)
    alice = accounts.new(scope_of(Level.READ, orders))
    with event_trigger(lab, orders.database, "login", "INSERT INTO public.event_log VALUES ('login');"):
        with pytest.raises(PrincipalCannotLogIn) as told:
            alice.provision()
        assert told.value.code == "25006"
        assert "of_the_company" in str(told.value)
        assert "default_transaction_read_only" in str(told.value)
        assert not told.value.transient, "Nothing changes that but an administrator."
        assert alice.revoke().is_clean


def test_a_login_trigger_with_bare_names_is_not_in_our_way(
    lab: PostgreSQLLab, accounts: Accounts, orders: Place
) -> None:
    """It finds its table by the path that everybody has; ours is set as soon as we are in."""
    need_login_triggers(lab)
    with event_trigger(lab, orders.database, "login", "INSERT INTO event_log VALUES (session_user);"):
        alice = accounts.provisioned(scope_of(Level.WRITE, orders))
        with lab.connector() as connector:
            assert connector._sessions.on(orders.database).rows("SHOW search_path") == [("pg_catalog, pg_temp",)]
        receipt = alice.revoke()
    assert receipt.is_clean
    logins = lab.run("SELECT DISTINCT what FROM public.event_log", database=orders.database)
    assert (lab.target.user,) in logins


def test_a_login_trigger_that_refuses_us_is_told_as_what_it_is(lab: PostgreSQLLab) -> None:
    need_login_triggers(lab)
    database = lab.make_database("closed")
    refusing = f"IF session_user = '{lab.target.user}' THEN RAISE EXCEPTION 'not you' USING ERRCODE = '42501'; END IF;"
    with (
        event_trigger(lab, database, "login", refusing),
        lab.connector() as connector,
        pytest.raises(TriggerInTheWay) as told,
    ):
        connector._sessions.on(database)
    assert "on_event()" in str(told.value)
    assert "event_triggers = off" in str(told.value)
