"""AWS: Secrets Manager as moto plays it, and IAM tokens, which are signed here and shown on real servers."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import boto3
import pytest
from moto.server import ThreadedMotoServer

from access.credentials import Account, resolve
from access.credentials.errors import (
    ReferenceNotUnderstood,
    SecretNotThere,
    StoreNotConfigured,
    StoreUnreachable,
)
from access.credentials.registry import writable_store
from access.errors import SecretUnavailable
from connectors.base import Authentication, Secret

ACCOUNT = Account("postgresql", "orders.abcdefgh.eu-central-1.rds.amazonaws.com", 5432, "lockgate")
KEY_ID, KEY = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity of this machine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def manager(keys: None, moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Secrets Manager, empty."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto)
    client = boto3.client("secretsmanager")
    yield client
    for secret in client.list_secrets()["SecretList"]:
        client.delete_secret(SecretId=secret["Name"], ForceDeleteWithoutRecovery=True)
    client.close()


# --- Secrets Manager


@pytest.mark.parametrize("reference", ["aws-secret:shop/orders", "aws-secret:shop/orders?region=eu-central-1"])
def test_a_whole_secret(manager: object, reference: str) -> None:
    manager.create_secret(Name="shop/orders", SecretString="first")  # type: ignore[attr-defined]
    credential = resolve(reference, ACCOUNT)
    assert (credential.secret, credential.authentication) == (Secret("first"), Authentication.PASSWORD)


def test_a_field_of_a_secret_by_its_arn(manager: object) -> None:
    text = json.dumps({"username": "lockgate", "password": "first"})
    arn = manager.create_secret(Name="shop/orders", SecretString=text)["ARN"]  # type: ignore[attr-defined]
    assert resolve(f"aws-secret:{arn}#password", ACCOUNT).secret == Secret("first")


@pytest.mark.parametrize(
    ("key", "text"), [("", "first"), ("#password", '{"password": "first", "username": "lockgate"}')]
)
def test_a_rotation(manager: object, key: str, text: str) -> None:
    manager.create_secret(Name="orders", SecretString=text)  # type: ignore[attr-defined]
    store = writable_store(f"aws-secret:orders{key}", ACCOUNT)
    assert store.fetch_next() is None
    assert store.keep_next(Secret("second")) == Secret("second")
    assert store.keep_next(Secret("third")) == Secret("second"), "the one beside it is never replaced"
    assert (store.fetch().secret, store.fetch_next()) == (Secret("first"), Secret("second"))

    store.promote(Secret("second"))
    store.promote(Secret("second"))

    assert (store.fetch().secret, store.fetch_next()) == (Secret("second"), None)
    held = manager.get_secret_value(SecretId="orders", VersionStage="AWSCURRENT")["SecretString"]  # type: ignore[attr-defined]
    assert held == ("second" if not key else json.dumps({"password": "second", "username": "lockgate"}))
    assert store.keep_next(Secret("third")) == Secret("third")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("aws-secret:nothing-here", "nothing named 'nothing-here'"),
        ("aws-secret:orders#password", "no JSON object"),
        ("aws-secret:object#pin", "no field 'pin'"),
        ("aws-secret:object#number", "no field 'number'"),
    ],
)
def test_what_is_not_there(manager: object, reference: str, words: str) -> None:
    manager.create_secret(Name="orders", SecretString="the-password-itself")  # type: ignore[attr-defined]
    manager.create_secret(Name="object", SecretString='{"number": 1}')  # type: ignore[attr-defined]
    with pytest.raises(SecretNotThere, match=words) as refused:
        resolve(reference, ACCOUNT)
    assert "the-password-itself" not in str(refused.value)
    assert refused.value.__cause__ is None or "the-password-itself" not in repr(refused.value.__cause__.__dict__)


def test_nobody_there(keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")
    with pytest.raises(StoreUnreachable, match="does not answer"):
        resolve("aws-secret:orders", ACCOUNT)


def test_a_machine_without_identity_or_region(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreNotConfigured, match="Name the region"):
        resolve("aws-secret:orders", ACCOUNT)
    with pytest.raises(StoreNotConfigured, match="finds no identity"):
        resolve("aws-secret:orders?region=eu-central-1", ACCOUNT)
    with pytest.raises(StoreNotConfigured, match="finds no identity"):
        resolve("aws-iam:eu-central-1", ACCOUNT)


def test_nothing_of_it_is_in_any_log(manager: object, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="access")
    caplog.set_level(logging.INFO)
    manager.create_secret(Name="orders", SecretString="password-of-orders")  # type: ignore[attr-defined]
    resolve("aws-secret:orders", ACCOUNT)
    token = resolve("aws-iam:eu-central-1", ACCOUNT)
    for secret in (KEY, "password-of-orders", token.secret.reveal()):
        assert secret not in caplog.text + repr(token)


# --- IAM tokens


def test_a_token_is_signed_here_for_one_account(keys: None) -> None:
    credential = resolve("aws-iam:eu-central-1", ACCOUNT)
    address, _, query = credential.secret.reveal().partition("/?")
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    assert address == "orders.abcdefgh.eu-central-1.rds.amazonaws.com:5432"
    assert (asked["Action"], asked["DBUser"], asked["X-Amz-Expires"]) == ("connect", "lockgate", "900")
    assert re.fullmatch(rf"{KEY_ID}/\d{{8}}/eu-central-1/rds-db/aws4_request", asked["X-Amz-Credential"])
    assert credential.authentication is Authentication.ACCESS_TOKEN
    assert credential.expires_at is not None
    assert timedelta(minutes=14) < credential.expires_at - datetime.now(UTC) <= timedelta(minutes=15)
    assert resolve("aws-iam:eu-central-1", ACCOUNT) == credential, "it is kept"
    assert resolve("aws-iam:eu-central-1", replace(ACCOUNT, user="other")) != credential


def test_a_server_reached_under_another_name(keys: None) -> None:
    reference = "aws-iam:eu-central-1?host=orders.proxy-x.eu-central-1.rds.amazonaws.com"
    token = resolve(reference, replace(ACCOUNT, host="orders.internal")).secret.reveal()
    assert token.startswith("orders.proxy-x.eu-central-1.rds.amazonaws.com:5432/?")


@pytest.mark.parametrize("engine", ["sqlserver", "azuresql", "fake"])
def test_an_engine_that_takes_no_such_tokens(engine: str) -> None:
    with pytest.raises(ReferenceNotUnderstood, match="takes no IAM tokens"):
        resolve("aws-iam:eu-central-1", replace(ACCOUNT, engine=engine))


def test_a_token_lasts_no_longer_than_the_keys_that_signed_it(
    keys: None, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """Keys of a role, as a process of the machine gives them out."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ends = datetime.now(UTC) + timedelta(minutes=14, seconds=30)
    given = {
        "Version": 1,
        "AccessKeyId": KEY_ID,
        "SecretAccessKey": KEY,
        "SessionToken": "of-the-session",
        "Expiration": ends.isoformat(),
    }
    giving = f"{tmp_path}/keys.json"
    config = f"{tmp_path}/config"
    with open(giving, "w") as file:
        json.dump(given, file)
    with open(config, "w") as file:
        file.write(f"[default]\ncredential_process = cat {giving}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", config)
    credential = resolve("aws-iam:eu-central-1", ACCOUNT)
    assert credential.expires_at == ends


def test_a_mistake_in_the_reference() -> None:
    with pytest.raises(SecretUnavailable, match="has no option 'zone'"):
        resolve("aws-iam:eu-central-1?zone=a", ACCOUNT)
