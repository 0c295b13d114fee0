"""Microsoft's side: managed identities (IMDS and App Service), the OAuth token endpoint of Entra ID, and Key Vault.

Each checks what it is documented to check, and answers as documented.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from tests.credentials.peers.web import Answer, Asked

LOGIN = "login.microsoftonline.com"
TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "99999999-8888-7777-6666-555555555555"
CLIENT_SECRET = "client's own secret"
ASSERTION = "assertion-of-the-platform"
VAULT = "shop.vault.azure.net"
IMDS = "169.254.169.254"

_numbers = itertools.count(1)


@dataclass
class Entra:
    """Gives tokens, and remembers each."""

    lasts: int = 3600
    status: int = 200
    given: list[str] = field(default_factory=list)
    delay: float = 0.0
    secrets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Of the key vault: the versions of each secret, oldest first."""
    may_write: bool = True

    def answer(self, asked: Asked) -> Answer:
        if asked.host == VAULT:
            return self._vault(asked)
        if asked.path.endswith("/oauth2/v2.0/token"):
            return self._oauth(asked)
        if asked.path == "/metadata/identity/oauth2/token":
            return self._imds(asked)
        if asked.path == "/msi/token":
            return self._app_service(asked)
        if asked.path.endswith("/.well-known/openid-configuration"):
            return Answer(200, self._configuration())
        if asked.path == "/common/discovery/instance":
            return Answer(200, {"tenant_discovery_endpoint": self._configuration()["issuer"], "metadata": []})
        return Answer(404, {"error": "not_found"})

    def token(self) -> str:
        self.given.append(f"token-{next(_numbers)}-of-the-identity-provider")
        return self.given[-1]

    @staticmethod
    def _configuration() -> dict[str, str]:
        base = f"https://{LOGIN}/{TENANT}"
        return {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
        }

    def _oauth(self, asked: Asked) -> Answer:
        time.sleep(self.delay)
        form = asked.form
        if self.status != 200:
            return Answer(self.status, {"error": "temporarily_unavailable", "error_description": "AADSTS90033: later."})
        by_secret = form.get("client_secret") == CLIENT_SECRET
        by_assertion = (
            form.get("client_assertion") == ASSERTION
            and form.get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        )
        if form.get("grant_type") != "client_credentials" or form.get("client_id") != CLIENT:
            return Answer(400, {"error": "unauthorized_client", "error_description": "AADSTS700016: no such client."})
        if not (by_secret or by_assertion):
            words = "AADSTS7000215: Invalid client secret provided."
            return Answer(401, {"error": "invalid_client", "error_description": words})
        return Answer(200, {"token_type": "Bearer", "expires_in": self.lasts, "access_token": self.token()})

    def _imds(self, asked: Asked) -> Answer:
        time.sleep(self.delay)
        if asked.headers.get("metadata") != "true" or asked.query.get("api-version") != "2018-02-01":
            return Answer(400, {"error": "bad_request_102", "error_description": "Required metadata header missing"})
        if asked.query.get("client_id", CLIENT) != CLIENT:
            return Answer(400, {"error": "invalid_request", "error_description": "Identity not found"})
        if self.status != 200:
            return Answer(self.status, {"error": "internal", "error_description": "Try later"})
        return Answer(200, self._of_identity(asked))

    def _app_service(self, asked: Asked) -> Answer:
        if asked.headers.get("x-identity-header") != "header-of-the-platform":
            return Answer(401, {"statusCode": 401, "message": "Unauthorized"})
        if asked.query.get("api-version") != "2019-08-01":
            return Answer(400, {"statusCode": 400, "message": "api-version"})
        return Answer(200, self._of_identity(asked))

    def _of_identity(self, asked: Asked) -> dict[str, str]:
        return {
            "access_token": self.token(),
            "expires_in": str(self.lasts),
            "expires_on": str(int(time.time()) + self.lasts),
            "resource": asked.query["resource"],
            "token_type": "Bearer",
        }

    # --- Key Vault

    def _vault(self, asked: Asked) -> Answer:
        bearer = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if bearer not in self.given:
            challenge = f'Bearer authorization="https://{LOGIN}/{TENANT}", resource="https://vault.azure.net"'
            return Answer(401, {"error": {"code": "Unauthorized"}}, {"WWW-Authenticate": challenge})
        name = asked.path.split("/")[2]
        if asked.method == "PUT":
            if not self.may_write:
                return _refused(403, "Forbidden")
            self.keep(name, asked.json["value"], asked.json.get("tags"), asked.json.get("contentType"))
        if name not in self.secrets:
            return _refused(404, "SecretNotFound")
        return Answer(200, self.secrets[name][-1])

    def keep(self, name: str, value: str, tags: Any = None, content_type: str | None = None) -> None:
        """Another version."""
        now = int(time.time())
        self.secrets.setdefault(name, []).append(
            {
                "value": value,
                "id": f"https://{VAULT}/secrets/{name}/{next(_numbers):032x}",
                "attributes": {"enabled": True, "created": now, "updated": now},
                "tags": tags or {},
                "contentType": content_type,
            }
        )


def _refused(status: int, code: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": "No."}})
