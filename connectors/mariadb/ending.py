"""Ending the sessions of an account, and making sure that none is left where no list shows it.

MariaDB shows a session that is inside a routine or trigger of somebody else (`SQL SECURITY DEFINER`) under *that*
account's name, in the process list and to `KILL USER` alike. Such a session comes back with all its privileges, even
after `DROP USER`. What still counts it is `MAX_USER_CONNECTIONS`: so the account gets a new password that nobody knows
and one single connection, and whether that one is free tells whether all sessions are gone.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.base import Finding, Journal, Secret, Target
from connectors.errors import ConnectorError, PrincipalCannotLogIn, ServerUnreachable
from connectors.mariadb import failures, names, statements
from connectors.mariadb.session import PrincipalLogin, Session

#: How long one call waits for sessions to end before it reports what is left; the caller calls again.
PATIENCE_SECONDS = 5.0
#: How often one looks again before a line of the process list counts as a session that stays.
_LOOKS = 5
_SHORTEST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05

#: What the process list shows as the account's, or as its own role's: an event may run as that.
SHOWN = """
    SELECT id, user, command, host, db FROM information_schema.processlist
    WHERE CONVERT(user USING utf8mb4) COLLATE utf8mb4_nopad_bin IN (%s, %s)
"""
#: A login that is being refused is shown under the name it came with, for a moment, as one of these. So is an event at
#: work, or a session on its way out, but those stay.
_PASSING = frozenset({"Connect", "Killed", "Busy"})
_ACCOUNT = "SELECT 1 FROM mysql.global_priv WHERE Host = %s AND User = %s"


@dataclass(frozen=True, slots=True)
class Shown:
    """One line of the process list."""

    id: int
    user: str
    command: str
    host: str
    database: str

    def __str__(self) -> str:
        return f"session {self.id} of {self.user} from {self.host or 'the server'} ({self.command})"


@dataclass(slots=True)
class Ended:
    """How ending the sessions went."""

    seen: set[int] = field(default_factory=set)
    """Connection ids that the process list has shown as the account's."""
    ours: set[int] = field(default_factory=set)
    """Connection ids of our own logins as the account."""
    hidden: str = ""
    """What is known of a session that no list shows as the account's; empty when there is none."""
    looked_with: str = ""
    """The SQL that was to find one."""

    @property
    def count(self) -> int:
        """How many sessions of the account's there have been."""
        return len(self.seen - self.ours)

    def finding(self) -> Finding:
        """For the receipt."""
        question = "sessions of the account inside a routine, where the server shows them as somebody else's"
        return Finding(question, self.looked_with, (self.hidden,) if self.hidden else ())


def end_sessions(session: Session, principal: str, journal: Journal) -> Ended:
    """Kill what the process list shows as the account's, until nothing is left or patience is over."""
    ended = Ended()
    before: set[int] = set()

    def none_is_left() -> bool:
        shown = _kill_what_is_shown(session, principal, ended, journal)
        lasting = _lasting(shown, before)
        before.clear()
        before.update(each.id for each in shown)
        return not lasting

    _wait_until(none_is_left)
    return ended


def sessions_left(session: Session, principal: str) -> list[str]:
    """The account's sessions, one line each, without logins that are just being refused.

    Somebody who knocks all the time, as a pool does whose account has ended, must not keep a revocation from being clean.
    """
    shown = _shown(session, principal)
    for _ in range(_LOOKS):
        if not shown or any(each.command not in _PASSING for each in shown):
            break
        time.sleep(_LONGEST_PAUSE)
        shown = _lasting(_shown(session, principal), {each.id for each in shown})
    return [str(each) for each in shown]


def find_hidden(session: Session, target: Target, principal: str, ended: Ended, journal: Journal) -> None:
    """Tell in `ended.hidden` whether a session is left that no list shows; end it if it comes to light in time.

    For an account that is locked or gone. Afterwards nobody knows its password; it is locked if a session is left.
    """
    # Long, and with a dozen of each kind that a server's own rules may ask for.
    password = Secret("aZ7-" * 12 + secrets.token_urlsafe(64))
    is_gone = not session.rows(_ACCOUNT, names.ACCOUNT_HOST, principal)
    opening = statements.open_to_us_alone(principal, password, is_gone=is_gone)
    ended.looked_with = f"{opening.shown.sql}; and a login as the account"
    # Whatever goes wrong from here on, it has not been shown that nobody is left.
    ended.hidden = "not counted yet"
    try:
        _open_to_us_alone(session, principal, password, journal, is_gone=is_gone)
        _wait_until(lambda: _only_connection_is_free(session, target, principal, password, ended, journal))
    finally:
        if ended.hidden and not session.is_broken:
            session.run(statements.lock_account(principal), journal)


def _open_to_us_alone(
    session: Session, principal: str, password: Secret, journal: Journal, *, is_gone: bool = False
) -> None:
    try:
        session.run(statements.open_to_us_alone(principal, password, is_gone=is_gone), journal)
    except ConnectorError as error:
        if error.code not in failures.TAKES_NO_HASH:
            raise
        session.run(statements.open_where_hashes_are_refused(principal, password, is_gone=is_gone), journal)


def _only_connection_is_free(
    session: Session, target: Target, principal: str, password: Secret, ended: Ended, journal: Journal
) -> bool:
    try:
        with PrincipalLogin(target, principal, password) as login:
            ended.ours.add(login.connection_id)
            ended.hidden = ""
            return True
    except PrincipalCannotLogIn as error:
        if error.code == str(failures.INIT_CONNECT_FAILED):
            # The one connection was ours, and was free: the server says so before it runs what it runs at each login.
            ended.hidden = ""
            return True
        ended.hidden = _what_is_known(error)
        if error.code == str(failures.ACCOUNT_LOCKED):
            # The dead-man's switch has struck between our two statements, as it should.
            _open_to_us_alone(session, principal, password, journal)
    except ServerUnreachable as error:
        # Broken off, perhaps by what the server runs at each login; if it is the server itself, our own session says so next.
        ended.hidden = _what_is_known(error)
    _kill_what_is_shown(session, principal, ended, journal)
    return False


def _kill_what_is_shown(session: Session, principal: str, ended: Ended, journal: Journal) -> list[Shown]:
    """Kill what the process list shows, and return it."""
    shown = _shown(session, principal)
    ended.seen.update(each.id for each in shown if each.command not in ("Connect", "Killed"))
    for name in sorted({each.user for each in shown if each.command != "Killed"}):
        session.run(statements.kill_sessions(name), journal)
    return shown


def _shown(session: Session, principal: str) -> list[Shown]:
    rows = session.rows(SHOWN, principal, names.own_role_name(principal))
    return [
        Shown(int(identity), user, command, host, database or "") for identity, user, command, host, database in rows
    ]


def _lasting(shown: list[Shown], before: set[int]) -> list[Shown]:
    """Those that are at something, or were there at the last look too."""
    return [each for each in shown if each.command not in _PASSING or each.id in before]


def _what_is_known(error: ConnectorError) -> str:
    if error.code == str(failures.TOO_MANY_OF_ONE_ACCOUNT):
        return "at least one, which ends as soon as the routine does; the account stays, locked, until then"
    return f"could not be counted: {error.detail} [{error.code}]"


def _wait_until(condition: Callable[[], bool]) -> None:
    """Ask again and again, with growing pauses, until it is so or patience is over."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = _SHORTEST_PAUSE
    while not condition() and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
