"""HashiCorp Vault's side: key-value engines of both versions, and what tells which is which."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.credentials.peers.web import Answer, Asked

TOKEN = "hvs.token-of-lockgate"


@dataclass
class Vault:
    """Two mounts: `team/secret/` of version 2, `old/` of version 1."""

    sealed: bool = False
    may_write: bool = True
    versions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    plain: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Answer:
        if self.sealed:
            return Answer(503, {"errors": ["Vault is sealed"]})
        if asked.headers.get("x-vault-token") != TOKEN:
            return Answer(403, {"errors": ["permission denied"]})
        if asked.path.startswith("/v1/sys/internal/ui/mounts/"):
            return self._mount(asked.path.removeprefix("/v1/sys/internal/ui/mounts/"))
        if asked.method in ("POST", "PUT") and not self.may_write:
            return Answer(403, {"errors": ["permission denied"]})
        if asked.path.startswith("/v1/team/secret/data/"):
            return self._versioned(asked, asked.path.removeprefix("/v1/team/secret/data/"))
        if asked.path.startswith("/v1/old/"):
            return self._plain(asked, asked.path.removeprefix("/v1/old/"))
        return Answer(404, {"errors": []})

    @staticmethod
    def _mount(path: str) -> Answer:
        if path.startswith("team/secret/"):
            return Answer(200, {"data": {"path": "team/secret/", "type": "kv", "options": {"version": "2"}}})
        if path.startswith("old/"):
            return Answer(200, {"data": {"path": "old/", "type": "kv", "options": None}})
        return Answer(403, {"errors": ["preflight capability check returned 403"]})

    def _versioned(self, asked: Asked, path: str) -> Answer:
        versions = self.versions.get(path, [])
        if asked.method == "GET":
            if not versions:
                return Answer(404, {"errors": []})
            return Answer(200, {"data": {"data": versions[-1], "metadata": {"version": len(versions)}}})
        if asked.json["options"]["cas"] != len(versions):
            return Answer(400, {"errors": ["check-and-set parameter did not match the current version"]})
        self.versions.setdefault(path, []).append(asked.json["data"])
        return Answer(200, {"data": {"version": len(self.versions[path])}})

    def _plain(self, asked: Asked, path: str) -> Answer:
        if asked.method == "GET":
            return Answer(200, {"data": self.plain[path]}) if path in self.plain else Answer(404, {"errors": []})
        self.plain[path] = asked.json
        return Answer(204)
