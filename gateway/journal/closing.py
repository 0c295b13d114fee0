"""The last entries of a stream whose worker did not write them: it was killed, or the machine went down."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from audit.statement_lines import Line
from audit.streams import Position
from gateway.recording import Verdict

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def closing_lines(
    stream: UUID,
    end: Position,
    statements: Iterable[tuple[int, int]],
    *,
    torn: Sequence[dict[str, Any]],
    now: datetime,
) -> list[Line]:
    """An outcome for each statement (number, session) that has none, and the entry that says that the stream was cut.

    `torn` tells what was found in the journal that is no entry.
    """
    at = (max(now, end.at or now) - _EPOCH) // timedelta(microseconds=1)
    entries: list[dict[str, Any]] = [
        {
            "kind": "outcome",
            "session": session,
            "statement": number,
            "verdict": Verdict.UNKNOWN.value,
            "code": "",
            "rows": 0,
            "bytes": 0,
            "took": 0,
        }
        for number, session in statements
    ]
    entries.append({"kind": "ended", "how": "cut", "unknown": len(entries), "torn": list(torn)})
    lines, seq, prev = [], end.seq, end.hash
    for entry in entries:
        seq += 1
        content = {"v": 1, "stream": str(stream), "seq": seq, "at": at, **entry, "prev": prev}
        text = orjson.dumps(content)
        prev = hashlib.sha256(text).hexdigest()
        lines.append(Line(prev, text.decode(), content))
    return lines
