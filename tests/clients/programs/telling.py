"""What a program says of its client, a line each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LEVEL = os.environ.get("LEVEL", "read")
MAY_WRITE = LEVEL in ("write", "ddl")
#: What a role of this level may not do: how it is called, and the statement.
NOT_ALLOWED, NOT_ALLOWED_SQL = {
    "read": ("INSERT", "INSERT INTO things (name) VALUES ('not allowed')"),
    "write": ("CREATE TABLE", "CREATE TABLE not_allowed (id int)"),
    "ddl": ("GRANT", "GRANT SELECT ON things TO PUBLIC"),
}[LEVEL]


def tell(**about: Any) -> None:
    print(json.dumps(about), flush=True)


def version(text: str) -> None:
    """Of the client."""
    tell(version=text)


def sqlstate(error: BaseException) -> str:
    """As each driver calls it; of the error itself, or of the one that it wraps."""
    for one in (error, getattr(error, "orig", None), error.__cause__):
        for name in ("sqlstate", "pgcode"):
            if code := getattr(one, name, None):
                return str(code)
    first = error.args[0] if error.args else ""
    if isinstance(first, dict):  # pg8000 gives all that the server said
        return str(first.get("C", ""))
    return first if isinstance(first, str) and len(first) == 5 else ""  # pyodbc gives it first


@contextmanager
def does(what: str, how: str) -> Iterator[None]:
    """`what` of the table, done in this way; where it fails, the client's own words."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # every driver has its own, and any is to be shown
        tell(fails=what, how=how, sqlstate=sqlstate(error), said=str(error) or repr(error))
    else:
        tell(does=what, how=how)


@contextmanager
def refused(what: str = NOT_ALLOWED) -> Iterator[None]:
    """What the role does not allow, and how the client says so."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # likewise
        tell(refused=what, sqlstate=sqlstate(error), said=str(error))
    else:
        tell(fails=f"refusing {what}", how="", sqlstate="", said="It was not refused.")


def same(found: object, wanted: object) -> None:
    """Both are equal, or what is being done has failed."""
    if found != wanted:
        raise AssertionError(f"{found!r} instead of {wanted!r}")
