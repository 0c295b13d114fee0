"""Encodings of clients in which a text can be read as the server reads it: PostgreSQL's names, and Python's for them.

The others (SJIS, BIG5, GBK, UHC, GB18030, JOHAB) have characters whose second byte is a backslash or a quote: what a string
holds, and where it ends, is then another question than for the bytes.
"""

from __future__ import annotations

from typing import Final

#: By PostgreSQL's name without anything but letters and digits, in lower case.
_CODECS = {
    **dict.fromkeys(("utf8", "unicode"), "utf-8"),
    # The server's own bytes, whatever they are: ASCII among them is ASCII.
    **dict.fromkeys(("sqlascii", "latin1", "iso88591"), "latin-1"),
    **{
        f"latin{number}": f"iso8859_{part}"
        for number, part in zip((2, 3, 4, 5, 6, 7, 8, 9, 10), (2, 3, 4, 9, 10, 13, 14, 15, 16), strict=True)
    },
    **{f"iso8859{part}": f"iso8859_{part}" for part in (5, 6, 7, 8)},
    **{f"win{page}": f"cp{page}" for page in (866, 874, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)},
    **{f"windows{page}": f"cp{page}" for page in (866, 874, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)},
    **dict.fromkeys(("koi8", "koi8r"), "koi8_r"),
    "koi8u": "koi8_u",
    "euccn": "gb2312",
    "eucjp": "euc_jp",
    "eucjis2004": "euc_jis_2004",
    "euckr": "euc_kr",
    **dict.fromkeys(("abc", "tcvn", "tcvn5712", "vscii"), "cp1258"),
    "alt": "cp866",
    # Every byte beyond ASCII is a piece of a letter there; which letter it is, nothing here asks.
    **dict.fromkeys(("euctw", "muleinternal"), "latin-1"),
}


#: PostgreSQL's encodings of clients alone: a byte of theirs may look like a backslash or a quote, and so hide one. Every name
#: that the server knows them by, as `clean_encoding_name` leaves it.
_UNSAFE: Final = frozenset(
    {
        *("sjis", "shiftjis", "mskanji", "win932", "windows932", "shiftjis2004"),
        *("big5", "win950", "windows950", "gbk", "win936", "windows936", "uhc", "win949", "windows949"),
        *("gb18030", "johab"),
    }
)


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isascii() and letter.isalnum())


def is_readable(name: str) -> bool:
    """Whether texts in this encoding of PostgreSQL's can be read as the server reads them."""
    return _key(name) in _CODECS


def is_unsafe(name: str) -> bool:
    """Whether texts in it may hold bytes that look like quotes or backslashes and are none; of an unknown one nobody knows."""
    return _key(name) in _UNSAFE


def decoded(text: bytes, name: str) -> str:
    """A text of a client. Bytes that the encoding does not have are kept one by one, and can be read back."""
    try:
        return text.decode(_CODECS.get(_key(name), "utf-8"))
    except UnicodeDecodeError:
        return text.decode("latin-1")


def encoded(text: str, name: str) -> bytes:
    """The other way round; letters that the encoding does not have are left as UTF-8."""
    try:
        return text.encode(_CODECS.get(_key(name), "utf-8"))
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
