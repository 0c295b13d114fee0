"""Every statement that the connectors of SQL Server and Azure SQL can compose: T-SQL, whatever the names, without secrets.

Always run, since no server is needed. Of account statements the parser knows no more than that they are some; so each
is also read token by token: whatever its names hold, it has the shape that it has with plain ones, and the names come
out of it as they went in.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import TokenType
from sqlglot.dialects.tsql import TSQL

from connectors.azuresql import accounts as azure_accounts
from connectors.azuresql import catalogue as azure_catalogue
from connectors.azuresql import ending as azure_ending
from connectors.azuresql import own_identity
from connectors.azuresql import revocation as azure_revocation
from connectors.azuresql import setup as azure_setup
from connectors.azuresql import statements as azure
from connectors.base import Authentication, Level, Limits, ProvisionRequest, RevokeRequest, Scope, Secret, Target
from connectors.sqlserver import (
    accounts,
    catalogue,
    checking,
    ending,
    handing_over,
    hints,
    joining,
    principals,
    reading_back,
    setup,
    statements,
    surroundings,
)
from connectors.sqlserver.handing_over import Owned
from connectors.sqlserver.privileges import Place
from connectors.sqlserver.statements import Command

#: One that closes a bracket, one that closes a text, one that begins a comment, one beyond ASCII and beyond U+FFFF, and the
#: longest that there is.
HOSTILE = [
    "a]b",
    "]",
    "a]]",
    "o'brien",
    "x'; DROP LOGIN [sa]; --",
    "a--b",
    "/* a */",
    "世界😀é",
    "x" * 128,
    "]" * 128,
    "[a",
    '"',
]
PLAIN = "plain"
SECRET = Secret("hunter2'];--")

#: A statement for a name, and what the server is sent for it.
Composer = Callable[[str], list[Command]]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The parser says of every account statement that it keeps it as it is."""
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("sqlglot").setLevel(logging.NOTSET)


def scopes_of(name: str) -> list[Scope]:
    """Every level in every shape."""
    shapes = [{}, {"schemas": (name,)}, {"tables": ((name, name),)}]
    scopes = [
        Scope(level, (name,), group=name, **shape)  # type: ignore[arg-type]
        for level, shape in product((Level.READ, Level.WRITE, Level.DDL), shapes)
    ]
    return [*scopes, Scope(Level.MEMBER, (name,), database_roles=(name,))]


def plans(name: str) -> list[Command]:
    """Both directions of a grant, for each engine and each scope."""
    found: list[Command] = []
    for scope in scopes_of(name):
        provision = ProvisionRequest(name, SECRET, scope, datetime.now(UTC), Limits())
        own = ProvisionRequest(name, SECRET, scope, datetime.now(UTC), Limits(), identity=name)
        found += statements.provision(provision, name) + statements.revoke(RevokeRequest(name, scope), name)
        found += azure.provision(provision) + azure.revoke(RevokeRequest(name, scope))
        found += azure.provision(own) + azure.revoke(RevokeRequest(name, scope, identity=name))
    return found


def single(name: str) -> list[Command]:
    """What is composed one by one, on the way of a grant or of its recovery."""
    places = [Place(), Place(name), Place(name, name)]
    kinds = [Owned("SCHEMA", "", name), Owned("ROLE", "", name), Owned("OBJECT", name, name), Owned("TYPE", name, name)]
    return [
        *(statements.grant(place, ("SELECT",), name, name) for place in places),
        *(statements.withdraw(place, ("SELECT",), name, name) for place in places),
        *(statements.withdraw_plain(place, ("SELECT",), name, name) for place in places),
        statements.join_fixed(name, name, name),
        statements.leave_fixed(name, name, name),
        *(statements.hand_over(owned.securable, name, name) for owned in kinds),
        *(statements.withdraw_granted("SELECT", place.on, name, name, name) for place in places),
        statements.create_plain_login(name, SECRET, name, name),
        statements.renew_login(name, SECRET, name, hashed=True),
        statements.renew_login(name, SECRET, name, hashed=False),
        statements.enable_login(name, name),
        statements.rename_login_back(name, name, name),
        statements.rename_user_back(name, name, name),
        statements.disable_login(name, name),
        statements.kill(51, name),
        statements.drop_login(name, name),
        statements.drop_user(name, name),
        statements.leave(name, name, name),
        statements.create_heir(name, name),
        azure.renew_user(name, SECRET, name),
        azure.renew_own_login(name, SECRET, SECRET, name),
        azure.admit(name, name),
        azure.block(name, name),
        azure.flush(name),
    ]


def setups(name: str) -> list[str]:
    """The scripts for our own account, batch by batch, and the remedies."""
    target = Target("sqlserver", "db.test", 1433, name, SECRET)
    token = Target("azuresql", "db.test", 1433, name, SECRET, authentication=Authentication.ACCESS_TOKEN)
    return [
        *setup.setup_batches(target),
        setup.remedy_in(name, name),
        *azure_setup.setup_batches(target),
        *azure_setup.setup_batches(token),
    ]


QUESTIONS = [
    *(getattr(catalogue, name) for name in ("DATABASES", "TABLES", "ROLES")),
    checking.SERVER_TIME,
    principals.LOGINS,
    principals.SESSIONS,
    principals.USERS,
    accounts._SIDS,
    accounts._NAMES.format(sids="%s, %s"),
    surroundings.ON_SERVER,
    surroundings.IN_DATABASE,
    surroundings.EVERYBODY,
    surroundings.GUEST_IN,
    surroundings.OWNERS,
    joining._MEMBERS,
    joining._HELD,
    checking._READ_ONLY,
    ending.sessions_of([b"1", b"2"]),
    handing_over.OWNED,
    handing_over.GRANTED,
    reading_back.logins_of([b"1", b"2"]),
    azure_catalogue.DATABASES,
    azure_catalogue.USERS,
    azure_catalogue.MARKS,
    azure_ending.SESSIONS,
    azure_accounts.USERS,
    azure_revocation.MARKS,
    own_identity.MARKS,
]


def everything(name: str) -> list[str]:
    """As the server gets it."""
    return [*(one.text for one in (*plans(name), *single(name))), *setups(name)]


def tokens(sql: str) -> list[tuple[TokenType, str]]:
    """The statement as T-SQL's lexer reads it."""
    return [(token.token_type, token.text) for token in TSQL().tokenize(sql)]


def shape(sql: str) -> list[str]:
    """What is left when names, texts and hashes are taken out: keywords and punctuation."""
    quoted = {TokenType.IDENTIFIER, TokenType.NATIONAL_STRING, TokenType.STRING, TokenType.HEX_STRING, TokenType.NUMBER}
    return [kind.name if kind in quoted else text.upper() for kind, text in tokens(sql)]


@pytest.mark.parametrize("name", [PLAIN, *HOSTILE])
def test_every_statement_is_one_piece_of_tsql(name: str) -> None:
    for one in (*plans(name), *single(name)):
        parsed = sqlglot.parse(one.text, dialect="tsql")
        assert len(parsed) == 1, one.text
        assert parsed[0] is not None
    for batch in setups(name):
        assert all(statement is not None for statement in sqlglot.parse(batch, dialect="tsql") if statement)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_changes_the_shape_of_a_statement(name: str) -> None:
    plain, hostile = everything(PLAIN), everything(name)
    assert len(plain) == len(hostile)
    for before, after in zip(plain, hostile, strict=True):
        assert shape(after) == shape(before), after


@pytest.mark.parametrize("name", HOSTILE)
def test_names_come_out_as_they_went_in(name: str) -> None:
    for one in single(name):
        names = [text for kind, text in tokens(one.text) if kind is TokenType.IDENTIFIER]
        assert set(names) <= {name}, one.text


#: How long one takes says how busy the machine is.
@settings(deadline=None)
@given(name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60))
def test_no_name_at_all_changes_the_shape_of_a_statement(name: str) -> None:
    name = name.replace("\\\n", "\\ ").replace("\\\r", "\\ ").rstrip(" ") or "a"
    for before, after in zip(single(PLAIN), single(name), strict=True):
        assert shape(after.text) == shape(before.text)


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_is_one_select(question: str) -> None:
    parsed = sqlglot.parse(question.replace("%s", "N'x'"), dialect="tsql")
    assert len(parsed) == 1
    assert isinstance(parsed[0], (sqlglot.exp.Select, sqlglot.exp.Union))


@pytest.mark.parametrize("name", [PLAIN, *HOSTILE])
def test_a_question_of_a_receipt_can_be_run_again(name: str) -> None:
    assert len(sqlglot.parse(reading_back._users_sql(name, [b"1"]).replace("%s", "N'x'"), dialect="tsql")) == 1
    shown = reading_back.shown(reading_back.logins_of([b"\x01\x02"]), name, b"\x01\x02")
    parsed = sqlglot.parse(shown, dialect="tsql")
    assert len(parsed) == 1
    assert (TokenType.NATIONAL_STRING, name) in [(kind, text.replace("''", "'")) for kind, text in tokens(shown)]


@pytest.mark.parametrize("name", [PLAIN, *HOSTILE])
def test_nothing_that_is_shown_holds_a_secret(name: str) -> None:
    password = SECRET.reveal()
    for one in (*plans(name), *single(name)):
        for text in (one.shown.sql, one.shown.note, repr(one)):
            assert password not in text.replace("''", "'")
            assert "hunter2" not in text
    assert not any("hunter2" in batch for batch in setups(name))


def test_on_sql_server_the_password_goes_as_a_hash_and_never_twice_the_same() -> None:
    scope = Scope(Level.READ, ("orders",), group="g")
    request = ProvisionRequest("lg_a", SECRET, scope, datetime.now(UTC))
    sent = [
        one.text
        for one in (
            *statements.provision(request, "master"),
            statements.create_login("lg_a", SECRET, "orders", "master", Limits()),
            statements.create_login("lg_a", SECRET, "orders", "master", Limits()),
        )
    ]
    assert "hunter2" not in "".join(sent)
    hashes = re.findall(r"0x0200[0-9a-f]{136}\b", "".join(sent[-2:]))
    assert len(set(hashes)) == 2
    assert SECRET.reveal().encode("utf-16-le").hex() not in "".join(sent)


@pytest.mark.parametrize("name", [PLAIN, *HOSTILE])
def test_hints_take_any_name_and_hold_no_password(name: str) -> None:
    target = Target("sqlserver", "db.test", 1433, "lockgate", SECRET)
    for hint in hints.connection_hints(target, "lg_a", name):
        assert "hunter2" not in hint.text
        assert ("{password}" in hint.text) is (hint.label != "sqlcmd")
    assert {"sqlcmd", "ODBC", "JDBC", "SQLAlchemy", ".env"} == {
        hint.label for hint in hints.connection_hints(target, "lg_a", name)
    }
