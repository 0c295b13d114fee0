"""Which accounts of ours a server has, under whatever name, and who else is in a group of ours."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.base import PRINCIPAL_PREFIX, FoundPrincipal
from connectors.quoting import sqlserver_text
from connectors.sqlserver.accounts import identifier_of
from connectors.sqlserver.catalogue import DATABASES, rows_in
from connectors.sqlserver.session import Sessions
from connectors.sqlserver.statements import SID_MARK, sid_bytes

#: A group of ours, `lockgate_<access role>_<hash of the scope>`.
GROUP = re.compile(r"lockgate_.*_[0-9a-f]{8,}")
_GROUP_PREFIX = "lockgate_"


def starts(column: str, prefix: str) -> str:
    """A condition: that a name begins so."""
    return f"LEFT({column}, {len(prefix)}) = {sqlserver_text(prefix)}"


def _ours(name: str, sid: str) -> str:
    return f"({starts(name, PRINCIPAL_PREFIX)} OR SUBSTRING({sid}, 1, {len(SID_MARK)}) = 0x{SID_MARK.hex()})"


LOGINS = (
    "SELECT CAST(name AS nvarchar(128)), sid, is_disabled FROM sys.server_principals"
    f" WHERE type = 'S' AND {_ours('name', 'sid')}"
)
#: A session that acts as somebody else is still that of the login it began with.
SESSIONS = (
    "SELECT original_login_name, original_security_id, COUNT(*) FROM sys.dm_exec_sessions WHERE session_id IS NOT NULL"
    f" AND {_ours('original_login_name', 'original_security_id')} GROUP BY original_login_name, original_security_id"
)
#: A user comes once with NULL where it is in no role. One without a login is listed too: it is a leftover.
USERS = f"""
SELECT CAST(u.name AS nvarchar(128)), u.sid, SUSER_SNAME(u.sid), CAST(r.name AS nvarchar(128))
FROM sys.database_principals AS u
LEFT JOIN sys.database_role_members AS m ON m.member_principal_id = u.principal_id
LEFT JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id
WHERE u.type <> 'R' AND ({_ours("u.name", "u.sid")} OR {starts("r.name", _GROUP_PREFIX)})
"""


@dataclass(slots=True)
class _Found:
    """What is known of the accounts so far, by what each is called now."""

    can_log_in: dict[str, bool] = field(default_factory=dict)
    sids: dict[str, bytes] = field(default_factory=dict)
    sessions: Counter[str] = field(default_factory=Counter)
    roles: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    made_as: dict[str, str] = field(default_factory=dict)

    def called(self, sid: bytes) -> str:
        """The name of the login of ours that has this SID; empty where there is none."""
        return next((name for name, known in self.sids.items() if known == sid), "")

    def add_user(self, user: str, sid: bytes, login: str | None, role: str | None) -> None:
        name = self.called(sid) or (user if user.startswith(PRINCIPAL_PREFIX) else login or user)
        is_ours = name in self.can_log_in or user.startswith(PRINCIPAL_PREFIX) or sid.startswith(SID_MARK)
        if not is_ours and not GROUP.fullmatch(role or ""):
            return
        self.can_log_in.setdefault(name, not is_ours and login is not None)
        self.sids.setdefault(name, sid)
        self.roles[name] |= {role} if role else set()
        if sid_bytes(user) == sid and user != name:
            # The SID proves that this is the name that it was made with.
            self.made_as[name] = user

    def principal(self, name: str) -> FoundPrincipal:
        made_as = self.made_as.get(name, "")
        return FoundPrincipal(
            name=name,
            can_log_in=self.can_log_in[name],
            sessions=self.sessions[name],
            memberships=tuple(sorted(self.roles[name])),
            identifier=identifier_of(self.sids.get(name, b"")),
            made_as=made_as,
            is_foreign=not (made_as or name).startswith(PRINCIPAL_PREFIX),
        )


def list_principals(sessions: Sessions) -> Sequence[FoundPrincipal]:
    """See `Connector.list_principals`. Users whose login is gone count too, since nothing else would find them."""
    found = _Found()
    for name, sid, is_disabled in sessions.home.rows(LOGINS):
        found.can_log_in[str(name)], found.sids[str(name)] = not is_disabled, bytes(sid)
    for name, sid, count in sessions.home.rows(SESSIONS):
        now = found.called(bytes(sid or b"")) or str(name)
        found.can_log_in.setdefault(now, False)
        found.sids.setdefault(now, bytes(sid or b""))
        found.sessions[now] += int(count)
    for database, may_enter in sessions.home.rows(DATABASES):
        for user, sid, login, role in rows_in(sessions, database, USERS) if may_enter else []:
            found.add_user(str(user), bytes(sid or b""), login, None if role is None else str(role))
    return [found.principal(name) for name in sorted(found.can_log_in)]
