"""A statement without its literals and comments: what is the same for every run of one piece of a program. Pure.

Strings become `''` and numbers `0`, so that the skeleton is still SQL that a parser takes, and is parsed once for the
thousands of texts that share it. The lists of IN and the rows of VALUES become one element long.

The rules of the text are PostgreSQL's: strings with doubled quotes, `E''` with backslashes, dollar quotes, nested comments,
quoted identifiers. Where a text is none (a quote that is never closed), there is no skeleton.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

#: Texts longer than this are neither taken apart nor parsed.
LONGEST = 1 << 20

#: What makes a text more than words, numbers and plain strings.
_NEEDS_CARE = re.compile(r"[\"\\$\x00]|--|/\*|[A-Za-z_&]'")
_PLAIN_LITERAL = re.compile(r"'(?:[^']|'')*'|(?<![\w$.])(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w$])")
#: A number that the quick way has not seen as one, such as in `1FROM`.
_STRAY_DIGIT = re.compile(r"(?<![\w$])(?!0(?![\w.]))\.?\d")
_PIECE = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<line>--[^\n\r]*)
    | (?P<comment>/\*)
    | (?P<escape>[eE]'(?:[^'\\]|''|\\.)*')
    | (?P<text>(?:[uU]&|[nNbBxX])?'(?:[^']|'')*')
    | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
    | (?P<dollar>\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][\w]*)?)\$)
    | (?P<parameter>\$\d+)
    | (?P<number>(?:0[xXoObB][0-9A-Fa-f_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?))
    | (?P<word>[^\W\d][\w$]*)
    | (?P<open>['"])
    | (?P<operator>::|:=|(?:(?!--|/\*)[-+*/<>=~!@#%^&|`?])+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LITERAL = r"(?:''|0|\$\d+|null|true|false)"
#: `IN (0, 0, 0)`, and the rows of VALUES.
_LIST = re.compile(rf"\b(in\s*)\(\s*({_LITERAL})(?:\s*,\s*{_LITERAL})+\s*\)", re.IGNORECASE)
_ROWS = re.compile(r"(\([^()]*\))(?:\s*,\s*\1)+")
_BLANK = re.compile(r"''|(?<![\w$.])0(?![\w$.])|\$\d+")


class NoSkeleton(ValueError):
    """A text that no server would take apart either."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A text without its literals."""

    sql: str
    """Still SQL: `SELECT name FROM item WHERE id = 0`."""
    shape: str
    """For people: `SELECT name FROM item WHERE id = ?`."""
    fingerprint: str
    """16 hexadecimal digits."""
    words: tuple[tuple[str, ...], ...]
    """Of each of its statements: words in lower case (quoted ones as they are, with their quotes), and punctuation."""


def bare(text: str) -> str:
    """The text with its literals blanked: quick, and the same for all texts that differ in nothing else."""
    if len(text) > LONGEST:
        raise NoSkeleton(f"A text of {len(text)} characters.")
    if _NEEDS_CARE.search(text) is None:
        if text.count("'") % 2:
            raise NoSkeleton("A string that is not closed.")
        blanked = _PLAIN_LITERAL.sub(_blank, text)
        if _STRAY_DIGIT.search(blanked) is None:
            return blanked
    return "".join(piece for _, piece in _pieces(text))


def _blank(found: re.Match[str]) -> str:
    return "''" if found[0][0] == "'" else "0"


def _pieces(text: str) -> list[tuple[str, str]]:
    """The text taken apart: the kind of each piece, and what is left of it."""
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        match = _PIECE.match(text, position)
        if match is None or match.lastgroup == "open" or match[0] == "\x00":
            raise NoSkeleton("A string or a name that is not closed.")
        # The tag is a group inside another one.
        kind = "dollar" if match.lastgroup == "tag" else str(match.lastgroup)
        position = match.end()
        if kind == "comment":
            position, kind = _end_of_comment(text, position), "space"
        elif kind == "dollar":
            end = text.find(match[0], position)
            if end < 0:
                raise NoSkeleton("A dollar quote that is not closed.")
            position, kind = end + len(match[0]), "text"
        left = {"space": " ", "line": " ", "escape": "''", "text": "''", "number": "0"}.get(kind, match[0])
        found.append((kind, left))
    return found


def _end_of_comment(text: str, position: int) -> int:
    depth = 1
    while depth:
        begins, ends = text.find("/*", position), text.find("*/", position)
        if ends < 0:
            raise NoSkeleton("A comment that is not closed.")
        if 0 <= begins < ends:
            depth, position = depth + 1, begins + 2
        else:
            depth, position = depth - 1, ends + 2
    return position


def skeleton_of(blanked: str) -> Skeleton:
    """The skeleton of what `bare` gave. Raises `NoSkeleton`."""
    sql = _LIST.sub(r"\1(\2)", blanked)
    sql = _ROWS.sub(r"\1", sql).strip()
    words = tuple(
        piece if kind == "quoted" else piece.lower() for kind, piece in _pieces(sql) if kind not in ("space", "line")
    )
    shape = " ".join(_BLANK.sub("?", sql).split())
    told = " ".join("?" if word in ("''", "0") or re.fullmatch(r"\$\d+", word) else word for word in words)
    fingerprint = hashlib.sha256(told.rstrip("; ").encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return Skeleton(sql, shape, fingerprint, _split(words))


def _split(words: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    statements: list[tuple[str, ...]] = []
    begin = 0
    for at, word in enumerate((*words, ";")):
        if word == ";":
            if at > begin:
                statements.append(words[begin:at])
            begin = at + 1
    return tuple(statements)
