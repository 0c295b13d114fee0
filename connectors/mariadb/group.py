"""The group role of an access role, made and kept in step with its scope: it holds that, no more and no less.

Reading comes first and is all that happens when nothing has changed. Only one worker at a time changes a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from connectors.base import Journal, Scope
from connectors.errors import ServerRefused
from connectors.mariadb import administering, names, privileges, statements
from connectors.mariadb.privileges import Holding, Place
from connectors.mariadb.session import Session
from connectors.mariadb.statements import Command

#: Columns of `mysql.db` and members of `mysql.tables_priv.Table_priv` whose names are not those of the privilege.
_ODD_PRIVILEGES = {
    "CREATE TMP TABLE": "CREATE TEMPORARY TABLES",
    "GRANT": "GRANT OPTION",
    "DELETE VERSIONING ROWS": "DELETE HISTORY",
}
#: The account tables compare letter by letter themselves.
_ON_DATABASES = "SELECT * FROM mysql.db WHERE Host = '' AND User = %s"
_ON_TABLES = "SELECT Db, Table_name, Table_priv FROM mysql.tables_priv WHERE Host = '' AND User = %s"
_UNEXPECTED = """
    SELECT 1 FROM mysql.global_priv
    WHERE Host = '' AND User = %s AND COALESCE(JSON_VALUE(Priv, '$.access'), 0) <> 0
    UNION ALL SELECT 1 FROM mysql.columns_priv WHERE Host = '' AND User = %s
    UNION ALL SELECT 1 FROM mysql.procs_priv WHERE Host = '' AND User = %s
"""
#: Others may not read this table, so nobody else knows the name of our lock.
_KNOWN_TO_US_ALONE = """
    SELECT COALESCE(MAX(SHA2(Priv, 256)), '') FROM mysql.global_priv WHERE CONCAT(User, '@', Host) = CURRENT_USER()
"""
#: How long to wait for another worker that changes the same group.
_PATIENCE_SECONDS = 20


def bring_in_step(session: Session, scope: Scope, journal: Journal) -> None:
    """Make the group role where it is missing, and give and take until it holds what the scope says."""
    group = privileges.group_of(scope)
    if not _changes(session, scope) and not administering.is_out_of_hand(session, group):
        return
    with _alone(session, group):
        if administering.is_out_of_hand(session, group):
            administering.take_over(session, group, journal)
        # Asked again: the one we waited for may have done it all.
        for command in _changes(session, scope):
            session.run(command, journal)


def _changes(session: Session, scope: Scope) -> list[Command]:
    """What has to run; nothing when the group is as it should be."""
    group = privileges.group_of(scope)
    if not _exists(session, group):
        return statements.group_from_nothing(scope)
    held, wanted = _held(session, group), privileges.wanted(scope)
    if _holds_the_unexpected(session, group) or _cannot_be_withdrawn(held, wanted):
        return [statements.withdraw_everything(group), *statements.group_from_nothing(scope)[1:]]
    return _difference(group, held, wanted)


def _difference(group: str, held: Holding, wanted: Holding) -> list[Command]:
    """Give before taking, so that whoever is at work under this group loses nothing that stays."""
    nothing: frozenset[str] = frozenset()
    places = sorted(held.privileges.keys() | wanted.privileges.keys())
    has = {place: held.privileges.get(place, nothing) for place in places}
    needs = {place: wanted.privileges.get(place, nothing) for place in places}
    lacking = {place: needs[place] - has[place] for place in places}
    surplus = {place: has[place] - needs[place] for place in places}
    return [
        *(statements.grant(granted, place, group) for place, granted in lacking.items() if granted),
        *(statements.grant_role(role, group) for role in sorted(wanted.roles - held.roles)),
        *(statements.withdraw(withdrawn, place, group) for place, withdrawn in surplus.items() if withdrawn),
        *(statements.withdraw_role(role, group) for role in sorted(held.roles - wanted.roles)),
    ]


def _exists(session: Session, group: str) -> bool:
    return bool(session.rows("SELECT 1 FROM mysql.global_priv WHERE Host = '' AND User = %s", group))


def _held(session: Session, group: str) -> Holding:
    held: dict[Place, frozenset[str]] = {}
    for row in session.named_rows(_ON_DATABASES, group):
        held[Place(row["Db"])] = _of_columns(row)
    for database, table, granted in session.rows(_ON_TABLES, group):
        held[Place(database, table)] = _of_set(granted)
    roles = session.texts("SELECT Role FROM mysql.roles_mapping WHERE Host = '' AND User = %s", group)
    return Holding({place: granted for place, granted in held.items() if granted}, frozenset(roles))


def _holds_the_unexpected(session: Session, group: str) -> bool:
    """Global privileges, or ones on columns or routines: no scope leads to any of them."""
    return bool(session.rows(_UNEXPECTED, group, group, group))


def _cannot_be_withdrawn(held: Holding, wanted: Holding) -> bool:
    """Whether there is more than one may take who has only what Lockgate has: all at once takes but CREATE USER."""
    nothing: frozenset[str] = frozenset()
    ours = {*privileges.OURS_ON_DATABASE, "GRANT OPTION"}
    return any(granted - wanted.privileges.get(place, nothing) - ours for place, granted in held.privileges.items())


def _of_columns(row: Mapping[str, Any]) -> frozenset[str]:
    granted = (column for column, value in row.items() if column.endswith("_priv") and value == "Y")
    return frozenset(_privilege(column.removesuffix("_priv").replace("_", " ")) for column in granted)


def _of_set(granted: Any) -> frozenset[str]:
    # mysqlclient gives a SET as one text or as a Python set, depending on its version.
    members = granted.split(",") if isinstance(granted, str) else granted
    return frozenset(_privilege(member) for member in members if member)


def _privilege(word: str) -> str:
    return _ODD_PRIVILEGES.get(word.upper(), word.upper())


@contextmanager
def _alone(session: Session, group: str) -> Iterator[None]:
    """Hold the group's lock. It is the session's own, and goes with it if the connection breaks."""
    lock = names.lock_name(group, session.texts(_KNOWN_TO_US_ALONE)[0])
    if session.texts("SELECT GET_LOCK(%s, %s)", lock, _PATIENCE_SECONDS) != ["1"]:
        busy = ServerRefused(f"Another worker has been changing the role {group} for {_PATIENCE_SECONDS} seconds.")
        busy.transient = True
        raise busy
    try:
        yield
    finally:
        # On a broken connection there is no lock left to give up.
        if not session.is_broken:
            session.rows("DO RELEASE_LOCK(%s)", lock)
