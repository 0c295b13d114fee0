"""The file of a stream's journal that is being written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any, Final

import orjson

from gateway.journal.folder import StreamFolder, sync_folder

#: How much room is made at once behind what a segment holds, when half of it is left. Its zeros go to the disk with the next
#: sync, which is not to take long.
ROOM: Final = 1_048_576

#: A segment that holds less is one of a quiet worker, which needs none.
_BUSY: Final = 131_072

#: Room is made where there is plenty: it must not be what fills the disk.
_PLENTY: Final = 67_108_864


class Segment:
    """One file that is being written, by one process.

    Where a file grows with every write, each sync has to write down its new length and where its new blocks lie, which
    takes longer than what is synced. So a busy one is written into room that was made before, and is on the disk as zeros.
    """

    def __init__(self, folder: StreamFolder, number: int, header: Mapping[str, Any]) -> None:
        self.number = number
        self.size = 0
        self._room = 0
        """Up to where the file is there for sure; what is appended goes beyond it if it must."""
        self._may_have_room = True
        self.descriptor = os.open(folder.segment(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        body = orjson.dumps({"v": 1, "kind": "segment", "stream": str(folder.stream), "segment": number, **header})
        try:
            self.append(hashlib.sha256(body).hexdigest().encode() + b" " + body + b"\n")
            sync_folder(folder.path)
        except OSError:
            self.close()
            raise

    def append(self, data: bytes) -> None:
        """All of it, or an `OSError`; `size` then tells how much of it is in the file."""
        while data:
            written: int = os.write(self.descriptor, data)
            self.size += written
            data = data[written:] if written < len(data) else b""

    def fits(self, data: bytes) -> bool:
        """Whether it goes where no room is being made meanwhile."""
        return self.size + len(data) <= self._room

    def wants_room(self) -> bool:
        """Whether it would soon grow with what is appended, and may have room instead."""
        if not self._may_have_room or self.size < _BUSY or self._room - self.size > ROOM // 2:
            return False
        free = os.statvfs(self.descriptor)
        return free.f_bavail * free.f_frsize >= _PLENTY

    def make_room(self) -> None:
        """Some more of it. Only what `fits` may be appended meanwhile."""
        begin = max(self._room, self.size)
        try:
            self._room = begin + os.pwrite(self.descriptor, bytes(ROOM), begin)
        except OSError:
            # It goes on growing then, for as long as the disk lets it.
            self._may_have_room = False
            os.ftruncate(self.descriptor, begin)

    def sync(self) -> None:
        """What was appended is on the disk when this returns."""
        os.fdatasync(self.descriptor)

    def finish(self) -> None:
        """Nothing more is appended: it ends with its last line, and is on the disk when this returns."""
        if self._room > self.size:
            os.ftruncate(self.descriptor, self.size)
        self.sync()

    def close(self) -> None:
        """Let go of the file, if that was not done."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
