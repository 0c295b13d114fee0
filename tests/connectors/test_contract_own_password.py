"""What every connector promises about Lockgate's own login: its password can change, and it may be a token."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from connectors.base import Authentication, Connector, Secret, Target, Tls
from connectors.errors import AdminLoginRefused, ServerUnreachable, TokenNeedsTls
from connectors.redaction import MASK
from connectors.registry import open_connector
from tests.connectors.conftest import Notebook, assert_without
from tests.connectors.labs.base import Lab


class Source:
    """A source of secrets that is told what to give, and remembers what it was asked."""

    def __init__(self, *given: Secret) -> None:
        self._given = list(given)
        self.refused: list[Secret] = []
        self.let_in: list[Secret] = []

    def current(self) -> Secret:
        # The last one for ever: a server with several databases may take several logins.
        return self._given.pop(0) if len(self._given) > 1 else self._given[0]

    def instead_of(self, refused: Secret) -> Secret | None:
        self.refused.append(refused)
        return self.current()

    def accepted(self, secret: Secret) -> None:
        self.let_in.append(secret)


def new_password() -> Secret:
    return Secret(secrets.token_urlsafe(24))


@pytest.fixture
def changing(lab: Lab) -> Iterator[Connector]:
    """A connector whose session goes on; afterwards the account has its password again."""
    with lab.connector() as connector:
        yield connector
        connector.change_own_password(lab.target.password, Notebook())


def test_our_own_password_changes_and_the_session_goes_on(lab: Lab, changing: Connector) -> None:
    password, journal = new_password(), Notebook()
    changing.prove_own_login(lab.target.password)

    changing.change_own_password(password, journal)

    changing.prove_own_login(password)
    with pytest.raises(AdminLoginRefused) as refused:
        changing.prove_own_login(lab.target.password)
    assert "Most likely the password" in str(refused.value)
    changing.list_principals()
    assert_without(password, str(refused.value), repr(refused.value))


def test_what_is_kept_of_the_change_is_a_hash_of_the_statement(lab: Lab, changing: Connector) -> None:
    password, journal = new_password(), Notebook()
    changing.change_own_password(password, journal)
    (entry,) = journal
    assert MASK in entry.statement.sql
    assert entry.error == ""
    assert len(entry.digest) == 64
    assert entry.digest != hashlib.sha256(entry.statement.sql.encode()).hexdigest()
    assert_without(password, repr(entry), lab.server_log())


def test_the_source_is_asked_at_the_login_and_told_how_it_went(lab: Lab) -> None:
    wrong, right = lab.wrong_password().password, lab.target.password
    source = Source(wrong, right)
    with open_connector(unshared(lab, source)) as connector:
        connector.list_principals()
    assert source.refused == [wrong]
    assert source.let_in
    assert all(secret == right for secret in source.let_in)


def test_a_refusal_is_told_when_the_source_has_no_other(lab: Lab) -> None:
    wrong = lab.wrong_password().password
    source = Source(wrong, wrong, wrong, wrong)
    with open_connector(unshared(lab, source)) as connector, pytest.raises(AdminLoginRefused):
        connector.check()
    assert len(source.refused) == 2, "an account is locked by too many wrong passwords"
    assert source.let_in == []


def test_nobody_at_home_is_no_refusal(lab: Lab) -> None:
    source = Source(lab.target.password, lab.target.password)
    target = replace(lab.unreachable(), source=source)
    with open_connector(target) as connector, pytest.raises(ServerUnreachable):
        connector.check()
    assert source.refused == []


def test_a_token_is_not_sent_without_tls(lab: Lab) -> None:
    target = replace(lab.target, tls=Tls.DISABLE, authentication=Authentication.ACCESS_TOKEN)
    with open_connector(target) as connector, pytest.raises(TokenNeedsTls):
        connector.check()
    with open_connector(target) as connector, pytest.raises(TokenNeedsTls):
        connector.prove_own_login(target.password)


def test_the_setup_of_an_account_with_tokens_has_no_password(lab: Lab) -> None:
    target = replace(lab.target, tls=Tls.REQUIRE, authentication=Authentication.ACCESS_TOKEN)
    with open_connector(target) as connector, lab.connector() as ordinary:
        expected = lab.engine == "fake"  # whose server knows no tokens
        assert ("password" in connector.setup_sql().lower()) is expected
        assert "password" in ordinary.setup_sql().lower()


def unshared(lab: Lab, source: Source) -> Target:
    """A target that finds none of the connections which wait."""
    return replace(lab.target, password=new_password(), source=source)
