"""A real OpenID provider (oidc-provider-mock) behind a layer that insists on PKCE, and that can forge what it hands out.

The layer signs every ID token anew with a key of its own, so that a test may change a claim, the key or the algorithm and
leave everything else as the provider made it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import requests
import werkzeug.serving
from cryptography.hazmat.primitives.asymmetric import rsa
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request, Response

# Its OAuth library insists on TLS, which nobody speaks on loopback.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import oidc_provider_mock

CLIENT_ID, CLIENT_SECRET = "lockgate-tests", "a secret for tests"
Forge = Callable[[dict[str, Any]], str]


class Peer:
    """One provider on a port of its own; `forge` makes its ID tokens, `groups_page` its many groups."""

    def __init__(self) -> None:
        self._inner = oidc_provider_mock.app(require_nonce=True)
        self._inner.debug = False
        self.key = _key()
        self.forge: Forge = self.sign
        self.discovery: dict[str, Any] = {}
        """Overrides what the discovery document says."""
        self.pages: dict[str, tuple[int, dict[str, Any]]] = {}
        """Answers of other addresses: path with query → status and body."""
        self.answers_after: float = 0.0
        """Seconds that its token endpoint takes."""
        self.published: dict[str, Any] = {"alg": "RS256"}
        """What it says of its key besides the key itself."""
        self.asked: list[str] = []
        """Which authorization requests came, as their queries."""
        self._challenges: dict[str, str] = {}
        self._server = werkzeug.serving.make_server("127.0.0.1", 0, self, threaded=True)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def knows(self, subject: str, **claims: Any) -> None:
        """Somebody is known under `subject`, with these claims from now on."""
        requests.put(f"{self.issuer}/users/{subject}", json=claims, timeout=5).raise_for_status()

    def consents(self, address: str, subject: str) -> str:
        """What somebody does there by hand: say who they are. Gives the address that the browser is sent back to."""
        answer = requests.post(address, data={"sub": subject}, allow_redirects=False, timeout=5)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def sign(self, claims: dict[str, Any], *, key: Any = None, algorithm: str = "RS256", kid: str = "peer") -> str:
        """An ID token, honest unless told otherwise."""
        chosen = self.key if key is None else key
        return jwt.encode(claims, None if algorithm == "none" else chosen, algorithm=algorithm, headers={"kid": kid})

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer as the provider would, or as the test wants it."""
        answer = self._answer(Request(environ))
        return answer(environ, start_response)

    def _answer(self, request: Request) -> Response:
        request.get_data()  # kept, so that it can be read here and by the provider
        address = request.full_path.rstrip("?")
        if address in self.pages:
            status, body = self.pages[address]
            return Response(json.dumps(body), status, content_type="application/json")
        if request.path == "/jwks":
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
            return _json({"keys": [{**public, "kid": "peer", "use": "sig", **self.published}]})
        if request.path == "/oauth2/token":
            return self._token(request)
        answer = self._real(request)
        if request.path == "/.well-known/openid-configuration":
            return _json({**json.loads(answer.get_data()), **self.discovery})
        if request.path == "/oauth2/authorize":
            self._note(request, answer)
            location = answer.headers.get("Location", "")
            if "error=" in location and "state=" not in location:
                # RFC 6749, 4.1.2.1 wants it there, and the provider forgets it.
                answer.headers["Location"] = f"{location}&state={request.args.get('state', '')}"
        return answer

    def _note(self, request: Request, answer: Response) -> None:
        self.asked.append(request.query_string.decode())
        back = parse_qs(urlsplit(answer.headers.get("Location", "")).query)
        if "code" in back and request.args.get("code_challenge_method") == "S256":
            self._challenges[back["code"][0]] = request.args["code_challenge"]

    def _token(self, request: Request) -> Response:
        time.sleep(self.answers_after)
        digest = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
        answered = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if self._challenges.get(request.form.get("code", "")) != answered:
            return Response('{"error": "invalid_grant"}', 400, content_type="application/json")
        answer = self._real(request)
        told = json.loads(answer.get_data())
        if "id_token" in told:
            claims = jwt.decode(told["id_token"], options={"verify_signature": False})
            told["id_token"] = self.forge(claims)
        return Response(json.dumps(told), answer.status_code, content_type="application/json")

    def _real(self, request: Request) -> Response:
        environ = {**request.environ, "wsgi.input": io.BytesIO(request.get_data())}
        body, status, headers = run_wsgi_app(self._inner, environ, buffered=True)
        return Response(list(body), status, headers)


@contextmanager
def peer() -> Iterator[Peer]:
    """One, stopped afterwards."""
    made = Peer()
    try:
        yield made
    finally:
        made.stop()


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _json(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), content_type="application/json")
