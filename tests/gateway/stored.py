"""Statements that are in the console's database, as the shipper would have brought them, for the tests of pages."""

from __future__ import annotations

import hashlib
import os
from typing import Any
from uuid import UUID, uuid4

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from access.models import Grant
from access.statement_sealing import sealed_key, sealed_text
from audit import streams
from audit.chain import GENESIS
from audit.statement_lines import Line

_START = 1_767_225_600_000_000  # 2026-01-01


def store(entries: list[dict[str, Any]], *, stream: UUID | None = None, key: bytes = b"k" * 32) -> UUID:
    """A stream with these entries; returns its id."""
    stream = stream or uuid4()
    streams.introduce(stream, host="gateway-1", sealed_key=sealed_key(key))
    lines, prev = [], GENESIS
    for seq, entry in enumerate(entries, start=1):
        content = {"v": 1, "stream": str(stream), "seq": seq, "at": _START + seq, **entry, "prev": prev}
        text = orjson.dumps(content)
        prev = hashlib.sha256(text).hexdigest()
        lines.append(Line(prev, text.decode(), content))
    streams.append(stream, lines, streams.rows(stream))
    return stream


def opened(grant: Grant, session: int = 1) -> dict[str, Any]:
    """The grant's owner comes in."""
    return {
        "kind": "opened",
        "session": session,
        "person": {"id": str(grant.person_id), "label": grant.person.email},
        "credential": {"kind": "personal_token", "id": "41"},
        "grant": {"id": grant.pk, "reference": grant.reference},
        "role": {"slug": grant.request.role.slug, "name": grant.request.role.name},
        "server": grant.server.name,
        "client_ip": "192.0.2.1",
        "application": "psql",
    }


def intent(session: int = 1, *, shape: str = "SELECT ?", fingerprint: str = "00ff00ff00ff00ff") -> dict[str, Any]:
    """A statement is about to be sent."""
    return {
        "kind": "intent",
        "session": session,
        "fingerprint": fingerprint,
        "sha256": "ab" * 32,
        "classes": ["read"],
        "parsed": True,
        "shape": shape,
    }


def sealed(stream: UUID, text: str, *, key: bytes = b"k" * 32, parameters: bytes = b"") -> dict[str, Any]:
    """A statement whose text is kept."""
    entry = intent()
    del entry["shape"]
    box, nonce = AESGCM(key), os.urandom(12)
    whole = sealed_text(box, nonce=nonce, stream=stream.bytes, text=text.encode(), parameters=parameters)
    return {**entry, "sealed": whole}


def refused(session: int = 1, *, reason: str = "The access role does not allow this.") -> dict[str, Any]:
    """A rule said no."""
    return {**intent(session, shape="DROP TABLE t"), "kind": "refused", "rule": "classes", "reason": reason}


def outcome(statement: int, verdict: str = "done", session: int = 1, code: str = "") -> dict[str, Any]:
    """What became of it."""
    numbers = {"rows": 2, "bytes": 80, "took": 1500}
    return {"kind": "outcome", "session": session, "statement": statement, "verdict": verdict, "code": code, **numbers}
