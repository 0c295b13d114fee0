"""A real worker in a thread of its own, in front of a real database, with rules that the test gives."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop
from psycopg.conninfo import make_conninfo

from access.gateway_rules import Durability, Rules, StatementClass
from connectors.base import Secret, Target, Tls
from gateway.admission import Admitted, Attempt, Ended
from gateway.errors import NotAdmitted
from gateway.examining import examiner
from gateway.journal.journal import Journal, Limits
from gateway.recording import Recorder
from gateway.wire.proxying import Network
from gateway.worker import Settings, Worker
from tests.gateway.recording import admitted, journals, written

TOKEN = "lgt_of_the_test"
EVERYTHING = Rules(
    classes=frozenset(StatementClass) - {StatementClass.UNKNOWN},
    where_required=False,
    longest_statement=None,
    longest_idle=None,
    durability=Durability.BATCHED,
)


@dataclass(frozen=True)
class Shop:
    """A database with an account that owns it."""

    host: str
    port: int
    database: str
    user: str
    password: str

    @property
    def target(self) -> Target:
        return Target(
            "postgresql", self.host, self.port, self.user, Secret(self.password), self.database, tls=Tls.DISABLE
        )

    @property
    def conninfo(self) -> str:
        """To it without a gateway."""
        return make_conninfo(
            host=self.host, port=self.port, dbname=self.database, user=self.user, password=self.password
        )


class Door:
    """An `Identifier` that knows one token."""

    def __init__(self, shop: Shop, rules: Rules) -> None:
        self.shop, self.rules = shop, rules
        self.ended_because = ""
        self.ends_at = datetime.now(UTC) + timedelta(hours=1)
        self.attempts: list[Attempt] = []

    def identify(self, attempt: Attempt) -> Admitted:
        self.attempts.append(attempt)
        if attempt.password.reveal() != TOKEN:
            raise NotAdmitted
        return replace(admitted(), upstream=self.shop.target, rules=self.rules, ends_at=self.ends_at)

    def ended(self, sessions: Iterable[Admitted]) -> dict[tuple[str, int], tuple[datetime, Ended | None]]:
        ended = Ended(self.ended_because) if self.ended_because else None
        return {(one.credential_id, one.grant_id): (self.ends_at, ended) for one in sessions}


class Gateway:
    """One worker that runs."""

    def __init__(
        self,
        folder: Path,
        shop: Shop,
        rules: Rules = EVERYTHING,
        *,
        number: int = 0,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        balancers: tuple[Network, ...] = (),
        limits: Limits | None = None,
        records: Callable[[Journal], Recorder] = lambda journal: journal,
    ) -> None:
        self.folder, self.shop, self.host = folder, shop, host
        self.door = Door(shop, rules)
        self.port = 0
        self.journal: Journal
        self.worker: Worker
        self._tls, self._number, self._limits, self._records = tls, number, limits, records
        self._balancers = balancers
        self._loop: asyncio.AbstractEventLoop
        self._failure: BaseException | None = None
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,))
        self._thread.start()
        started.wait(10)
        if self._failure is not None:
            raise self._failure

    def _run(self, started: threading.Event) -> None:
        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            self._done = asyncio.Event()
            try:
                await self._begin()
            except BaseException as error:
                self._failure = error
                raise
            finally:
                started.set()
            await self._done.wait()
            await self.worker.stop()
            self.journal.close()

        uvloop.run(run())

    async def _begin(self) -> None:
        self.journal = Journal.begin(self.folder, loop=self._loop, seal=lambda key: key.hex(), limits=self._limits)
        self.worker = Worker(
            Settings(
                host=self.host,
                port=0,
                number=self._number,
                folder=self.folder,
                tls=self._tls,
                balancers=self._balancers,
            ),
            identifier=self.door,
            recorder=self._records(self.journal),
            examiner=examiner,
        )
        self.port = await self.worker.start()

    def on_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something where the worker lives."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def stop(self) -> None:
        if self._thread.is_alive():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(30)
        assert not self._thread.is_alive()

    # --- For clients

    @property
    def conninfo(self) -> str:
        return make_conninfo(host=self.host, port=self.port, dbname="orders-read", user="alice", password=TOKEN)

    def url(self, scheme: str = "postgresql") -> str:
        return f"{scheme}://alice:{TOKEN}@{self.host}:{self.port}/orders-read"

    # --- What is recorded

    def entries(self) -> list[dict[str, Any]]:
        """What stands in the file now."""
        (folder,) = (one for one in journals(self.folder) if one.name == str(self.journal.stream))
        return [dict(line.content) for line in written(folder)]

    def statements(self) -> list[Ran]:
        """Every statement that was sent or refused, with what became of it; each intent has its outcome behind it."""
        found: dict[int, Ran] = {}
        for entry in self.entries():
            if entry["kind"] in ("intent", "refused"):
                shape = entry.get("shape", "")
                found[entry["seq"]] = Ran(entry["sha256"], shape, rule=entry.get("rule", ""))
            elif entry["kind"] == "outcome":
                ran = found[entry["statement"]]
                assert not ran.verdict, "Two outcomes of one statement."
                ran.verdict, ran.code, ran.rows = entry["verdict"], entry["code"], entry["rows"]
        return list(found.values())

    def ran(self, text: str, *, patience: float = 3.0) -> Ran:
        """The last statement of exactly this text, once its outcome is written."""
        deadline = time.monotonic() + patience
        while True:
            of_text = [one for one in self.statements() if one.sha256 == sha256(text)]
            if of_text and (of_text[-1].verdict or of_text[-1].rule):
                return of_text[-1]
            assert time.monotonic() < deadline, (text, of_text, self.statements())
            time.sleep(0.02)

    def all_settled(self, *, patience: float = 3.0) -> list[Ran]:
        """Every statement, once none is without an outcome."""
        deadline = time.monotonic() + patience
        while True:
            ran = self.statements()
            if all(one.verdict or one.rule for one in ran):
                return ran
            assert time.monotonic() < deadline, ran
            time.sleep(0.02)


@dataclass
class Ran:
    """A statement as it is recorded."""

    sha256: str
    shape: str
    verdict: str = ""
    code: str = ""
    rows: int = 0
    rule: str = ""


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def packed(kind: bytes, content: bytes = b"") -> bytes:
    """One message of a client, made here by hand: what is tested does not make its own test."""
    return kind + struct.pack("!I", len(content) + 4) + content


def startup(*, version: int = 196608, **parameters: str) -> bytes:
    pairs = b"".join(
        f"{name}\0{value}\0".encode()
        for name, value in {"user": "alice", "database": "orders-read", **parameters}.items()
    )
    content = struct.pack("!I", version) + pairs + b"\0"
    return struct.pack("!I", len(content) + 4) + content
