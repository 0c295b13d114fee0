"""A text without its literals and comments, for people and for finding what is the same. Pure.

The pieces are those of PostgreSQL's own scanner, for a text that its grammar has taken: strings go on behind a line break,
`E''` has backslashes, dollar quotes have tags, comments nest, names may be quoted.

`blanked` is the quick way for what has none of that. Its result is still SQL, and differs from the text in nothing but
constants: texts that share it are understood once.
"""

from __future__ import annotations

import re

#: Longer ones are cut: what stands further behind tells nobody anything.
LONGEST = 8_000
# Patterns begin with what is rare, and look behind it: the scan then passes over all the rest at once.
#: What makes a text more than words, numbers and plain strings.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_PREFIXED = re.compile(r"''(?<=[A-Za-z_&]'')")
_STRING = re.compile(r"'(?:[^']|'')*'")
_NUMBER = re.compile(r"[.0-9](?<![\w$.][.0-9])(?:(?<=\.)\d+|(?<=\d)\d*(?:\.\d*)?)(?:[eE][+-]?\d+)?(?![\w$])")
#: A number that the quick way has not seen as one, such as in `1FROM`.
_STRAY_DIGIT = re.compile(r"[.0-9](?<![\w$][.0-9])(?:(?<=\.)\d|(?<=[1-9])|(?<=0)(?=[\w.]))")
_LITERAL = r"(?:''|[-+]?0|\?|-\?|\$\d+|null|true|false)"
#: `(0, 0, 0)` behind IN, and the rows of VALUES.
_LIST = re.compile(rf"\(\s*({_LITERAL})(?:\s*,\s*{_LITERAL})+\s*\)", re.IGNORECASE)
_ROWS = re.compile(rf"(\(\s*{_LITERAL}(?:\s*,\s*{_LITERAL})*\s*\))(?:\s*,\s*\1)+", re.IGNORECASE)
_IN = re.compile(r"(?<![\w$.\"])in\s*\Z", re.IGNORECASE)
_ZERO = re.compile(r"0(?<![\w$.]0)(?![\w$.])")
_SPACE = r"[ \t\n\r\f\v]"
#: What may stand between two pieces of one string: white space with a line break in it, comments to the end of a line too.
_GOES_ON = rf"(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:{_SPACE}|--[^\n\r]*[\n\r])*"
_PIECE = re.compile(
    rf"""
      (?P<space>{_SPACE}+ | --[^\n\r]*)
    | (?P<comment>/\*)
    | (?P<escape>[eE]'(?:[^'\\]|''|\\.)*'(?:{_GOES_ON}'(?:[^'\\]|''|\\.)*')*)
    | (?P<text>(?:[uU]&|[nNbBxX])?'(?:[^']|'')*'(?:{_GOES_ON}'(?:[^']|'')*')*)
    | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
    | (?P<dollar>\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)?)\$)
    | (?P<parameter>\$[0-9]+)
    | (?P<number>0[xX](?:_?[0-9A-Fa-f])+ | 0[oO](?:_?[0-7])+ | 0[bB](?:_?[01])+
        | (?:[0-9](?:_?[0-9])*(?:\.(?!\.)(?:[0-9](?:_?[0-9])*)?)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9](?:_?[0-9])*)?)
    | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*)
    | (?P<operator>::|:=|\.\.|(?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?])+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def blanked(text: str) -> str | None:
    """The text with its constants blanked, where the quick way can tell for sure which they are; else None."""
    if not text.isascii() or "$" in text or '"' in text or "\\" in text or "--" in text or "/*" in text:
        return None
    if _CONTROLS.search(text) is not None:
        return None
    if "'" in text:
        if text.count("'") % 2:
            return None
        text = _STRING.sub("''", text)
        if _PREFIXED.search(text) is not None:
            return None
    bare = _NUMBER.sub("0", text)
    return None if _STRAY_DIGIT.search(bare) is not None else collapsed(bare)


def collapsed(bare: str) -> str:
    """Lists of constants are one constant long, however many there were."""
    return _ROWS.sub(r"\1", _LIST.sub(_one_of, bare)) if "," in bare else bare


def _one_of(found: re.Match[str]) -> str:
    is_list = _IN.search(found.string, max(0, found.start() - 40), found.start()) is not None
    return f"({found[1]})" if is_list else found[0]


def shortened(text: str) -> str:
    """The text with one constant in the place of each, of each list, and of each parameter."""
    return blanked(text) or collapsed("".join("0" if kind == "parameter" else piece for kind, piece in pieces_of(text)))


def shape_of(text: str, *, shown: bool = False, bare: str = "") -> str:
    """What to show of a text that the grammar has taken. With `shown`, strings stay: what they say is no secret.

    `bare` is what `blanked` gives for the text, where somebody has asked that already.
    """
    quick = None if shown else bare or blanked(text)
    if quick is not None:
        shape = _ZERO.sub("?", quick.replace("''", "?"))
    else:
        bare = collapsed("".join(piece for _, piece in pieces_of(text, shown=shown)))
        shape = bare if shown else _BLANKS.sub("?", bare)
    shape = collapsed(" ".join(shape.split()).rstrip("; "))
    return shape if len(shape) <= LONGEST else shape[: LONGEST - 1] + "…"


_BLANKS = re.compile(r"''|(?<![\w$.])0(?![\w$.])|\$[0-9]+")


def pieces_of(text: str, *, shown: bool = False) -> list[tuple[str, str]]:
    """The text taken apart: the kind of each piece, and what is left of it, without comments, with constants blanked.

    Whatever is no piece of SQL is taken for a string to its end: nothing of it is shown.
    """
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        match = _PIECE.match(text, position)
        if match is None or match[0] in "'\"\x00":
            found.append(("text", "''"))
            break
        # The tag is a group inside another one.
        kind = "dollar" if match.lastgroup == "tag" else str(match.lastgroup)
        position = match.end()
        piece = match[0]
        if kind == "comment":
            position, kind = _end_of_comment(text, position), "space"
        elif kind == "dollar":
            end = text.find(piece, position)
            position, kind = (len(text) if end < 0 else end + len(piece)), "text"
            piece = "''"
        elif not shown and kind in ("escape", "text", "number"):
            piece = "0" if kind == "number" else "''"
        found.append((kind, " " if kind == "space" else piece))
    return found


def without_comments(text: str) -> str:
    """The text with spaces for each comment, also between two pieces of one string: the same to the server, and as long."""
    found: list[str] = []
    position = 0
    while (match := _PIECE.match(text, position)) is not None:
        begin, position = position, match.end()
        kind = match.lastgroup
        if kind == "comment":
            position = _end_of_comment(text, position, open_end=-1)
            if position < 0:
                return text
        elif kind in ("dollar", "tag"):
            end = text.find(match[0], position)
            position = len(text) if end < 0 else end + len(match[0])
        piece = text[begin:position]
        if kind == "comment" or piece.startswith("--"):
            piece = " " * len(piece)
        elif kind in ("escape", "text") and "--" in piece:
            piece = (_IN_ESCAPED if kind == "escape" else _IN_TEXT).sub(_spaces_for_comments, piece)
        found.append(piece)
    return "".join(found) + text[position:]


_COMMENT = re.compile(r"--[^\n\r]*")
#: A quoted piece, or what stands between two of them.
_IN_TEXT = re.compile(rf"'(?:[^']|'')*'|{_GOES_ON}")
_IN_ESCAPED = re.compile(rf"'(?:[^'\\]|''|\\.)*'|{_GOES_ON}", re.DOTALL)


def _spaces_for_comments(found: re.Match[str]) -> str:
    piece = found[0]
    return piece if piece[0] == "'" else _COMMENT.sub(lambda comment: " " * len(comment[0]), piece)


def read_only(text: str) -> str:
    """The text with each READ WRITE made READ ONLY; of a SET with a value, with that value turned on."""
    words = pieces_of(text, shown=True)
    if next((piece.lower() for kind, piece in words if kind != "space"), "") == "set":
        for at, (_, piece) in enumerate(words):
            if piece == "=" or piece.lower() == "to":
                return "".join(piece for _, piece in words[: at + 1]) + " on"
    last = ""
    for at, (kind, piece) in enumerate(words):
        if kind == "word":
            if last == "read" and piece.lower() == "write":
                words[at] = (kind, "ONLY")
            last = piece.lower()
        elif kind != "space":
            last = ""
    return "".join(piece for _, piece in words)


def _end_of_comment(text: str, position: int, open_end: int | None = None) -> int:
    """Behind it; `open_end`, or the end of the text, where it is never closed."""
    depth = 1
    while depth:
        begins, ends = text.find("/*", position), text.find("*/", position)
        if ends < 0:
            return len(text) if open_end is None else open_end
        if 0 <= begins < ends:
            depth, position = depth + 1, begins + 2
        else:
            depth, position = depth - 1, ends + 2
    return position
