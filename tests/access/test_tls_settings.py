"""Which TLS settings a server's entry takes: what the engine's driver does as it says, and nothing less than it needs."""

from __future__ import annotations

import pytest

from access.services.catalogue.checks import (
    AuthorityMissing,
    PasswordInTheClear,
    TlsNotOffered,
    TokenInTheClear,
    check_tls,
)
from connectors.base import Tls
from connectors.registry import tls_settings_of
from console.forms.servers import ChangeServerForm

ELSEWHERE = "orders.db.test"
PASSWORD = "file:/run/servers/orders"


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_verify_ca_is_for_drivers_that_tell_the_chain_from_the_name(engine: str) -> None:
    check_tls(engine, ELSEWHERE, PASSWORD, Tls.VERIFY_CA, "/etc/ssl/ours.pem")
    assert Tls.VERIFY_CA in tls_settings_of(engine)


@pytest.mark.parametrize("engine", ["sqlserver", "azuresql"])
def test_verify_ca_is_not_offered_where_the_driver_checks_the_name_too(engine: str) -> None:
    with pytest.raises(TlsNotOffered):
        check_tls(engine, ELSEWHERE, PASSWORD, Tls.VERIFY_CA, "")
    form = ChangeServerForm()
    form.offer_tls_of(engine)
    assert [value for value, _ in form.fields["tls"].choices] == ["verify-full", "require", "disable"]  # type: ignore[attr-defined]


def test_verify_ca_of_postgresql_takes_a_file() -> None:
    with pytest.raises(AuthorityMissing):
        check_tls("postgresql", ELSEWHERE, PASSWORD, Tls.VERIFY_CA, "")


@pytest.mark.parametrize("engine", ["sqlserver", "azuresql"])
def test_a_password_that_goes_as_it_is_stays_on_this_machine_without_tls(engine: str) -> None:
    with pytest.raises(PasswordInTheClear):
        check_tls(engine, ELSEWHERE, PASSWORD, Tls.DISABLE, "")
    for here in ("localhost", "127.0.0.1", "::1"):
        check_tls(engine, here, PASSWORD, Tls.DISABLE, "")


def test_a_token_never_goes_without_tls() -> None:
    with pytest.raises(TokenInTheClear):
        check_tls("postgresql", "localhost", "azure:managed-identity", Tls.DISABLE, "")
