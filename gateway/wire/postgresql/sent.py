"""What was sent and is not answered yet, first in, first out: a deque whose every step is compiled."""

from __future__ import annotations

from typing import Any, Final

from mypy_extensions import i64

SYNC: Final = 0
#: CopyDone or CopyFail, sent before it was known whether the server is at a COPY: if it is not, it reads past it.
COPY_END: Final = "copy end"

_FIRST_PLACES: Final = 8


class Sent:
    """A ring of places, twice as many when they do not do.

    Its items: of an Execute its number, of a Query its number, negative, of a Sync 0; of others what `Names.acknowledged`
    takes.
    """

    def __init__(self) -> None:
        self._places: list[Any] = [None] * _FIRST_PLACES
        self._mask: i64 = _FIRST_PLACES - 1
        self._begin: i64 = 0
        self.number: i64 = 0
        """How many items there are."""

    def append(self, item: Any) -> None:
        """Behind all others."""
        if self.number > self._mask:
            self._grow()
        self._places[(self._begin + self.number) & self._mask] = item
        self.number += 1

    def _grow(self) -> None:
        items = self.items()
        self._places = items + [None] * len(items)
        self._mask = len(self._places) - 1
        self._begin = 0

    def first(self) -> Any:
        """The item that has waited longest; None when there is none."""
        return self._places[self._begin]

    def pop(self) -> Any:
        """Take that item out; only where there is one."""
        begin = self._begin
        item = self._places[begin]
        self._places[begin] = None
        self._begin = (begin + 1) & self._mask
        self.number -= 1
        return item

    def items(self) -> list[Any]:
        """All of them, in their order."""
        behind = self._begin + self.number
        return self._places[self._begin : behind] + self._places[: max(0, behind - len(self._places))]

    def holds_a_batch(self) -> bool:
        """Whether a whole batch waits: up to its Sync, or a Query."""
        return any(type(item) is int and item <= 0 for item in self.items())

    def in_batch(self) -> int:
        """How many statements the server may be through with and has not told of: those before the next Sync."""
        number = 0
        for item in self.items():
            if type(item) is int:
                if item <= 0:
                    break
                number += 1
        return max(number, 1)

    def read_past_syncs(self) -> int:
        """Take out each Sync up to the end of COPY's data, and that end: the server reads past them. How many Syncs it were."""
        rest: list[Any] = []
        syncs = 0
        while self.number:
            item = self.pop()
            if item == COPY_END:
                break
            if rest and type(item) is int and item == SYNC:
                syncs += 1
            else:
                rest.append(item)
        rest += self.items()
        self.clear()
        for item in rest:
            self.append(item)
        return syncs

    def clear(self) -> None:
        """Nothing waits."""
        self._places = [None] * _FIRST_PLACES
        self._mask = _FIRST_PLACES - 1
        self._begin = self.number = 0
