"""Where a journal lies on disk: a folder for each stream, numbered segments in it, and who holds what.

<journal>/<stream>/lock                 held (flock) by the worker for as long as it lives
<journal>/<stream>/key                  the key of kept texts, sealed with LOCKGATE_ENCRYPTION_KEYS
<journal>/<stream>/00000001.journal     segments, only ever written at their end; all but the last are complete. Zeros
                                        behind the last line are room for the next ones
<journal>/<stream>/shipped              how far the stream is in the database
<journal>/torn/                         what a crash left behind and no hash fits, for whoever investigates
<journal>/shipper.lock                  held by the one process that ships this folder
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

_SUFFIX = ".journal"


@dataclass(frozen=True, slots=True)
class Shipped:
    """How far a stream is in the database: the number of the entry, and the bytes of all entries up to it."""

    seq: int = 0
    size: int = 0


class StreamFolder:
    """The folder of one stream."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stream = UUID(path.name)

    @classmethod
    def create(cls, journal: Path, *, sealed_key: str) -> tuple[StreamFolder, int]:
        """A new one, and the descriptor that holds its lock: nobody ever sees a living stream without its lock."""
        stream = str(uuid4())
        hidden = journal / f".{stream}"
        hidden.mkdir(mode=0o700, parents=True)
        lock = os.open(hidden / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with open(hidden / "key", "x", encoding="ascii") as key:
            key.write(sealed_key)
            key.flush()
            os.fsync(key.fileno())
        hidden.rename(journal / stream)
        sync_folder(journal)
        return cls(journal / stream), lock

    def segment(self, number: int) -> Path:
        """The file of a segment."""
        return self.path / f"{number:08d}{_SUFFIX}"

    def segments(self) -> list[int]:
        """Numbers of the segments that are there, in order."""
        names = (name for name in os.listdir(self.path) if name.endswith(_SUFFIX))
        return sorted(int(name.removesuffix(_SUFFIX)) for name in names)

    def sealed_key(self) -> str:
        """The key of kept texts, as it was sealed."""
        return (self.path / "key").read_text(encoding="ascii")

    def shipped(self) -> Shipped:
        """What the shipper noted last."""
        try:
            seq, size = (self.path / "shipped").read_text(encoding="ascii").split()
        except FileNotFoundError:
            return Shipped()
        return Shipped(int(seq), int(size))

    def note_shipped(self, shipped: Shipped) -> None:
        """Note it for the worker, which counts its backlog from here, and for the next shipper."""
        beside = self.path / "shipped.new"
        beside.write_text(f"{shipped.seq} {shipped.size}\n", encoding="ascii")
        beside.rename(self.path / "shipped")

    def try_lock(self) -> int | None:
        """The descriptor that holds the lock from now on; None while the worker lives."""
        return try_lock(self.path / "lock")


def streams(journal: Path) -> list[StreamFolder]:
    """The streams that lie in a journal, oldest first."""
    found = [entry for entry in os.scandir(journal) if entry.is_dir() and len(entry.name) == 36]
    found.sort(key=lambda entry: entry.stat().st_ctime_ns)
    return [StreamFolder(Path(entry.path)) for entry in found]


def try_lock(path: Path) -> int | None:
    """The descriptor that holds an exclusive lock on the file; None while somebody else holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def sync_folder(path: Path) -> None:
    """The names in a folder are on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
