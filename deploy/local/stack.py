"""The servers that Lockgate needs and those it manages, as one thing with one environment."""

from __future__ import annotations

import hashlib
from pathlib import Path

from deploy.local.servers import MariaDB, PostgreSQL, PrivateServer, Redis, reachable_by_servers


class Stack:
    """`state` and `queue` are Lockgate's own; `orders` and `catalogue` are the servers it gives access to."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        databases = self._databases_folder()
        self.state = PostgreSQL(databases / "state", durable=durable)
        self.orders = PostgreSQL(databases / "orders", durable=durable)
        self.catalogue = MariaDB(folder / "catalogue", durable=durable)
        self.queue = Redis(folder / "queue", durable=durable)

    @property
    def servers(self) -> tuple[PrivateServer, ...]:
        """In the order in which they are started."""
        return (self.state, self.orders, self.catalogue, self.queue)

    def start(self) -> None:
        """Start what does not run, and make the console's database."""
        for server in self.servers:
            server.start()
        self.state.create_database("lockgate")

    def stop(self) -> None:
        """Stop what runs."""
        for server in reversed(self.servers):
            server.stop()

    def environment(self) -> dict[str, str]:
        """What Lockgate's settings, its demo world and its tests read."""
        return {
            "LOCKGATE_ENV": "development",
            "LOCKGATE_DATA": str(self.folder),
            "DATABASE_URL": self.state.url.replace("/postgres", "/lockgate"),
            "REDIS_URL": self.queue.url,
            "LOCKGATE_DEMO_POSTGRESQL_URL": self.orders.url,
            "LOCKGATE_DEMO_MARIADB_URL": self.catalogue.url,
            "LOCKGATE_TEST_POSTGRESQL_URL": self.orders.url,
            "LOCKGATE_TEST_MARIADB_URL": self.catalogue.url,
        }

    def folders(self) -> set[Path]:
        """Everything that belongs to the stack, for a fresh start."""
        return {self.folder, self._databases_folder()}

    def _databases_folder(self) -> Path:
        """The folder itself, unless PostgreSQL's user cannot get into it: then one that it can, named after it."""
        if reachable_by_servers(self.folder):
            return self.folder
        name = hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:12]
        folder = Path("/var/tmp") / f"lockgate-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
