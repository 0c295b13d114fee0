"""How an entry becomes a hash, and how hashes become a chain. Pure: no framework, no clock, no I/O.

The content of an entry is written as canonical JSON after RFC 8785 (UTF-8, no white space, keys sorted by UTF-16 code
units), restricted to what has exactly one spelling: objects, arrays, strings, booleans, null, and whole numbers that
every JSON reader holds exactly. The hash is the SHA-256 of that text. The content holds the hash of the entry before,
so a change anywhere is seen everywhere after it. `docs/audit.md` tells an outsider how to do the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from audit.errors import NotRecordable

#: Version of the form below, in every entry as `v`. A new form gets a new number; old entries keep theirs.
VERSION = 1

#: What the first entry has in the place of a previous hash.
GENESIS = "0" * 64

#: Whole numbers beyond this lose digits in readers that know only doubles.
_LARGEST = 2**53 - 1

_WRITER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> bytes:
    """The one text of a value. Raises `NotRecordable` for what has none (floats, dates, NUL, lone surrogates)."""
    try:
        return _WRITER.encode(_ordered(value)).encode()
    except UnicodeEncodeError as error:
        raise NotRecordable("A text with half a surrogate pair.") from error


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical text of an entry's content, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(canonical(content)).hexdigest()


def timestamp(moment: datetime) -> str:
    """An aware time as text, always UTC and always with six decimals: `2026-01-31T09:30:00.000000Z`."""
    if moment.tzinfo is None:
        raise NotRecordable("A time without a zone.")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _ordered(value: Any) -> Any:
    """The value with its keys in canonical order; raises `NotRecordable` where there is more than one spelling."""
    # Exact types on purpose: an enum or a subclass of str may print as something else than it stores.
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return _checked_text(value)
    if kind is int:
        if abs(value) > _LARGEST:
            raise NotRecordable(f"The whole number {value} is too large.")
        return value
    if kind is dict:
        return {name: _ordered(value[name]) for name in _sorted_names(value)}
    if kind is list or kind is tuple:
        return [_ordered(item) for item in value]
    raise NotRecordable(f"A value of type {kind.__name__}.")


def _sorted_names(names: Mapping[Any, Any]) -> list[str]:
    for name in names:
        if type(name) is not str:
            raise NotRecordable(f"A key of type {type(name).__name__}.")
        _checked_text(name)
    # The two orders differ only beyond U+FFFF; nearly every name is a plain word, and the plain order is the quick one.
    plain = all(name.isascii() for name in names)
    return sorted(names) if plain else sorted(names, key=lambda name: name.encode("utf-16-be", "surrogatepass"))


def _checked_text(text: str) -> str:
    # PostgreSQL does not store it, so it could never come back as it went in.
    if "\x00" in text:
        raise NotRecordable("A text with a NUL.")
    return text
