"""A provider that never stops answering holds a place for sign-in for a while, and no longer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import requests

from people.sso import bounded
from people.sso.bounded import BoundedSession
from tests.sso.conftest import SignIn, refusal
from tests.sso.peer import Peer
from tests.sso.test_again import ALICE

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#: Each is sent at once; what drips behind it is never late by the timeout of a read.
BEGINNINGS = {
    "headers": HEAD,
    "a body of a known length": HEAD + b"Content-Length: 100000\r\n\r\n",
    "a body that ends with the connection": HEAD + b"Connection: close\r\n\r\n",
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    "nothing": b"",
}
Dripping = Callable[[bytes], str]


@pytest.fixture
def dripping() -> Iterator[Dripping]:
    """A server that sends a beginning, and then a byte every few hundredths of a second as long as somebody listens."""
    over = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def drip(beginning: bytes) -> None:
        connection, _ = listening.accept()
        with connection:
            try:
                connection.sendall(beginning)
                while not over.wait(0.02):
                    connection.sendall(b"1")
            except OSError:
                return

    def begin(beginning: bytes) -> str:
        threading.Thread(target=drip, args=(beginning,), daemon=True).start()
        return f"127.0.0.1:{listening.getsockname()[1]}"

    yield begin
    over.set()
    listening.close()


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_what_drips_is_cut(dripping: Dripping, beginning: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "REQUEST_SECONDS", 0.2)
    address = dripping(BEGINNINGS[beginning])
    began = time.monotonic()
    with BoundedSession() as session, pytest.raises(requests.RequestException):
        session.get(f"http://{address}/")
    assert time.monotonic() - began < 2


def test_so_is_a_handshake(dripping: Dripping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "REQUEST_SECONDS", 0.2)
    # A record of TLS that would be sixteen thousand bytes long.
    address = dripping(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
    began = time.monotonic()
    with BoundedSession() as session, pytest.raises(requests.RequestException):
        session.get(f"https://{address}/")
    assert time.monotonic() - began < 2


@pytest.mark.django_db
def test_a_sign_in_is_bounded_as_a_whole(provider: Peer, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.knows("alice-1", **ALICE)
    monkeypatch.setattr(bounded, "EXCHANGE_SECONDS", 0.4)
    # Soon enough for every single read, so that nothing but the bound of the whole refuses it.
    provider.answers_after = 1.5
    assert refusal(sign_in()) == "ProviderDown"
