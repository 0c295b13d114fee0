"""Which users of a database are a grant's account, whatever they are called now.

A user keeps its SID and its extended properties when somebody renames it (ALTER USER … WITH NAME). Lockgate writes the name
that it gave on each user that it makes, as a property, which the user itself cannot change; where somebody has taken the
property away, the SID that `provision` returned counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.azuresql.statements import ACCOUNT
from connectors.quoting import sqlserver_text
from connectors.sqlserver.session import Session

#: Bound where no SID is known: nobody has it.
_NOBODY = b"\0"
#: That a user `u` carries the mark of an account, with its name.
MARK = f"""(SELECT CAST(e.value AS nvarchar(4000)) FROM sys.extended_properties AS e
  WHERE e.class = 4 AND e.major_id = u.principal_id AND e.name = {sqlserver_text(ACCOUNT)})"""
USERS = f"""
SELECT u.name, u.sid FROM sys.database_principals AS u
WHERE u.type <> 'R' AND (u.name = %s OR {MARK} = %s OR u.sid = %s) ORDER BY u.name
"""


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A user that is a grant's account."""

    name: str
    """As it is called now."""
    sid: bytes


def parameters(principal: str, identifier: str) -> tuple[str, str, bytes]:
    """What `USERS` is asked with."""
    try:
        sid = bytes.fromhex(identifier.removeprefix("0x"))
    except ValueError:
        sid = b""
    # Shorter ones are those of `dbo`, `guest` and the like.
    return principal, principal, sid if len(sid) >= len("of sixteen bytes") else _NOBODY


def users_of(session: Session, principal: str, identifier: str = "") -> list[FoundUser]:
    """The account's users in the session's database: one or none, unless somebody meddled."""
    rows = session.rows(USERS, *parameters(principal, identifier))
    return [FoundUser(str(name), bytes(sid or b"")) for name, sid in rows]
