"""A PostgreSQL server with TLS that asks for the password as it is, as Amazon RDS and Azure ask for tokens."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from deploy.local.servers import PostgreSQL
from tests.credentials.peers.web import certificate_for


class TokenServer(PostgreSQL):
    """Connections without TLS are refused, but for its administrator's."""

    def _prepare(self) -> None:
        super()._prepare()
        certificate, authority = certificate_for(self.folder, "localhost")
        for source, name in ((certificate, "server.pem"), (authority, "authority.pem")):
            if source != self._data / name:
                shutil.copy(source, self._data / name)
                (self._data / name).chmod(0o600)
                self._hand_over(self._data / name)
        (self._data / "pg_hba.conf").write_text(
            "host all lockgate_root 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 password\n"
        )

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    def _spawn(self, command: list[str]) -> None:
        settings: dict[str, Any] = {
            "ssl": "on",
            "ssl_cert_file": "server.pem",
            "ssl_key_file": "server.pem",
            "log_statement": "all",
            "log_connections": "on",
            "max_connections": 40,
            "max_wal_senders": 0,
        }
        super()._spawn([*command, *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))])
