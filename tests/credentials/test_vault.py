"""HashiCorp Vault: the real hvac against a peer that speaks the documented protocol."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from access.credentials import Account, resolve
from access.credentials.base import WritableStore
from access.credentials.cache import CACHE
from access.credentials.errors import (
    ReferenceNotUnderstood,
    SecretNotThere,
    StoreNotConfigured,
    StoreRefused,
    StoreUnreachable,
)
from access.credentials.registry import writable_store
from access.errors import SecretUnavailable
from connectors.base import Secret
from tests.credentials.peers.hashicorp import TOKEN, Vault
from tests.credentials.peers.web import Web, certificate_for, serving

ACCOUNT = Account("postgresql", "orders.test", 5432, "lockgate")
SECOND, FIRST = REFERENCES = ("vault:team/secret/orders#password", "vault:old/orders#password")


@pytest.fixture
def vault() -> Vault:
    held = {"password": "first", "user": "lockgate"}
    return Vault(versions={"orders": [held]}, plain={"orders": dict(held)})


@pytest.fixture
def web(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    certificate, authority = certificate_for(tmp_path, "localhost")
    with serving(vault.answer, certificate) as served:
        monkeypatch.setenv("VAULT_ADDR", f"https://localhost:{served.port}")
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        monkeypatch.setenv("VAULT_CACERT", str(authority))
        monkeypatch.setenv("NO_PROXY", "*")
        yield served


@pytest.mark.parametrize(
    "reference",
    [
        *REFERENCES,
        "vault:team/secret/orders",
        "vault:team/secret/orders?kv=2&mount=team/secret",
        "vault:old/orders?kv=1",
    ],
)
def test_a_field_of_a_secret(web: Web, reference: str) -> None:
    assert resolve(reference, ACCOUNT).secret == Secret("first")


def test_a_namespace_is_told(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_NAMESPACE", "shop")
    resolve(SECOND, ACCOUNT)
    assert {asked.headers["x-vault-namespace"] for asked in web.asked} == {"shop"}


def test_the_token_may_be_in_a_file_that_an_agent_renews(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("VAULT_TOKEN_FILE", str(file))
    with pytest.raises(StoreNotConfigured, match="both set"):
        resolve(SECOND, ACCOUNT)
    monkeypatch.delenv("VAULT_TOKEN")
    assert resolve(SECOND, ACCOUNT).secret == Secret("first")
    file.unlink()
    CACHE.clear()
    with pytest.raises(StoreNotConfigured, match="VAULT_TOKEN_FILE"):
        resolve(SECOND, ACCOUNT)


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_rotation(web: Web, vault: Vault, reference: str) -> None:
    store = writable_store(reference, ACCOUNT)
    assert store.fetch_next() is None
    assert store.keep_next(Secret("second")) == Secret("second")
    assert store.keep_next(Secret("third")) == Secret("second"), "the one beside it is never replaced"
    assert (store.fetch().secret, store.fetch_next()) == (Secret("first"), Secret("second"))

    store.promote(Secret("second"))
    store.promote(Secret("second"))

    assert (store.fetch().secret, store.fetch_next()) == (Secret("second"), None)
    held = vault.versions["orders"][-1] if reference == SECOND else vault.plain["orders"]
    assert held == {"password": "second", "user": "lockgate"}, "other fields stay"


def test_two_who_write_at_once_do_not_overwrite_each_other(web: Web, vault: Vault) -> None:
    """Somebody else's rotation begins between our reading and our writing."""
    store: Any = writable_store(SECOND, ACCOUNT)
    honest, was_quicker = store._read, []

    def overtaken(*args: Any) -> Any:
        read = honest(*args)
        if not was_quicker:
            was_quicker.append(True)
            other: WritableStore = writable_store(SECOND, ACCOUNT)
            other.keep_next(Secret("theirs"))
        return read

    store._read = overtaken
    assert store.keep_next(Secret("ours")) == Secret("theirs")


# --- What goes wrong is told in words


@pytest.mark.parametrize(
    ("reference", "kind", "words"),
    [
        ("vault:orders", ReferenceNotUnderstood, "vault:mount/path#key"),
        ("vault:team/secret/orders?kv=3", ReferenceNotUnderstood, "kv is 1 or 2"),
        ("vault:team/secret/orders?kv=2&mount=elsewhere", ReferenceNotUnderstood, "not lie below"),
        ("vault:team/secret/billing", SecretNotThere, "nothing at team/secret/billing"),
        ("vault:team/secret/orders#pin", SecretNotThere, "no field 'pin'"),
        ("vault:foreign/orders", StoreRefused, "does not allow it"),
    ],
)
def test_a_mistake_in_the_reference(web: Web, reference: str, kind: type[SecretUnavailable], words: str) -> None:
    with pytest.raises(kind, match=words):
        resolve(reference, ACCOUNT)


def test_a_wrong_token(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.wrong")
    with pytest.raises(StoreRefused, match="does not let Lockgate") as refused:
        resolve(SECOND, ACCOUNT)
    assert "hvs.wrong" not in str(refused.value)


def test_a_policy_that_does_not_let_us_write(web: Web, vault: Vault) -> None:
    vault.may_write = False
    with pytest.raises(StoreRefused):
        writable_store(SECOND, ACCOUNT).keep_next(Secret("next"))


def test_a_sealed_vault(web: Web, vault: Vault) -> None:
    vault.sealed = True
    with pytest.raises(StoreUnreachable, match="sealed"):
        resolve(SECOND, ACCOUNT)


def test_a_certificate_that_is_not_trusted(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_CACERT")
    with pytest.raises(StoreUnreachable, match="set VAULT_CACERT"):
        resolve(SECOND, ACCOUNT)
    assert web.asked == []


def test_nobody_there(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "https://127.0.0.1:9")
    with pytest.raises(StoreUnreachable, match="does not answer"):
        resolve(SECOND, ACCOUNT)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("VAULT_ADDR", "", "VAULT_ADDR is not set"),
        ("VAULT_ADDR", "http://vault.test:8200", "has to begin with https"),
        ("VAULT_TOKEN", "", "VAULT_TOKEN or VAULT_TOKEN_FILE is not set"),
    ],
)
def test_what_is_missing_is_named(web: Web, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StoreNotConfigured, match=words):
        resolve(SECOND, ACCOUNT)
    assert web.asked == []


def test_nothing_of_it_is_in_any_log(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    resolve(SECOND, ACCOUNT)
    writable_store(SECOND, ACCOUNT).keep_next(Secret("the-next-one"))
    assert "urllib3" in caplog.text, "the client does write logs"
    for secret in (TOKEN, "first", "the-next-one"):
        assert secret not in caplog.text
