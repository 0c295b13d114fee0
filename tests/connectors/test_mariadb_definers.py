"""Views, routines, triggers and events of an account that ends: the same as before, but for whose rights they run with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import MySQLdb
import pytest

from connectors.base import Level, Receipt, RevokeRequest, Scope
from tests.connectors.conftest import Account, Accounts, lab_of
from tests.connectors.labs.base import HOSTILE, Lab, Place, random_token, scope_of
from tests.connectors.labs.mariadb import MariaDBLab, MariaDBSession, at, pattern, quoted, wait_until

HEIR = "lockgate_heir"


@pytest.fixture
def lab(labs: dict[str, Lab]) -> MariaDBLab:
    return cast(MariaDBLab, lab_of("mariadb", labs))


@pytest.fixture
def orders(lab: MariaDBLab) -> Place:
    return lab.make_table(lab.make_database("orders"), "")


@pytest.fixture
def alice(accounts: Accounts, orders: Place) -> Account:
    """May define things in the database of the orders."""
    return accounts.provisioned(scope_of(Level.DDL, orders))


@pytest.fixture
def session(alice: Account) -> MariaDBSession:
    return cast(MariaDBSession, alice.log_in())


class Definitions:
    """What the server says about things in one database, in the administrator's eyes."""

    def __init__(self, lab: MariaDBLab, database: str) -> None:
        self._database = database
        self._connection: Any = MySQLdb.connect(
            host=lab.root.host,
            port=lab.root.port,
            user=lab.root.user,
            password=lab.root.password.reveal(),
            database=database,
            charset="utf8mb4",
            ssl_mode="DISABLED",
        )

    def of(self, kind: str, name: str) -> tuple[Any, ...]:
        """All that SHOW CREATE tells, without the time of creation. It names the database of a column or not."""
        cursor = self._connection.cursor()
        cursor.execute(f"SHOW CREATE {kind} {quoted(name)}")
        columns = [column[0] for column in cursor.description]
        told = zip(columns, cursor.fetchone(), strict=True)
        return tuple(value.replace(f"{quoted(self._database)}.", "") for column, value in told if column != "Created")

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def definitions(lab: MariaDBLab, orders: Place) -> Iterator[Definitions]:
    opened = Definitions(lab, orders.database)
    yield opened
    opened.close()


def in_heirs_name(told: tuple[Any, ...], principal: str) -> tuple[Any, ...]:
    """What the server should say afterwards."""
    definer = rf"DEFINER=([`\"])(?:{principal}\1@\1%|{principal}_role)\1"
    rewritten = tuple(re.sub(definer, rf"DEFINER=\1{HEIR}\1", value) for value in told)
    assert rewritten != told, "It has not been the account's."
    return rewritten


def line_about(receipt: Receipt, name: str) -> str:
    lines = [line for line in receipt.handed_over if f".{name}:" in line]
    assert len(lines) == 1
    return lines[0]


# --- The same as before


@pytest.mark.parametrize(
    ("kind", "create"),
    [
        ("VIEW", "CREATE VIEW {name} AS SELECT id, note AS `odd``\"'name` FROM {table} WHERE note <> '%\\\\'''"),
        ("VIEW", "CREATE ALGORITHM = MERGE VIEW {name} AS SELECT * FROM {table} WHERE id > 1 WITH LOCAL CHECK OPTION"),
        ("VIEW", "CREATE SQL SECURITY INVOKER VIEW {name} (a, b) AS SELECT * FROM {table}"),
        ("VIEW", "CREATE DEFINER = CURRENT_ROLE VIEW {name} AS SELECT * FROM {table}"),
        ("PROCEDURE", "CREATE PROCEDURE {name}(IN a INT, OUT b TEXT) COMMENT 'it''s' SET b = CONCAT(a, ' %s {{}}')"),
        ("PROCEDURE", "CREATE DEFINER = CURRENT_ROLE PROCEDURE {name}() BEGIN /* ; */ DELETE FROM {table}; END"),
        ("FUNCTION", "CREATE FUNCTION {name}(a TEXT) RETURNS TEXT CHARSET latin1 DETERMINISTIC RETURN 'é世'"),
        (
            "FUNCTION",
            "CREATE AGGREGATE FUNCTION {name}(a INT) RETURNS INT BEGIN DECLARE s INT DEFAULT 0;"
            " DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s; LOOP FETCH GROUP NEXT ROW; SET s = s + a; END LOOP; END",
        ),
        ("TRIGGER", "CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW SET NEW.note = _binary 'x'"),
        (
            "TRIGGER",
            "create /* a */ trigger if not exists {name} -- b\n after\tupdate on{table}for each row begin set @a = 1; end",
        ),
        (
            "TRIGGER",
            "CREATE DEFINER = CURRENT_ROLE TRIGGER {name} AFTER DELETE ON {table} FOR EACH ROW DO 'for each row'",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["", "ANSI_QUOTES,PIPES_AS_CONCAT", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"])
def test_only_the_definer_changes(
    alice: Account, session: MariaDBSession, orders: Place, definitions: Definitions, kind: str, create: str, mode: str
) -> None:
    name = f"odd {random_token()}"
    session.run(f"SET sql_mode = '{mode}', collation_connection = 'utf8mb4_bin'")
    session.run(create.format(name=quoted(name), table=at(orders)))
    before = definitions.of(kind, name)

    receipt = alice.revoke()

    assert receipt.is_clean
    assert receipt.errors == ()
    assert HEIR in line_about(receipt, name)
    after = definitions.of(kind, name)
    if kind == "TRIGGER":
        assert body_of(after) == body_of(before)
        assert (after[1], *after[3:]) == (before[1], *before[3:])
        assert HEIR in after[2]
    else:
        assert after == in_heirs_name(before, alice.principal)


def body_of(trigger: tuple[Any, ...]) -> str:
    """The head of a trigger is written anew, since the server keeps it as its maker wrote it."""
    text = str(trigger[2])
    return text[text.lower().index("each row") + len("each row") :].strip()


def test_a_package_keeps_its_body(alice: Account, session: MariaDBSession, definitions: Definitions) -> None:
    session.run("SET sql_mode = 'ORACLE'")
    session.run("CREATE PACKAGE stock AS FUNCTION one RETURN INT; END")
    session.run("CREATE PACKAGE BODY stock AS FUNCTION one RETURN INT AS BEGIN RETURN 1; END; END")
    before = [definitions.of(kind, "stock") for kind in ("PACKAGE", "PACKAGE BODY")]

    receipt = alice.revoke()

    assert receipt.is_clean
    assert receipt.errors == ()
    after = [definitions.of(kind, "stock") for kind in ("PACKAGE", "PACKAGE BODY")]
    assert after == [in_heirs_name(each, alice.principal) for each in before]


def test_a_trigger_keeps_its_place_among_others(
    lab: MariaDBLab, alice: Account, session: MariaDBSession, orders: Place
) -> None:
    here = f"{quoted(orders.database)}."
    made = "BEFORE INSERT ON " + at(orders) + " FOR EACH ROW SET NEW.note = 'x'"
    lab.rows(f"CREATE TRIGGER {here}first {made}")
    session.run(f"CREATE TRIGGER second {made}")
    session.run(f"CREATE TRIGGER third {made}")
    lab.rows(f"CREATE TRIGGER {here}fourth {made}")
    session.run(f"CREATE TRIGGER fifth {made.replace('FOR EACH ROW', 'FOR EACH ROW FOLLOWS fourth')}")

    receipt = alice.revoke()

    assert receipt.errors == ()
    order = (
        "SELECT trigger_name, definer FROM information_schema.triggers WHERE trigger_schema = %s ORDER BY action_order"
    )
    rows = lab.rows(order, orders.database)
    assert [name for name, _ in rows] == ["first", "second", "third", "fourth", "fifth"]
    assert [definer.startswith(HEIR) for _, definer in rows] == [False, True, True, False, True]


def test_others_may_still_call_a_routine(
    lab: MariaDBLab, alice: Account, session: MariaDBSession, orders: Place
) -> None:
    session.run("CREATE PROCEDURE tidy() COMMENT 'SQL SECURITY INVOKER' DO 1")
    role = lab.make_role("nightly")
    lab.rows(f"GRANT EXECUTE ON PROCEDURE {quoted(orders.database)}.tidy TO {quoted(role)}")

    receipt = alice.revoke()

    assert "refuses to work" in line_about(receipt, "tidy")
    assert lab.rows("SELECT Proc_priv FROM mysql.procs_priv WHERE User = %s", role) == [("Execute",)]


# --- What it may do from then on


def test_nothing_runs_on_with_rights(lab: MariaDBLab, alice: Account, session: MariaDBSession, orders: Place) -> None:
    here = f"{quoted(orders.database)}."
    session.run(f"CREATE DEFINER = CURRENT_ROLE VIEW all_of_it AS SELECT * FROM {at(orders)}")
    session.run(
        f"CREATE DEFINER = CURRENT_ROLE FUNCTION how_many() RETURNS INT RETURN (SELECT COUNT(*) FROM {at(orders)})"
    )
    session.run(f"CREATE SQL SECURITY INVOKER VIEW as_caller AS SELECT * FROM {at(orders)}")
    session.run(f"CREATE DEFINER = CURRENT_ROLE TRIGGER shout BEFORE INSERT ON {at(orders)} FOR EACH ROW SET @a = 1")
    assert len(lab.rows(f"SELECT * FROM {here}all_of_it")) == 3
    assert lab.rows(f"SELECT {here}how_many()") == [(3,)]

    receipt = alice.revoke()

    with pytest.raises(MySQLdb.Error, match="1356"):
        lab.rows(f"SELECT * FROM {here}all_of_it")
    with pytest.raises(MySQLdb.Error, match="1370"):
        lab.rows(f"SELECT {here}how_many()")
    with pytest.raises(MySQLdb.Error, match="1142"):
        lab.rows(f"INSERT INTO {at(orders)} (note) VALUES ('x')")
    assert "every INSERT" in line_about(receipt, "shout")
    assert len(lab.rows(f"SELECT * FROM {here}as_caller")) == 3
    lab.rows(f"DROP TRIGGER {here}shout")
    lab.rows(f"INSERT INTO {at(orders)} (note) VALUES ('x')")


def test_what_ran_with_the_rights_of_its_caller_does_not_go_on_to(
    lab: MariaDBLab, alice: Account, session: MariaDBSession, orders: Place
) -> None:
    """Whoever reads the view that was put in place of theirs would run a person's code who has no access any more."""
    here = f"{quoted(orders.database)}."
    act = f"INSERT INTO {at(orders)} (note) VALUES ('by somebody else')"
    session.run(f"CREATE FUNCTION act() RETURNS INT SQL SECURITY INVOKER BEGIN {act}; RETURN 1; END")
    session.run(f"CREATE PROCEDURE acts() SQL SECURITY INVOKER {act}")
    session.run("CREATE SQL SECURITY INVOKER VIEW numbers AS SELECT act() AS one")
    session.run("SET sql_mode = 'ORACLE'")
    packaged = "PACKAGE {0} stock {1} SQL SECURITY INVOKER AS PROCEDURE acts"
    session.run(f"CREATE {packaged.format('', '')}; END")
    session.run(f"CREATE {packaged.format('BODY', '')} AS BEGIN {act}; END; END")
    assert lab.rows(f"SELECT * FROM {here}numbers") == [(1,)]

    receipt = alice.revoke()

    assert receipt.is_clean
    assert not receipt.errors
    for sql in (
        f"SELECT * FROM {here}numbers",
        f"SELECT {here}act()",
        f"CALL {here}acts()",
        f"CALL {here}stock.acts()",
    ):
        with pytest.raises(MySQLdb.Error, match=r"1356|1370|denied"):
            lab.rows(sql)
    assert not lab.rows("SELECT name FROM mysql.proc WHERE db = %s AND security_type = 'INVOKER'", orders.database)
    # An administrator who has read it lets it go on, with what the receipt says.
    lab.rows(line_about(receipt, "act").partition("runs ")[2])
    assert lab.rows(f"SELECT {here}act()") == [(1,)]


@pytest.fixture
def scheduler(lab: MariaDBLab, accounts: Accounts, orders: Place) -> Account:
    """A member of a customer's role that may make events, which no level of Lockgate's may."""
    role = lab.make_role("schedulers")
    lab.rows(f"GRANT ALL ON {pattern(orders.database)} TO {quoted(role)}")
    return accounts.provisioned(Scope(Level.MEMBER, (orders.database,), database_roles=(role,)))


def test_an_event_is_switched_off(lab: MariaDBLab, scheduler: Account, orders: Place, definitions: Definitions) -> None:
    session = cast(MariaDBSession, scheduler.log_in())
    insert = f"INSERT INTO {at(orders)} (note) VALUES ('from an event')"
    session.run("SET time_zone = '+02:00', sql_mode = 'ANSI_QUOTES'")
    session.run(f"CREATE DEFINER = CURRENT_ROLE EVENT often ON SCHEDULE EVERY 1 SECOND COMMENT 'it''s' DO {insert}")
    wait_until(lambda: session.count(orders) > 3)
    before = definitions.of("EVENT", "often")

    receipt = scheduler.revoke()

    assert receipt.is_clean
    assert receipt.errors == ()
    assert "switched off" in line_about(receipt, "often")
    after = definitions.of("EVENT", "often")
    expected = in_heirs_name(before, scheduler.principal)
    assert after[:3] == expected[:3]
    assert after[3] == expected[3].replace("ENABLE COMMENT", "DISABLE COMMENT")
    assert after[4:] == expected[4:]


def test_an_event_that_is_at_work_is_ended(lab: MariaDBLab, scheduler: Account, orders: Place) -> None:
    session = cast(MariaDBSession, scheduler.log_in())
    session.run(
        "CREATE DEFINER = CURRENT_ROLE EVENT slow ON SCHEDULE EVERY 1 HOUR DO BEGIN"
        f" DO SLEEP(3); INSERT INTO {at(orders)} (note) VALUES ('too late'); END"
    )
    running = "SELECT id FROM information_schema.processlist WHERE user = %s"
    wait_until(lambda: bool(lab.rows(running, f"{scheduler.principal}_role")))

    receipt = scheduler.revoke()

    assert receipt.is_clean
    assert not lab.rows(running, f"{scheduler.principal}_role")


# --- What cannot be re-defined


def test_what_cannot_be_redefined_is_told(
    lab: MariaDBLab, alice: Account, session: MariaDBSession, orders: Place
) -> None:
    other = lab.make_table(orders.database, "")
    session.run(f"CREATE VIEW broken AS SELECT * FROM {at(other)}")
    session.run(f"CREATE VIEW whole AS SELECT * FROM {at(orders)}")
    lab.rows(f"DROP TABLE {at(other)}")

    receipt = alice.revoke()

    assert receipt.is_clean, "It gives nobody any access."
    assert "could not be re-defined" in line_about(receipt, "broken")
    assert HEIR in line_about(receipt, "whole")
    assert len(receipt.errors) == 1
    assert "broken" in receipt.errors[0]


def test_a_routine_where_we_may_not_define_is_told(lab: MariaDBLab, accounts: Accounts, orders: Place) -> None:
    """A customer's role may reach a database in which Lockgate's account has no rights."""
    role = lab.make_role("builders", reads=orders)
    database = f"{random_token()}theirs"
    lab.rows(f"CREATE DATABASE {quoted(database)}")
    lab.rows(f"GRANT ALL ON {pattern(database)} TO {quoted(role)}")
    alice = accounts.provisioned(Scope(Level.MEMBER, (orders.database,), database_roles=(role,)))
    alice.log_in(database).run("CREATE PROCEDURE theirs() SQL SECURITY INVOKER DO 1")

    receipt = alice.revoke()

    assert receipt.is_clean
    assert "could not be re-defined, and so it works on" in line_about(receipt, "theirs")
    lab.drop_database(database)


def test_hostile_names_are_handed_over(lab: MariaDBLab, accounts: Accounts, orders: Place) -> None:
    alice = accounts.provisioned(scope_of(Level.DDL, orders), principal=f"lg_{random_token()}_{HOSTILE}@b")
    session = alice.log_in()
    session.run("SET sql_mode = 'ANSI_QUOTES'")
    session.run(f"CREATE TRIGGER {quoted(HOSTILE)} BEFORE INSERT ON {at(orders)} FOR EACH ROW DO 1")
    session.run(f"CREATE PROCEDURE {quoted(HOSTILE)}() DO 1")
    receipt = alice.revoke()
    assert receipt.errors == ()
    assert len(receipt.handed_over) == 2
    assert not lab.privileges_of(alice.principal)


def test_what_somebody_is_using_is_handed_over_later(
    lab: MariaDBLab, alice: Account, session: MariaDBSession, accounts: Accounts, orders: Place
) -> None:
    """To change a trigger takes the table for oneself, and whoever comes after waits behind: so we give up soon."""
    session.run(f"CREATE TRIGGER shout BEFORE DELETE ON {at(orders)} FOR EACH ROW SET @a = 1")
    bob = accounts.provisioned(scope_of(Level.READ, orders)).log_in()
    bob.begin()
    bob.count(orders)

    receipt = alice.revoke()

    assert not receipt.is_clean
    assert any("trigger" in line and "shout" in line for finding in receipt.findings for line in finding.found)
    assert not lab.account_exists(alice.principal), "Nothing of it keeps the account itself."
    bob.commit()
    receipt = alice.revoke()
    assert receipt.is_clean
    assert HEIR in line_about(receipt, "shout")


def test_an_heir_that_may_do_something_inherits_nothing(
    lab: MariaDBLab, alice: Account, session: MariaDBSession, orders: Place
) -> None:
    session.run(f"CREATE VIEW shown AS SELECT * FROM {at(orders)}")
    heir = lab.make_role("rich", reads=orders)
    request = RevokeRequest(alice.principal, alice.request.scope, heir=heir)
    with lab.connector() as connector:
        receipt = connector.revoke(request, alice.journal)
    assert not receipt.is_clean
    assert any("has privileges" in error for error in receipt.errors)
    assert HEIR in line_about(alice.revoke(), "shown")
