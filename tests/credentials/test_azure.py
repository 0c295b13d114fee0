"""Tokens of Entra ID, and Key Vault: the real clients of Microsoft against a peer that speaks the documented protocol."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from access.credentials import Account, resolve
from access.credentials.cache import CACHE
from access.credentials.errors import (
    IdentityRefused,
    ReferenceNotUnderstood,
    SecretNotThere,
    StoreNotConfigured,
    StoreRefused,
    StoreUnreachable,
)
from access.credentials.registry import writable_store
from access.errors import SecretUnavailable
from connectors.base import Authentication, Secret
from tests.credentials.peers.entra import ASSERTION, CLIENT, CLIENT_SECRET, IMDS, LOGIN, TENANT, VAULT, Entra
from tests.credentials.peers.web import Web, answer_under, certificate_for, serving

ACCOUNT = Account("postgresql", "orders.postgres.database.azure.com", 5432, "lockgate")
OPEN_SOURCE = "https://ossrdbms-aad.database.windows.net"


@pytest.fixture
def peer() -> Entra:
    return Entra()


@pytest.fixture
def web(peer: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """Microsoft, on this machine."""
    certificate, authority = certificate_for(tmp_path, LOGIN, VAULT)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    monkeypatch.setenv("NO_PROXY", "*")
    with serving(peer.answer, certificate) as secure, serving(peer.answer) as plain:
        answer_under(monkeypatch, {(LOGIN, 443): secure.port, (VAULT, 443): secure.port, (IMDS, 80): plain.port})
        monkeypatch.setattr(secure, "plain", plain, raising=False)
        yield secure


@pytest.fixture
def client_secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TEST_CLIENT_SECRET", CLIENT_SECRET)
    return f"azure:client-secret?tenant_id={TENANT}&client_id={CLIENT}&secret=env:TEST_CLIENT_SECRET"


@pytest.fixture
def workload(tmp_path: Path) -> str:
    file = tmp_path / "federated"
    file.write_text(ASSERTION)
    return f"azure:workload-identity?tenant_id={TENANT}&client_id={CLIENT}&token_file={quote(str(file))}"


def plain_of(web: Web) -> Web:
    found: Web = web.plain  # type: ignore[attr-defined]
    return found


# --- Tokens


@pytest.mark.parametrize("suffix", ["", f"?client_id={CLIENT}"])
def test_a_managed_identity_of_a_machine(web: Web, peer: Entra, suffix: str) -> None:
    credential = resolve(f"azure:managed-identity{suffix}", ACCOUNT)
    assert credential.secret.reveal() == peer.given[-1]
    assert credential.authentication is Authentication.ACCESS_TOKEN
    assert credential.expires_at is not None
    assert abs(credential.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)
    asked = plain_of(web).asked[-1]
    assert asked.query["resource"] == OPEN_SOURCE
    assert asked.query.get("client_id", "") == suffix.partition("=")[2]


def test_a_managed_identity_of_app_service(web: Web, peer: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{plain_of(web).port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-platform")
    assert resolve("azure:managed-identity", ACCOUNT).secret.reveal() == peer.given[-1]
    assert plain_of(web).asked[-1].path == "/msi/token"


def test_a_client_with_a_secret(web: Web, peer: Entra, client_secret: str) -> None:
    assert resolve(client_secret, ACCOUNT).secret.reveal() == peer.given[-1]
    (asked,) = [one for one in web.asked if one.path.endswith("/token")]
    assert asked.form["scope"].split()[0] == f"{OPEN_SOURCE}/.default"


def test_a_workload_identity_of_a_cluster(web: Web, peer: Entra, workload: str) -> None:
    assert resolve(workload, ACCOUNT).secret.reveal() == peer.given[-1]


@pytest.mark.parametrize(
    ("engine", "resource"),
    [
        ("mariadb", OPEN_SOURCE),
        ("sqlserver", "https://database.windows.net"),
        ("azuresql", "https://database.windows.net"),
    ],
)
def test_the_engine_says_what_the_token_is_for(web: Web, engine: str, resource: str) -> None:
    resolve("azure:managed-identity", Account(engine, "orders.test", 1433, "lockgate"))
    assert plain_of(web).asked[-1].query["resource"] == resource


def test_a_national_cloud_has_another_scope(web: Web) -> None:
    resolve("azure:managed-identity?scope=https://database.chinacloudapi.cn/.default", ACCOUNT)
    assert plain_of(web).asked[-1].query["resource"] == "https://database.chinacloudapi.cn"


# --- What goes wrong is told in words


def test_a_wrong_client_secret(web: Web, client_secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_CLIENT_SECRET", "quite another secret")
    with pytest.raises(IdentityRefused, match=r"got no token.*AADSTS7000215") as refused:
        resolve(client_secret, ACCOUNT)
    assert "quite another secret" not in str(refused.value)


def test_an_identity_that_the_machine_does_not_have(web: Web) -> None:
    with pytest.raises(IdentityRefused, match="Check that the identity exists"):
        resolve("azure:managed-identity?client_id=00000000-0000-0000-0000-000000000000", ACCOUNT)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, client_secret: str) -> None:
    answer_under(monkeypatch, {})
    with pytest.raises(SecretUnavailable, match="does not answer"):
        resolve(client_secret, ACCOUNT)


def test_a_workload_identity_outside_a_cluster() -> None:
    with pytest.raises(StoreNotConfigured):
        resolve("azure:workload-identity", ACCOUNT)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("azure:my-own-identity", "not 'my-own-identity'"),
        ("azure:client-secret?client_id=1", "needs the option secret"),
        ("azure:client-secret?tenant_id=1&client_id=2&secret=azure:managed-identity", "azure: is none of"),
        ("azure:managed-identity?clientid=1", "has no option 'clientid'"),
        ("azure:managed-identity#key", "takes no #key"),
    ],
)
def test_a_mistake_in_the_reference(reference: str, words: str) -> None:
    with pytest.raises(SecretUnavailable, match=words):
        resolve(reference, ACCOUNT)


def test_an_engine_that_takes_no_tokens() -> None:
    with pytest.raises(ReferenceNotUnderstood, match="no tokens for the engine fake"):
        resolve("azure:managed-identity", Account("fake", "", 1, ""))


# --- Kept, renewed, and in no log


def test_many_threads_cost_one_request(web: Web, peer: Entra) -> None:
    peer.delay = 0.3
    tokens: list[str] = []
    start = threading.Barrier(24)

    def ask() -> None:
        start.wait()
        tokens.append(resolve("azure:managed-identity", ACCOUNT).secret.reveal())

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 24
    assert set(tokens) == set(peer.given)
    assert len(peer.given) == 1


def test_a_token_is_kept_and_one_that_was_refused_is_not(web: Web, peer: Entra) -> None:
    first = resolve("azure:managed-identity", ACCOUNT).secret
    assert resolve("azure:managed-identity", ACCOUNT).secret == first
    assert CACHE.drop(("azure:managed-identity", ACCOUNT), first)
    second = resolve("azure:managed-identity", ACCOUNT).secret
    assert second != first, "azure-identity keeps nothing behind our back"
    assert not CACHE.drop(("azure:managed-identity", ACCOUNT), second), "once, and not for ever"


def test_a_child_has_the_token_of_its_parent_and_fetches_its_own(web: Web, peer: Entra) -> None:
    """As with the workers of Celery, which are forks."""
    resolve("azure:managed-identity", ACCOUNT)
    CACHE._lock.acquire()  # some thread of the parent's was just at it
    child = os.fork()
    if child == 0:
        status = 1
        try:
            resolve("azure:managed-identity", ACCOUNT)
            resolve(f"azure:managed-identity?client_id={CLIENT}", ACCOUNT)
            status = 0
        finally:
            os._exit(status)
    CACHE._lock.release()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(peer.given) == 2, "the one from before the fork was good in the child too"


def test_no_token_and_no_secret_is_in_any_log(
    web: Web, peer: Entra, client_secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    peer.keep("orders", "password-of-orders")
    credential = resolve(client_secret, ACCOUNT)
    resolve("azure:managed-identity", ACCOUNT)
    resolve("azure-secret:shop/orders", ACCOUNT)
    written = caplog.text + repr(credential) + str(credential) + repr([record.__dict__ for record in caplog.records])
    assert "azure" in caplog.text, "the clients do write logs"
    for secret in (*peer.given, CLIENT_SECRET, "password-of-orders"):
        assert secret not in written


# --- Key Vault


@pytest.fixture
def key_vault(web: Web, peer: Entra) -> Entra:
    peer.keep("orders", "first", {"team": "shop"}, "text/plain")
    return peer


def test_a_secret_of_a_key_vault(key_vault: Entra) -> None:
    credential = resolve("azure-secret:shop/orders", ACCOUNT)
    assert (credential.secret, credential.authentication) == (Secret("first"), Authentication.PASSWORD)
    assert resolve(f"azure-secret:https://{VAULT}/orders", ACCOUNT).secret == Secret("first")


def test_a_key_vault_read_as_a_client(key_vault: Entra, client_secret: str) -> None:
    options = client_secret.partition("?")[2]
    reference = f"azure-secret:shop/orders?identity=client-secret&{options}"
    assert resolve(reference, ACCOUNT).secret == Secret("first")


def test_a_key_vault_that_has_it_not_or_does_not_let_us(key_vault: Entra) -> None:
    with pytest.raises(SecretNotThere, match="There is no secret at the place"):
        resolve("azure-secret:shop/billing", ACCOUNT)
    key_vault.may_write = False
    with pytest.raises(StoreRefused, match="403"):
        writable_store("azure-secret:shop/orders", ACCOUNT).keep_next(Secret("next"))


def test_a_key_vault_that_is_not_there(web: Web) -> None:
    with pytest.raises(StoreUnreachable):
        resolve("azure-secret:elsewhere/orders", ACCOUNT)


def test_a_rotation_in_a_key_vault(key_vault: Entra) -> None:
    store = writable_store("azure-secret:shop/orders", ACCOUNT)
    assert store.fetch_next() is None
    assert store.keep_next(Secret("second")) == Secret("second")
    assert store.keep_next(Secret("third")) == Secret("second"), "the one beside it is never replaced"
    assert (store.fetch().secret, store.fetch_next()) == (Secret("first"), Secret("second"))

    store.promote(Secret("second"))
    store.promote(Secret("second"))

    assert (store.fetch().secret, store.fetch_next()) == (Secret("second"), None)
    latest = key_vault.secrets["orders"][-1]
    assert (latest["tags"], latest["contentType"]) == ({"team": "shop"}, "text/plain")
    assert len(key_vault.secrets["orders"]) == 2
    assert store.keep_next(Secret("third")) == Secret("third"), "what was promoted is not in the way"


def test_a_secret_that_somebody_changed_by_hand_has_none_beside_it(key_vault: Entra) -> None:
    store = writable_store("azure-secret:shop/orders", ACCOUNT)
    store.keep_next(Secret("second"))
    key_vault.keep("orders", "by hand")
    assert store.fetch_next() is None
