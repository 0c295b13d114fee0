"""Keeping the stable group role of a scope in step: it holds exactly what the scope says, in every database.

What is too much is taken away and what is lacking is granted in one transaction for each database, so that accounts that
live never see a moment without their privileges. What somebody granted who alone can take it back is refused and named;
an account of ours, however it granted or owns something, stands in nobody's way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from connectors.base import Journal, JournalEntry, Scope, Statement
from connectors.errors import AdminLacksPrivilege, ConnectorError, GrantedByOthers, ServerRefused
from connectors.postgresql import statements
from connectors.postgresql.failures import VANISHED
from connectors.postgresql.group_privileges import HELD_BY_OTHERS, LOCK, TRY_LOCK, aspects, make_group
from connectors.postgresql.group_surplus import places, surplus
from connectors.postgresql.session import Session, Sessions
from connectors.postgresql.statements import Command, command

_GROUP = """
SELECT g.rolsuper OR g.rolcanlogin OR g.rolcreaterole OR g.rolcreatedb OR g.rolreplication OR g.rolbypassrls
  OR EXISTS (SELECT FROM pg_auth_members m WHERE m.member = g.oid)
FROM pg_roles g WHERE g.rolname = %s
"""

#: How many of each kind are asked for, and named in a sentence.
_ASKED_AT_MOST, _SHOWN_AT_MOST = 50, 5
_ACTING = "Until the end of this step: the account of an access that lives owns something here."
#: How often a database is gone through again because something of it was dropped meanwhile.
_TRIES = 4


@dataclass(frozen=True, slots=True)
class _Surplus:
    """One thing that the group holds beyond its scope."""

    what: str
    grantors: str
    account: str
    """The account of ours that owns it, for whom we have to act; empty where none does."""
    may_take: bool
    revoke: str


@dataclass(frozen=True, slots=True)
class _Lacking:
    """One object on which the group lacks something."""

    number: int
    """Of the aspect that grants it."""
    what: str
    owner: str
    is_accounts: bool
    may_grant: bool


def keep_in_step(sessions: Sessions, scope: Scope, journal: Journal, *, group_exists: bool) -> None:
    """Make the group where missing, and let it hold exactly what the scope says, in every database of the scope.

    Raises `GrantedByOthers` for what is too much and not ours to take away, `AdminLacksPrivilege` for what is lacking and
    not ours to grant.
    """
    home = sessions.home
    if not group_exists:
        home.run_together(lambda: _group_if_missing(home, scope.group), journal)
    if home.rows(_GROUP, [scope.group]) != [(False,)]:
        raise ServerRefused(f"The role {scope.group} is no plain group: it has attributes, or memberships, of its own.")
    if group_exists:
        for (place,) in home.rows(places(scope)):
            _set_right(sessions.on(place), scope, journal, grants=False)
    for database in scope.databases:
        _set_right(sessions.on(database), scope, journal)


def _group_if_missing(home: Session, group: str) -> list[Command]:
    return [] if home.rows(_GROUP, [group]) else [make_group(group, home.database)]


def _set_right(session: Session, scope: Scope, journal: Journal, *, grants: bool = True) -> None:
    """In one database. Tried again when something of it was dropped while we were at it."""
    for tried in range(1, _TRIES + 1):
        try:
            _set_right_once(session, scope, journal, grants=grants)
        except ConnectorError as error:
            if error.code not in VANISHED or tried == _TRIES:
                raise
        else:
            return


def _set_right_once(session: Session, scope: Scope, journal: Journal, *, grants: bool) -> None:
    lacking = _lacking(session, scope) if grants else []
    if _beyond(session, scope) or any(not each.is_accounts or _is_named(scope, each) for each in lacking):
        session.run_together(partial(changes, session, scope, grants=grants), journal)
    if left_out := [each for each in lacking if each.is_accounts and not _is_named(scope, each)]:
        _tell_left_out(session.database, left_out, journal)


def changes(session: Session, scope: Scope, *, grants: bool) -> Iterator[Command]:
    """What has to change once it is our turn: whoever was before us may have done it. Ends by reading what came of it."""
    _take_turn(session)
    beyond = _beyond(session, scope)
    _refuse_to_leave(session.database, scope.group, [each for each in beyond if not each.may_take])
    # What is revoked below may be what somebody needs: then it is lacking, although it is there now.
    lacking = _lacking(session, scope) if grants else []
    acted_for = sorted({each.account for each in beyond if each.account} | _owners_to_act_for(scope, lacking))
    yield from (_act_for(account, session.database) for account in acted_for)
    yield from (command(each.revoke, session.database, f"Beyond the access role: {each.what}.") for each in beyond)
    if grants:
        yield from _grants(session, scope)
    yield from (statements.stop_acting_for(account, session.database) for account in acted_for)
    _refuse_to_leave(session.database, scope.group, _beyond(session, scope))
    _refuse_to_lack(session.database, scope, _lacking(session, scope) if grants else [])


def _take_turn(session: Session) -> None:
    """Wait for other workers of ours, and for nobody else: an account that holds the lock is to hold up no grant.

    Who goes on without it may collide with somebody, and is tried again as after any other collision.
    """
    if session.rows(TRY_LOCK) != [(True,)] and session.rows(HELD_BY_OTHERS) != [(True,)]:
        session.rows(LOCK)


def _grants(session: Session, scope: Scope) -> list[Command]:
    lacking = _lacking(session, scope)
    _refuse_to_lack(session.database, scope, [each for each in lacking if not each.may_grant])
    numbers = {each.number for each in lacking if not each.is_accounts or _is_named(scope, each)}
    return [each.command for number, each in enumerate(aspects(scope, session.database)) if number in numbers]


def _beyond(session: Session, scope: Scope) -> list[_Surplus]:
    return [_Surplus(*row) for row in session.rows(surplus(scope))]


def _lacking(session: Session, scope: Scope) -> list[_Lacking]:
    """What the group lacks in this database, what stands in the way first: one question for all aspects."""
    parts = [
        f"(SELECT {number}, * FROM ({aspect.lacking}) q (what, owner, account, may_grant)"
        f" ORDER BY account, may_grant LIMIT {_ASKED_AT_MOST})"
        for number, aspect in enumerate(aspects(scope, session.database))
    ]
    return [_Lacking(*row) for row in session.rows(" UNION ALL ".join(parts))]


def _is_named(scope: Scope, lacking: _Lacking) -> bool:
    return aspects(scope, scope.databases[0])[lacking.number].is_named


def _owners_to_act_for(scope: Scope, lacking: list[_Lacking]) -> set[str]:
    """Accounts of ours that own what the scope names: what it names is not left out."""
    return {each.owner for each in lacking if each.is_accounts and _is_named(scope, each) and not each.may_grant}


def _act_for(account: str, database: str) -> Command:
    return command(statements.act_for(account, database).text, database, _ACTING)


def _refuse_to_leave(database: str, group: str, left: list[_Surplus]) -> None:
    if left:
        named = "; ".join(
            f"{each.what}, granted by {each.grantors}"
            + (f" (as {each.grantors}: {each.revoke};)" if each.revoke else "")
            for each in left[:_SHOWN_AT_MOST]
        )
        raise GrantedByOthers(
            f"In database {database} the group {group} holds what its access role does not give: {named}."
        )


def _refuse_to_lack(database: str, scope: Scope, lacking: list[_Lacking]) -> None:
    counted = [each for each in lacking if not each.is_accounts or _is_named(scope, each)]
    if counted:
        named = ", ".join(f"{each.what} of {each.owner}" for each in counted[:_SHOWN_AT_MOST])
        raise AdminLacksPrivilege(f"In database {database} it may not grant: {named}.")


def _tell_left_out(database: str, left_out: list[_Lacking], journal: Journal) -> None:
    """An entry that is no statement: what the access does not reach, and until when."""
    named = ", ".join(f"{each.what} of {each.owner}" for each in left_out[:_ASKED_AT_MOST])
    note = "Belongs to an account whose access lives. It is within reach when it has been handed over."
    journal(JournalEntry(Statement(f"-- Left out: {named}", database, note), datetime.now(UTC)))
