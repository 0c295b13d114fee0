"""The servers that Lockgate needs and those it manages, as one thing with one environment."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import FolderInUse, FolderNotOurs
from deploy.local.processes import may_enter, server_user
from deploy.local.servers import MariaDB, PostgreSQL, PrivateServer, Redis, free_port


class Stack:
    """`state` and `queue` are Lockgate's own; `orders` and `catalogue` are the servers it gives access to."""

    def __init__(
        self, folder: Path, *, durable: bool = True, postgresql: Path | None = None, mariadb: Path | None = None
    ) -> None:
        """`postgresql` and `mariadb` are where `deploy.local.versions` keeps another version for `orders` and `catalogue`."""
        self.folder = folder
        self.servers_folder = _servers_folder(folder)
        self.state = PostgreSQL(self.servers_folder / "state", durable=durable)
        self.orders = PostgreSQL(self.servers_folder / "orders", durable=durable, programs=postgresql)
        self.catalogue = MariaDB(self.servers_folder / "catalogue", durable=durable, unpacked=mariadb)
        self.queue = Redis(self.servers_folder / "queue", durable=durable)

    @property
    def servers(self) -> tuple[PrivateServer, ...]:
        """In the order in which they are started."""
        return (self.state, self.orders, self.catalogue, self.queue)

    @property
    def logs(self) -> Path:
        """What Lockgate's own processes say."""
        return self.folder / "logs"

    def start(self) -> None:
        """Start what does not run, and make the console's database."""
        for server in self.servers:
            server.start()
        self.state.create_database("lockgate")

    def stop(self) -> None:
        """Stop what runs."""
        for server in reversed(self.servers):
            server.stop()

    @property
    def provider_port(self) -> int:
        """Where the demo's identity provider listens: kept, since people are known by it."""
        return self._kept_port("provider")

    @property
    def gateway_port(self) -> int:
        """Where the demo's gateway listens: kept, since people write it down."""
        return self._kept_port("gateway")

    def _kept_port(self, name: str) -> int:
        kept = self.servers_folder / f"{name}-port"
        if not kept.exists():
            kept.write_text(str(free_port()))
        return int(kept.read_text())

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Nobody else may start, stop or forget these servers meanwhile. Raises `FolderInUse`."""
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderInUse(f"It is {self.folder}; LOCKGATE_DATA chooses another.") from None
            yield

    def forget(self) -> None:
        """Remove what the stack has written, and nothing else: the folder may have been somebody's own."""
        for server in self.servers:
            shutil.rmtree(server.folder, ignore_errors=True)
        shutil.rmtree(self.logs, ignore_errors=True)
        (self.folder / "lock").unlink(missing_ok=True)
        shutil.rmtree(self.folder / "journal", ignore_errors=True)
        for name in ("provider", "gateway"):
            (self.servers_folder / f"{name}-port").unlink(missing_ok=True)
        secrets = self.folder / "secrets"
        for password in secrets.glob("*-admin"):  # what the demo's world has made for Lockgate's own accounts
            password.unlink()
        for folder in (secrets, *{self.servers_folder, self.folder}):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

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


def _servers_folder(folder: Path) -> Path:
    """The folder itself, unless the users that the servers run as cannot get into it: then one that they can, named
    after it.
    """
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o711)  # they pass through; what else is there is not for them to see
    if all(may_enter(folder, server_user(kind.package_user)) for kind in (PostgreSQL, MariaDB, Redis)):
        return folder
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    elsewhere = Path("/var/tmp") / f"lockgate-{name}"
    elsewhere.mkdir(mode=0o711, exist_ok=True)
    if elsewhere.is_symlink() or elsewhere.stat().st_uid != os.geteuid():
        # Anybody may write to /var/tmp, and the name can be guessed.
        raise FolderNotOurs(str(elsewhere))
    return elsewhere
