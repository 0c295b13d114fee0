"""The laboratory of the fake server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from connectors.base import Secret, Target, Tls
from connectors.fake.connector import FakeConnector
from connectors.fake.server import (
    FakeLoginRefused,
    FakeNotPermitted,
    FakeServer,
    FakeSession,
    FakeSessionEnded,
    FakeStopped,
)
from tests.connectors.labs.base import LoginRefused, NotPermitted, Place, SessionEnded, Stopped, random_token

Result = TypeVar("Result")


class FakeLabSession:
    """A session on the fake server, in the words of the labs."""

    def __init__(self, session: FakeSession) -> None:
        self._session = session
        self._pool = ThreadPoolExecutor(1)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        raise NotImplementedError("The fake server speaks no SQL.")

    def begin(self) -> None:
        _told(self._session.begin)

    def commit(self) -> None:
        _told(self._session.commit)

    def count(self, place: Place) -> int:
        return _told(lambda: self._session.count(place.schema, place.name))

    def insert(self, place: Place) -> None:
        _told(lambda: self._session.insert(place.schema, place.name))

    def create_table(self, place: Place) -> None:
        _told(lambda: self._session.create_table(place.schema, place.name))

    def sleep(self, seconds: float) -> None:
        _told(lambda: self._session.sleep(seconds))

    def sleep_in_thread(self, seconds: float) -> Future[None]:
        future = self._pool.submit(self.sleep, seconds)
        time.sleep(0.05)
        return future

    def is_alive(self) -> bool:
        return self._session.is_alive

    def close(self) -> None:
        self._session.end()
        self._pool.shutdown()


class FakeLab:
    """A server in memory."""

    engine = "fake"
    has_schemas = True
    longest_principal = 63

    def __init__(self) -> None:
        host = f"fake-{random_token()}"
        self.server = FakeServer.named(host)
        self.server.admin_password = Secret(f"admin-{random_token()}")
        self.target = Target("fake", host, 1, "lockgate", self.server.admin_password, tls=Tls.DISABLE)
        FakeServer.named(f"{host}-down").is_down = True

    def connector(self) -> FakeConnector:
        return FakeConnector(self.target)

    def unreachable(self) -> Target:
        return replace(self.target, host=f"{self.target.host}-down")

    def wrong_password(self) -> Target:
        return replace(self.target, password=Secret("not-the-password"))

    def make_database(self, stem: str = "db") -> str:
        database = f"{stem}_{random_token()}"
        self.server.databases[database] = {}
        return database

    def drop_database(self, database: str) -> None:
        self.server.databases.pop(database, None)

    def make_schema(self, database: str, stem: str = "app") -> str:
        return f"{stem}_{random_token()}"

    def make_table(self, database: str, schema: str, stem: str = "orders", rows: int = 3) -> Place:
        place = Place(database, schema, f"{stem}_{random_token()}")
        self.server.make_table(place.database, place.schema, place.name, rows)
        return place

    def make_role(self, stem: str, reads: Place | None = None) -> str:
        role = f"{stem}_{random_token()}"
        self.server.roles[role] = {(reads.database, reads.schema, reads.name)} if reads else set()
        return role

    def drop_role(self, role: str) -> None:
        for held in (self.server.roles, self.server.groups, self.server.accounts):
            held.pop(role, None)
        for account in self.server.accounts.values():
            account.memberships.discard(role)

    def lock_out_of(self, database: str) -> None:
        self.server.closed.add(database)

    @contextmanager
    def without_rights(self) -> Iterator[None]:
        self.server.lacks_rights = True
        try:
            yield
        finally:
            self.server.lacks_rights = False

    def log_in(self, principal: str, password: Secret, database: str) -> FakeLabSession:
        return FakeLabSession(_told(lambda: self.server.log_in(principal, password, database)))

    def plant_residue(self, session: FakeLabSession, place: Place) -> Sequence[str]:
        planted = place.sibling(f"planted_{random_token()}")
        session.create_table(planted)
        return [planted.name]

    def account_exists(self, principal: str) -> bool:
        return principal in self.server.accounts

    def role_exists(self, role: str) -> bool:
        return role in self.server.roles or role in self.server.groups

    def sessions_of(self, principal: str) -> int:
        return len(self.server.sessions_of(principal))

    def privileges_of(self, principal: str) -> Sequence[str]:
        return [".".join(place) for place in self.server.owned_by(principal)]

    def table_exists(self, place: Place) -> bool:
        return (place.schema, place.name) in self.server.databases.get(place.database, {})

    def server_log(self) -> str:
        return "\n".join(self.server.log)

    def close(self) -> None:
        """Nothing outside this process was made."""


def open_lab() -> FakeLab:
    """A fresh server."""
    return FakeLab()


def _told(call: Callable[[], Result]) -> Result:
    try:
        return call()
    except FakeLoginRefused as error:
        raise LoginRefused(str(error)) from error
    except FakeNotPermitted as error:
        raise NotPermitted(str(error)) from error
    except FakeSessionEnded as error:
        raise SessionEnded(str(error)) from error
    except FakeStopped as error:
        raise Stopped(str(error)) from error
