"""Which login is a grant's account, whatever it is called now.

A login keeps its SID when somebody renames it (ALTER LOGIN … WITH NAME), and nobody can give it another one. Lockgate
chooses it: a mark, and a digest of the name. So a login is known by the name that Lockgate gave it, by the SID that goes
with that name, and by the one that `provision` returned, where the login was there before Lockgate chose them so.
"""

from __future__ import annotations

from connectors.sqlserver.session import Session
from connectors.sqlserver.statements import SID_BYTES, sid_bytes

_SIDS = "SELECT sid FROM sys.server_principals WHERE name = %s AND type = 'S'"
_NAMES = (
    "SELECT CAST(name AS nvarchar(128)) FROM sys.server_principals WHERE type = 'S' AND sid IN ({sids}) ORDER BY name"
)


def identifier_of(sid: bytes) -> str:
    """A SID as a text; empty for one that is no SQL Server's: a compatible server makes them of numbers it gives anew."""
    return f"0x{sid.hex()}" if len(sid) >= SID_BYTES else ""


def sids_of(home: Session, principal: str, identifier: str = "") -> list[bytes]:
    """Every SID that an account of this name has or had: one, unless somebody meddled."""
    known = [bytes(row[0]) for row in home.rows(_SIDS, principal)]
    return list(dict.fromkeys([*known, sid_bytes(principal), *_parsed(identifier)]))


def names_of(home: Session, sids: list[bytes]) -> list[str]:
    """What the logins with these SIDs are called now."""
    return home.texts(_NAMES.format(sids=places(sids)), *sids)


def places(values: list[bytes]) -> str:
    """One place in a statement for each value."""
    return ", ".join(["%s"] * len(values))


def _parsed(identifier: str) -> list[bytes]:
    """Never the SID of `sa`, or of anybody whose SID the server did not make for a login or a user of its own."""
    try:
        sid = bytes.fromhex(identifier.removeprefix("0x"))
    except ValueError:
        return []
    return [sid] if len(sid) >= SID_BYTES else []
