"""A rotation that stops between any two requests to its store leaves a way in, whatever the store is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.httpsession import URLLib3Session
from botocore.loaders import JSONFileLoader
from moto.server import ThreadedMotoServer

from access.credentials import Account, ServerSource
from access.credentials.cache import CACHE
from access.credentials.registry import writable_store
from access.credentials.rotation import rotate
from access.targets import make_password
from connectors.base import Connector, Secret, Target
from connectors.fake.connector import FakeConnector
from connectors.fake.server import FakeServer
from connectors.registry import open_connector
from tests.connectors.conftest import Notebook
from tests.credentials.peers.entra import IMDS, LOGIN, VAULT, Entra
from tests.credentials.peers.hashicorp import TOKEN, Vault
from tests.credentials.peers.web import answer_under, certificate_for, serving

#: A rotation takes fewer requests than this.
_MANY = 80
FIRST = "first"


class Killed(BaseException):
    """Stands for a process that dies: nobody catches it."""


@dataclass
class Steps:
    """Counts requests and statements; dies at one of them."""

    dies_at: int = 0
    taken: int = 0

    def step(self) -> None:
        self.taken += 1
        if self.taken == self.dies_at:
            raise Killed

    def around(self, honest: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any, **options: Any) -> Any:
            answer = honest(*args, **options)
            self.step()
            return answer

        return stepping


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Dies after a request of any client, or after a statement on the server: which is before the next one."""
    made = Steps()
    monkeypatch.setattr(requests.Session, "send", made.around(requests.Session.send))
    monkeypatch.setattr(URLLib3Session, "send", made.around(URLLib3Session.send))
    for verb in ("change_own_password", "prove_own_login"):
        monkeypatch.setattr(FakeConnector, verb, made.around(getattr(FakeConnector, verb)))
    return made


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def _read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's library reads its own long files for every client, and this makes clients by the hundred."""
    read = cache(JSONFileLoader().load_file)
    monkeypatch.setattr(JSONFileLoader, "load_file", lambda loader, path: read(path))


@pytest.fixture(
    params=["vault:team/secret/orders", "vault:old/orders", "aws-secret:orders#password", "azure-secret:shop/orders"]
)
def reference(
    request: pytest.FixtureRequest, moto: str, _read_once: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A store that holds the password `first`."""
    chosen = str(request.param)
    certificate, authority = certificate_for(tmp_path, "localhost", LOGIN, VAULT)
    vault = Vault(versions={"orders": [{"password": FIRST}]}, plain={"orders": {"password": FIRST}})
    entra = Entra()
    entra.keep("orders", FIRST)
    monkeypatch.setenv("NO_PROXY", "*")
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(name, value)
    with (
        serving(vault.answer, certificate) as hashicorp,
        serving(entra.answer, certificate) as microsoft,
        serving(entra.answer) as imds,
    ):
        monkeypatch.setenv("VAULT_ADDR", f"https://localhost:{hashicorp.port}")
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        monkeypatch.setenv("VAULT_CACERT", str(authority))
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto)
        answer_under(monkeypatch, {(LOGIN, 443): microsoft.port, (VAULT, 443): microsoft.port, (IMDS, 80): imds.port})
        if chosen.startswith("aws"):
            client = boto3.client("secretsmanager", region_name="eu-central-1")
            client.create_secret(Name="orders", SecretString=f'{{"password": "{FIRST}"}}')
            yield chosen
            client.delete_secret(SecretId="orders", ForceDeleteWithoutRecovery=True)
            client.close()
        else:
            yield chosen


def assert_done(finished: bool) -> None:
    assert finished


class Rotating:
    """Lockgate's account on the fake server."""

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._account = Account("fake", "rotating.test", 1, "lockgate")
        self.server = FakeServer.named("rotating.test")
        self.server.admin_password = Secret(FIRST)

    @property
    def store(self) -> Any:
        return writable_store(self._reference, self._account)

    def connector(self) -> Connector:
        CACHE.clear()  # another process
        source = ServerSource(self._reference, self._account, settle=lambda promote: assert_done(promote()))
        return open_connector(Target("fake", "rotating.test", 1, "lockgate", Secret(""), source=source))

    def rotate(self) -> None:
        with self.connector() as connector:
            rotate(connector=connector, store=self.store, make=make_password, journal=Notebook())

    def assert_in(self) -> None:
        with self.connector() as connector:
            connector.list_principals()
        assert self.store.fetch().secret == self.server.admin_password, "the store holds what the server takes"


def test_wherever_it_stops_lockgate_gets_in_and_the_next_one_finishes(reference: str, steps: Steps) -> None:
    rotating = Rotating(reference)
    passwords, stopped = {FIRST}, 0
    for number in count(1):
        assert number < _MANY, "It never came to its end."
        steps.taken, steps.dies_at = 0, number
        try:
            rotating.rotate()
        except Killed:
            stopped += 1
        else:
            break
        finally:
            steps.dies_at = 0
        rotating.assert_in()
        rotating.rotate()
        rotating.assert_in()
        assert rotating.store.fetch_next() is None
        assert rotating.server.admin_password is not None
        passwords.add(rotating.server.admin_password.reveal())
    assert stopped > 5
    assert len(passwords) > stopped, "each of them ended with a new password"
