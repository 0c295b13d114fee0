"""Reads a journal while it is being written, and what a crash has left of it."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from typing import Any

from audit.chain import GENESIS
from audit.errors import StreamBroken
from audit.statement_lines import BadLine, Line, parsed
from gateway.journal.folder import StreamFolder

#: How much is read at once; a longer line is read whole all the same.
CHUNK = 1024 * 1024

#: How much of what no hash fits is kept in the entry that tells of it.
_SHOWN = 4096


@dataclass(frozen=True, slots=True)
class Torn:
    """The end of a segment that is no entry: a line that was not written whole, or what a crash left behind it."""

    segment: int
    data: bytes

    def as_json(self) -> dict[str, Any]:
        """How the entry at the end of a stream tells of it."""
        return {
            "segment": self.segment,
            "bytes": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "entries": sum(map(_is_entry, self.data.split(b"\n"))),
            "start": base64.b64encode(self.data[:_SHOWN]).decode(),
        }


class Tail:
    """Goes along one stream, entry by entry, from the entry after `seq`, whose hash is `last_hash`."""

    def __init__(self, folder: StreamFolder, *, seq: int = 0, last_hash: str = GENESIS) -> None:
        self._folder = folder
        self._segment = 0
        self._offset = 0
        self.seq, self.hash = seq, last_hash
        self._counted, self.size = _noted(folder)
        """`size`: bytes of all entries of the stream up to `seq`."""
        self.torn: list[Torn] = []
        """What was found and passed over, in segments that are followed by others."""

    @property
    def segment(self) -> int:
        """The segment that is being read; all before it were read to their ends."""
        return self._segment

    def waiting(self) -> int:
        """Bytes that are in the journal behind what was read, or are room there."""
        sizes = [
            self._folder.segment(number).stat().st_size for number in self._folder.segments() if number >= self._segment
        ]
        return max(0, sum(sizes) - self._offset)

    def read(self, *, is_over: bool = False) -> list[Line]:
        """The next entries, none when there are no more by now. Raises `StreamBroken`.

        `is_over` says that nobody writes any more, so that what is incomplete stays it.
        """
        while True:
            segments = self._folder.segments()
            later = [number for number in segments if number > self._segment]
            data = self._chunk() if self._segment in segments else b""
            whole = data[: data.rfind(b"\n") + 1]
            lines, used = self._entries(whole)
            self._offset += used
            if lines:
                return lines
            if used:
                continue  # They were all known, as after a restart.
            # Zeros are room for what comes.
            rest = data[used:].rstrip(b"\x00")
            if rest and (later or is_over):
                last = self._last_line(rest)
                if last:
                    return last
                self._tear()
                rest = b""
            if not later:
                if b"\n" in rest:
                    if self._is_being_written(rest[: rest.index(b"\n")]):
                        continue
                    raise StreamBroken(
                        f"Behind entry {self.seq} of {self._folder.stream} is a line whose hash does not fit."
                    )
                return []
            self._segment, self._offset = later[0], 0

    def _is_being_written(self, line: bytes) -> bool:
        """Whether it was read while it came into its room: another processor may see its end before its middle."""
        return b"\x00" in line and not self._chunk().startswith(line)

    def _chunk(self) -> bytes:
        """What is behind the offset; at least one whole line if there is one."""
        descriptor = os.open(self._folder.segment(self._segment), os.O_RDONLY)
        try:
            size = CHUNK
            data = os.pread(descriptor, size, self._offset)
            while b"\n" not in data and len(data) == size:
                size *= 4
                data = os.pread(descriptor, size, self._offset)
            return data
        finally:
            os.close(descriptor)

    def _entries(self, data: bytes) -> tuple[list[Line], int]:
        """The entries that are new, and the bytes that were understood."""
        lines, used = [], 0
        for raw in data.splitlines(keepends=True):
            if self._offset + used > 0 or not _is_header(raw):
                try:
                    line = parsed(raw[:-1])
                except BadLine:
                    break
                if self._follows(line, len(raw)):
                    lines.append(line)
            used += len(raw)
        return lines, used

    def _follows(self, line: Line, size: int) -> bool:
        """Whether it is the next one; an entry that is known may be there once more."""
        if line.seq > self._counted:
            self._counted = line.seq
            self.size += size
        if line.seq < self.seq:
            return False
        if line.seq == self.seq:
            if line.hash != self.hash:
                raise StreamBroken(f"Entry {line.seq} of {self._folder.stream} is another one than in the database.")
            return False
        if line.seq != self.seq + 1 or line.prev != self.hash:
            raise StreamBroken(f"Entry {line.seq} of {self._folder.stream} does not follow entry {self.seq}.")
        self.seq, self.hash = line.seq, line.hash
        return True

    def _last_line(self, rest: bytes) -> list[Line]:
        """An entry that lacks nothing but its line break is an entry."""
        try:
            line = parsed(rest)
        except BadLine:
            return []
        self._offset += len(rest)
        return [line] if self._follows(line, len(rest) + 1) else []

    def _tear(self) -> None:
        path = self._folder.segment(self._segment)
        data = path.read_bytes()[self._offset :]
        self._offset += len(data)
        self.torn.append(Torn(self._segment, data.rstrip(b"\x00")))


def _is_entry(raw: bytes) -> bool:
    try:
        parsed(raw)
    except BadLine:
        return False
    return True


def _is_header(raw: bytes) -> bool:
    sealed, _, body = raw.rstrip(b"\n").partition(b" ")
    return b'"kind":"segment"' in body[:40] and hashlib.sha256(body).hexdigest().encode() == sealed


def _noted(folder: StreamFolder) -> tuple[int, int]:
    shipped = folder.shipped()
    return shipped.seq, shipped.size
