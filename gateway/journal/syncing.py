"""Puts on the disk what was written, in groups, beside the event loop; and mends a journal that could not be written.

One thread a journal. Whoever asks while a sync runs waits for the next one, which is then one for all of them. When
nobody asks, what was written is synced after `flush_every` seconds at the latest.

After a failed write or sync the file is never written again: what a failed sync left of it is not known. The thread
begins a new segment, repeats in it what was not synced yet, and tries until that succeeds.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from gateway.errors import NotRecorded
from gateway.journal.folder import StreamFolder
from gateway.journal.segment import Segment

Done = Callable[[Exception | None], None]

#: How often a journal that failed is tried again, in seconds.
TRY_AGAIN = 0.25

#: A disk with less than this is not tried: it would be full again at once.
_LEAST_FREE = 256 * 1024

_log = structlog.get_logger(__name__)


class _Bell:
    """A `threading.Event` that one thread waits for, in a single call of C.

    Each step of an Event's own waiting takes the interpreter from the event loop, a thousand times a second.
    """

    def __init__(self) -> None:
        self._rung: SimpleQueue[None] = SimpleQueue()
        self._is_rung = False

    def ring(self) -> None:
        """Whoever waits goes on."""
        if not self._is_rung:
            self._is_rung = True
            self._rung.put(None)

    def wait(self, seconds: float | None = None) -> None:
        """Until it is rung, or that time is over. It may have been rung before, and be quiet since: look what there is."""
        with suppress(Empty):
            self._rung.get(timeout=seconds)

    def quiet(self) -> None:
        """It can be rung again."""
        self._is_rung = False


class Syncer:
    """Owns the files of one stream. `append`, `when_synced`, `resume` and `stop` are for the event loop's thread."""

    def __init__(
        self,
        folder: StreamFolder,
        *,
        loop: asyncio.AbstractEventLoop,
        flush_every: float,
        header: dict[str, Any],
    ) -> None:
        # mypyc makes it a member of C, where `_thread` would be a word of the language.
        self._runner = threading.Thread(target=self.run, name=f"journal-{folder.stream}", daemon=True)
        self.failure: OSError | None = None
        """What went wrong; nothing is appended until `resume`."""
        self.is_mended = False
        """A new segment is in place, with everything in it that was appended before."""
        self._folder = folder
        self._loop = loop
        self._flush_every = flush_every
        self.landed = b""
        """Of the last `append` that failed: the whole lines that are in the file all the same."""
        self._number = 1
        self._segment = Segment(folder, 1, header)
        self._full: list[Segment] = []
        self._has_left = False
        """The segment failed, and the shipper was told that nothing more comes in it."""
        self._lock = threading.Lock()
        self._room_lock = threading.Lock()
        """Held while room is made, which the next that is appended may lie in already. Taken after the other, never before."""
        self._unsynced: list[bytes] = []
        self._is_trusted = True
        """Whether what was written to the segment can still be put on the disk: not after a sync that failed."""
        self._waiting: list[Done] = []
        self._stopping = False
        self._work = _Bell()
        self._urgent = _Bell()

    def start(self) -> None:
        """Begin the thread."""
        self._runner.start()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._runner.is_alive()

    @property
    def segment_size(self) -> int:
        """Bytes in the segment that is being written."""
        return self._segment.size

    def append(self, data: bytes) -> None:
        """Into the file. Raises `OSError`; `landed` then tells what of it is there all the same."""
        # Not by `with`: for each statement, that is a good part of what this costs when it is compiled.
        self._lock.acquire()
        try:
            if self._segment.fits(data):
                self._append(data)
            else:
                with self._room_lock:
                    self._append(data)
        finally:
            self._lock.release()
        self._work.ring()

    def _append(self, data: bytes) -> None:
        if self.failure is not None:
            self.landed = b""
            raise self.failure
        before = self._segment.size
        try:
            self._segment.append(data)
        except OSError as error:
            self.failure = error
            self._work.ring()
            self._urgent.ring()
            self._keep_whole_lines(data, self._segment.size - before)
            raise
        self._unsynced.append(data)

    def _keep_whole_lines(self, data: bytes, landed: int) -> None:
        """A line that is complete may be in the database already, so it is part of the record, whatever came behind it.

        One that lacks nothing but its line break is complete: so it is to whoever reads it.
        """
        if data[landed : landed + 1] == b"\n":
            landed += 1
        self.landed = data[: data.rfind(b"\n", 0, landed) + 1]
        if self.landed:
            self._unsynced.append(self.landed)

    def rotate(self, header: dict[str, Any]) -> None:
        """Go on in a new segment; the old one is synced and closed by the thread. Raises `OSError`."""
        with self._lock:
            self._number += 1
            self.landed = b""
            try:
                fresh = Segment(self._folder, self._number, header)
            except OSError as error:
                self.failure = error
                self._work.ring()
                raise
            self._full.append(self._segment)
            self._segment = fresh

    def when_synced(self, done: Done) -> None:
        """Call `done` on the event loop when everything appended so far is on the disk, or with what went wrong."""
        with self._lock:
            if self.failure is not None:
                self._loop.call_soon(done, _not_recorded(self.failure))
                return
            if not self._unsynced and not self._full:
                # Nothing is being synced either: the thread takes things off the list only afterwards.
                self._loop.call_soon(done, None)
                return
            self._waiting.append(done)
        self._urgent.ring()
        self._work.ring()

    def resume(self) -> None:
        """Append again, after `is_mended`."""
        with self._lock:
            self.failure, self.is_mended = None, False
        self._urgent.ring()

    def stop(self) -> None:
        """Sync what is left, and end the thread. Raises `OSError` when that fails."""
        self._stopping = True
        self._urgent.ring()
        self._work.ring()
        self._runner.join()
        try:
            if self.failure is not None:
                raise self.failure
            self._segment.finish()
        finally:
            self._segment.close()

    def abandon(self) -> None:
        """End the thread, whatever is not synced."""
        self._stopping = True
        self._urgent.ring()
        self._work.ring()
        self._runner.join()
        self._segment.close()

    def run(self) -> None:
        """The thread: until it is stopped, sync when there is something to sync."""
        while True:
            self._work.wait()
            if self.failure is None:
                self._urgent.wait(self._flush_every)
            self._work.quiet()
            self._urgent.quiet()
            self._sync()
            if self._stopping:
                return
            self._make_room()
            while self.failure is not None and not self._stopping:
                self._urgent.quiet()
                if not (self.is_mended or self._has_left):
                    # It may have been mended, and have failed again, since it was synced.
                    self._sync()
                self._mend()
                self._urgent.wait(TRY_AGAIN)

    def _sync(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            full, self._full = self._full, []
            upto, segment = len(self._unsynced), self._segment
            failure = None if self._is_trusted else self.failure
        if failure is None and (upto or full):
            try:
                for one in full:
                    one.finish()
                segment.sync()
            except OSError as error:
                failure = error
        with self._lock:
            if failure is None:
                del self._unsynced[:upto]
            else:
                self.failure, self._is_trusted = failure, False
        for one in full:
            one.close()
        if waiting:
            self._tell(waiting, failure)

    def _make_room(self) -> None:
        """For what comes next, so that syncing it takes less."""
        with self._room_lock, suppress(OSError):  # which is seen again, and told, when it is written or synced
            segment = self._segment
            if self.failure is None and segment.wants_room():
                segment.make_room()

    def _tell(self, waiting: list[Done], failure: OSError | None) -> None:
        # No function inside of this one: compiled, it would know itself, and what it knows would wait for the collector.
        self._loop.call_soon_threadsafe(_tell_all, waiting, None if failure is None else _not_recorded(failure))

    def _mend(self) -> None:
        """A new segment with everything in it that was not synced. The event loop appends nothing meanwhile."""
        if self.is_mended:
            return
        if not self._has_room():
            self._leave_the_segment()
            return
        self._number += 1
        try:
            fresh = Segment(self._folder, self._number, {"why": f"the segment before failed: {self.failure}"})
        except OSError as error:
            self._give_up(error)
            return
        try:
            fresh.append(b"".join(self._unsynced))
            fresh.sync()
        except OSError as error:
            fresh.close()
            self._give_up(error)
            return
        with self._lock:
            old, self._segment = self._segment, fresh
            self._unsynced.clear()
            self._is_trusted, self._has_left = True, False
            waiting, self._waiting = self._waiting, []
            self.is_mended = True
        old.close()
        if waiting:
            self._tell(waiting, self.failure)

    def _leave_the_segment(self) -> None:
        """Tell the shipper, by an empty segment behind it, that it may remove this one: that may be what makes room."""
        if self._has_left:
            return
        self._number += 1
        try:
            os.close(os.open(self._folder.segment(self._number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            _log.warning("journal_still_fails", stream=str(self._folder.stream), error=str(error))
        else:
            self._has_left = True
            # A file that is removed takes its room until nobody has it open any more.
            self._segment.close()

    def _has_room(self) -> bool:
        try:
            free = os.statvfs(self._folder.path)
        except OSError:
            return False
        return free.f_bavail * free.f_frsize >= _LEAST_FREE

    def _give_up(self, error: OSError) -> None:
        """Until the next time. What the attempt left is only a copy, and its number is not used again."""
        _log.warning("journal_still_fails", stream=str(self._folder.stream), error=str(error))
        self._folder.segment(self._number).unlink(missing_ok=True)


def _tell_all(waiting: list[Done], problem: NotRecorded | None) -> None:
    for done in waiting:
        done(problem)


def _not_recorded(failure: OSError) -> NotRecorded:
    return NotRecorded(f"The journal cannot be written: {failure.strerror}.")
