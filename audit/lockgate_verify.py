#!/usr/bin/env python3
"""Checks evidence that was exported from Lockgate, offline, trusting neither Lockgate nor its database.

    python3 lockgate_verify.py EVIDENCE [--key ID] [--head SEQ:HASH]

One file, to be read before it is run; it needs Python 3.9 and the package `cryptography`, and nothing of Lockgate.

EVIDENCE is a text file (or one compressed with gzip) of lines, in this order:

    lockgate-evidence 1
    key <sha256> <json>              a public key of checkpoints; `introduced` holds the signature of the key before
    checkpoint <sha256> <json> <signature>
    log <sha256> <json>              an entry of the audit log
    statement <sha256> <json>        an entry of the record of statements, stream after stream
    end <json>                       how many of each there are

The hash is the SHA-256 of the JSON text exactly as it stands there. Exit status 0: everything fits. 1: something does not,
and the first entry that does not is named. 2: the file cannot be read.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIRST_LINE = "lockgate-evidence 1"
GENESIS = "0" * 64


class Faulty(Exception):
    """The evidence does not fit."""


class Unreadable(Exception):
    """This is no evidence of Lockgate."""


@dataclass
class Stream:
    """What is known of one stream of statements while it is read."""

    seq: int = 0
    hash: str = GENESIS
    open: set[int] = field(default_factory=set)
    """Intents without an outcome so far."""
    intents: int = 0
    unknown: int = 0
    """Statements in the middle of which the gateway died."""
    torn: int = 0
    """Bytes of its journal that were no entry."""
    sessions: set[int] = field(default_factory=set)
    ended: bool = False


@dataclass
class Evidence:
    """What was read so far, and how much of it."""

    keys: dict[str, str] = field(default_factory=dict)
    last_key: str = ""
    announced: set[str] = field(default_factory=set)
    checkpoints: int = 0
    checkpoint_hash: str = GENESIS
    last_checkpoint: dict[str, Any] = field(default_factory=dict)
    named: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    """Stream (empty: the log) and number → the hash that a checkpoint has of it, and which checkpoint."""
    log: int = 0
    log_hash: str = GENESIS
    heads: dict[int, str] = field(default_factory=dict)
    """Hashes of the log that were noted elsewhere."""
    streams: dict[str, Stream] = field(default_factory=dict)
    statements: int = 0
    ended: bool = False


def main(arguments: list[str] | None = None) -> int:
    """Check one file; the exit status."""
    parser = argparse.ArgumentParser(description="Checks evidence exported from Lockgate, offline.")
    parser.add_argument("evidence", help="the file; '-' for standard input")
    parser.add_argument("--key", metavar="ID", help="id of the first key, as you noted it elsewhere")
    parser.add_argument(
        "--head", metavar="SEQ:HASH", action="append", default=[], help="a hash of the log that you noted elsewhere"
    )
    options = parser.parse_args(arguments)
    try:
        heads = {int(seq): sealed for seq, _, sealed in (head.partition(":") for head in options.head)}
        with _opened(options.evidence) as lines:
            found = check(lines, first_key=options.key, heads=heads)
    except Faulty as fault:
        sys.stdout.write(f"NOT WHOLE: {fault}\n")
        return 1
    except (OSError, ValueError, Unreadable) as error:
        sys.stderr.write(f"Cannot be read: {error}\n")
        return 2
    sys.stdout.write("\n".join(report(found)) + "\n")
    return 0


def check(lines: Iterable[str], *, first_key: str | None = None, heads: dict[int, str] | None = None) -> Evidence:
    """Check all lines; what was found. Raises `Faulty` for the first that does not fit, `Unreadable`."""
    evidence = Evidence(heads=dict(heads or {}))
    numbered = enumerate(lines, start=1)
    if next(numbered, (0, ""))[1].rstrip("\n") != FIRST_LINE:
        raise Unreadable(f"it does not begin with '{FIRST_LINE}'.")
    for number, line in numbered:
        word, _, rest = line.rstrip("\n").partition(" ")
        if evidence.ended:
            raise Faulty(f"line {number} stands behind the end.")
        if word not in _READERS:
            raise Faulty(f"line {number} begins with {word[:20]!r}.")
        try:
            _READERS[word](evidence, rest)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Faulty(f"line {number} ({word}) is not of the form that it should have: {error!r}.") from error
    _finish(evidence, first_key)
    return evidence


def report(evidence: Evidence) -> Iterator[str]:
    """What was checked, for a person."""
    yield f"WHOLE. Audit log: {evidence.log} entries, no gap, head {evidence.log}:{evidence.log_hash}"
    cut = [name for name, stream in evidence.streams.items() if not stream.ended]
    intents = sum(stream.intents for stream in evidence.streams.values())
    yield (
        f"Statements: {intents} in {evidence.statements} entries of {len(evidence.streams)} streams, no gap; each outcome"
        f" behind its intent. {len(cut)} streams go on."
    )
    waiting = sum(len(evidence.streams[name].open) for name in cut)
    if waiting:
        yield f"Of {waiting} statements the outcome was not recorded yet when this was exported."
    unknown = sum(stream.unknown for stream in evidence.streams.values())
    torn = sum(stream.torn for stream in evidence.streams.values())
    if unknown or torn:
        yield (
            f"Where a gateway died: of {unknown} statements nobody recorded the outcome; {torn} bytes of its journal were no"
            " entry."
        )
    if not evidence.checkpoints:
        yield "There are no checkpoints: that nothing was rewritten rests on hashes noted elsewhere alone (--head)."
        return
    last = evidence.last_checkpoint
    yield f"Checkpoints: {evidence.checkpoints}, all signed; the last of {last['at']} covers the log to {last['log']['seq']}."
    keys = ", ".join(evidence.keys)
    yield f"Keys, each introduced by the one before: {keys}. Compare the first with what you noted elsewhere."


def _key(evidence: Evidence, rest: str) -> None:
    _, content, _ = _read(rest, "key")
    public, number, introduced = content["key"]["public_key"], content["key"]["number"], content["introduced"]
    name = hashlib.sha256(bytes.fromhex(public)).hexdigest()[:16]
    signed = json.dumps(content["key"], ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    if content["key"]["key"] != name or number != len(evidence.keys) + 1:
        raise Faulty(f"key {number} is not what it is called.")
    if content["key"]["introduced_by"] != evidence.last_key:
        raise Faulty(f"key {name} was not introduced by the key before it.")
    if evidence.last_key and not _is_signed(evidence.keys[evidence.last_key], introduced, signed):
        raise Faulty(f"key {name}: its introduction is not signed by {evidence.last_key}.")
    evidence.keys[name] = public
    evidence.last_key = name


def _checkpoint(evidence: Evidence, rest: str) -> None:
    sealed, content, signature = _read(rest, "checkpoint", signed=True)
    number = content["checkpoint"]
    if number != evidence.checkpoints + 1 or content["prev"] != evidence.checkpoint_hash:
        raise Faulty(f"checkpoint {number} does not follow checkpoint {evidence.checkpoints}.")
    public = evidence.keys.get(content["key"])
    if public is None:
        raise Faulty(f"checkpoint {number} is signed with a key that nobody introduced.")
    if not _is_signed(public, signature, rest.split(" ", 1)[1].rsplit(" ", 1)[0].encode()):
        raise Faulty(f"checkpoint {number} is not signed by {content['key']}.")
    for stream, named in [("", content["log"]), *((one["stream"], one) for one in content["streams"])]:
        if named["seq"]:
            _name(evidence, stream, named["seq"], named["hash"], number)
    evidence.checkpoints, evidence.checkpoint_hash, evidence.last_checkpoint = number, sealed, content


def _name(evidence: Evidence, stream: str, seq: int, sealed: str, checkpoint: int) -> None:
    known = evidence.named.setdefault((stream, seq), (sealed, checkpoint))
    if known[0] != sealed:
        raise Faulty(f"checkpoints {known[1]} and {checkpoint} contradict each other on {_where(stream, seq)}.")


def _log(evidence: Evidence, rest: str) -> None:
    sealed, content, _ = _read(rest, "log entry")
    seq = content["seq"]
    if seq != evidence.log + 1 or content["prev_hash"] != evidence.log_hash:
        raise Faulty(f"entry {seq} of the audit log does not follow entry {evidence.log}.")
    _against_checkpoint(evidence, "", seq, sealed)
    expected = evidence.heads.pop(seq, sealed)
    if expected != sealed:
        raise Faulty(f"entry {seq} of the audit log had the hash {expected} when you noted it.")
    if content["event"] == "audit.key_introduced":
        evidence.announced.add(content["after"]["key_id"] + content["after"]["public_key"])
    evidence.log, evidence.log_hash = seq, sealed


def _statement(evidence: Evidence, rest: str) -> None:
    sealed, content, _ = _read(rest, "statement entry")
    name, seq, kind = content["stream"], content["seq"], content["kind"]
    stream = evidence.streams.setdefault(name, Stream())
    where = _where(name, seq)
    if stream.ended:
        raise Faulty(f"{where} stands behind the end of its stream.")
    if seq != stream.seq + 1 or content["prev"] != stream.hash:
        raise Faulty(f"{where} does not follow entry {stream.seq}.")
    _against_checkpoint(evidence, name, seq, sealed)
    if kind == "opened":
        stream.sessions.add(content["session"])
    elif kind in ("intent", "refused") and content["session"] not in stream.sessions:
        raise Faulty(f"{where} is of a session that was not opened.")
    if kind == "intent":
        stream.open.add(seq)
        stream.intents += 1
    elif kind == "outcome":
        if content["statement"] not in stream.open:
            raise Faulty(f"{where} is an outcome without an intent before it.")
        stream.open.remove(content["statement"])
        stream.unknown += content["verdict"] == "unknown"
    elif kind == "ended":
        stream.ended = True
        stream.torn = sum(piece["bytes"] for piece in content.get("torn", []))
        if stream.open:
            raise Faulty(f"{where} ends the stream, but the intent {min(stream.open)} has no outcome.")
    stream.seq, stream.hash = seq, sealed
    evidence.statements += 1


def _end(evidence: Evidence, rest: str) -> None:
    counts = json.loads(rest)
    found = {
        "keys": len(evidence.keys),
        "checkpoints": evidence.checkpoints,
        "log": evidence.log,
        "statements": evidence.statements,
    }
    if counts != found:
        raise Faulty(f"it should hold {counts}, and holds {found}.")
    evidence.ended = True


def _finish(evidence: Evidence, first_key: str | None) -> None:
    if not evidence.ended:
        raise Faulty("its end is missing.")
    for (stream, seq), (_, checkpoint) in sorted(evidence.named.items()):
        raise Faulty(f"{_where(stream, seq)} is gone: checkpoint {checkpoint} names it.")
    for seq in sorted(evidence.heads):
        raise Faulty(f"entry {seq} of the audit log is gone: you noted its hash.")
    for name, public in evidence.keys.items():
        if name + public not in evidence.announced:
            raise Faulty(f"key {name} is not in the audit log.")
    if first_key is not None and next(iter(evidence.keys), None) != first_key:
        raise Faulty(f"the first key is {next(iter(evidence.keys), 'missing')}, not {first_key}.")


def _against_checkpoint(evidence: Evidence, stream: str, seq: int, sealed: str) -> None:
    expected, checkpoint = evidence.named.pop((stream, seq), (sealed, 0))
    if expected != sealed:
        raise Faulty(f"{_where(stream, seq)} is not the one that checkpoint {checkpoint} names: it was sealed anew.")


def _read(rest: str, what: str, *, signed: bool = False) -> tuple[str, dict[str, Any], str]:
    """Hash, content and signature of a line, the hash checked."""
    sealed, _, text = rest.partition(" ")
    signature = ""
    if signed:
        text, _, signature = text.rpartition(" ")
    content = json.loads(text)
    if hashlib.sha256(text.encode()).hexdigest() != sealed:
        raise Faulty(f"{_called(content, what)} is not what was sealed.")
    return sealed, content, signature


def _called(content: Any, what: str) -> str:
    if not isinstance(content, dict):
        return f"a {what}"
    if "stream" in content:
        return _where(content["stream"], content.get("seq", 0))
    number = content.get("seq", content.get("checkpoint", ""))
    return f"{what} {number}".rstrip()


def _where(stream: str, seq: int) -> str:
    return f"entry {seq} of stream {stream}" if stream else f"entry {seq} of the audit log"


def _is_signed(public: str, signature: str, content: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), content)
    except InvalidSignature:
        return False
    return True


def _opened(path: str) -> IO[str]:
    if path == "-":
        return sys.stdin
    with open(path, "rb") as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
    # Lines end with \n and with nothing else: whatever else looks like an end of line to Python is content.
    if is_compressed:
        return gzip.open(path, "rt", encoding="utf-8", newline="\n")
    return open(path, encoding="utf-8", newline="\n")


_READERS = {"key": _key, "checkpoint": _checkpoint, "log": _log, "statement": _statement, "end": _end}


def run() -> NoReturn:
    """The program."""
    sys.exit(main())


if __name__ == "__main__":
    run()
