"""Long texts are understood in a process of their own: while one is read there, nobody else's statements wait.

    python -m gateway.reading

answers on its standard output what it reads from its standard input. A text that is nested so deeply that the grammar runs
out of its stack ends that process and nothing else; the text is then one that cannot be understood.
"""

from __future__ import annotations

import asyncio
import pickle
import resource
import struct
import sys
from collections.abc import Callable
from typing import BinaryIO

import structlog

from gateway import statements
from gateway.statements import Understood
from gateway.statements.statement import UNKNOWN, Fault, Statement

log = structlog.get_logger(__name__)

_HEAD = struct.Struct("!IB")
#: Of the reading process: a text of the wire's greatest length fits, a tree without end does not.
_MOST_MEMORY = 4 << 30
_MOST_STACK = 64 << 20
_TOO_COMPLEX = Understood(
    Statement(UNKNOWN.classes, is_parsed=False, fault=Fault("stack depth limit exceeded", sqlstate="54001"))
)


def understand(text: str, dialect: str, *, bare: str = "") -> Understood:
    """What a text does. Never raises: a mistake of ours costs one statement, which counts as not understood."""
    try:
        return statements.understand(text, dialect, bare=bare)
    except (LookupError, TypeError, AttributeError, ValueError, AssertionError):
        # Without the text, which no log may hold.
        log.exception("gateway.not_understood")
        return Understood(UNKNOWN)


class Elsewhere:
    """One worker's reading process, started with the first long text and again after it was lost."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def understand(self, text: str, dialect: str, done: Callable[[Understood], None]) -> None:
        """Call `done` on the loop once the text is understood; texts are taken one after the other."""
        task = self._loop.create_task(self._understand(text, dialect, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _understand(self, text: str, dialect: str, done: Callable[[Understood], None]) -> None:
        async with self._turn:
            try:
                understood = await self._ask(text.encode("utf-8", "surrogatepass"), dialect.encode())
            except (OSError, EOFError, asyncio.IncompleteReadError):
                log.warning("gateway.reading_lost", characters=len(text))
                await self._lose()
                understood = _TOO_COMPLEX
        done(understood)

    async def _ask(self, text: bytes, dialect: bytes) -> Understood:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        source, target = self._process.stdout, self._process.stdin
        if source is None or target is None:
            raise EOFError
        target.write(_HEAD.pack(len(text), len(dialect)) + dialect)
        target.write(text)
        await target.drain()
        (length,) = struct.unpack("!I", await source.readexactly(4))
        # From our own process, over a pipe that nobody else has.
        understood: Understood = pickle.loads(await source.readexactly(length))  # noqa: S301 - see above
        return understood

    async def _lose(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def stop(self) -> None:
        """End the process; what waits for it is told nothing any more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._lose()


def main(source: BinaryIO, target: BinaryIO) -> int:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    while len(head := source.read(_HEAD.size)) == _HEAD.size:
        length, size = _HEAD.unpack(head)
        dialect = source.read(size).decode()
        text = source.read(length).decode("utf-8", "surrogatepass")
        try:
            understood = understand(text, dialect)
        except MemoryError:
            understood = _TOO_COMPLEX
        answer = pickle.dumps(understood)
        target.write(struct.pack("!I", len(answer)) + answer)
        target.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
