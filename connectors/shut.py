"""Databases that are shut for good, as an administrator has written down: what a receipt does with them. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from connectors.base import Receipt

_WHY = "known to be shut, as an administrator has written down"


def with_known_shut(receipt: Receipt, known_shut: Collection[str]) -> Receipt:
    """The same, where what could not be read of these databases is told and keeps the receipt from nothing.

    One that has been opened since is read like any other.
    """
    waived = [line for line in receipt.unreadable if line.partition(": ")[0] in known_shut]
    told = tuple(f"{line} ({_WHY})" for line in waived)
    unreadable = tuple(line for line in receipt.unreadable if line not in waived)
    return replace(receipt, unreadable=unreadable, not_seen=(*receipt.not_seen, *told))
