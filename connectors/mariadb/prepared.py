"""Transactions that an account has prepared (XA): they outlive its sessions and the account, hold their locks, and anybody who
may log in can commit them.

The server does not say whose they are. While a session lives, InnoDB tells which transactions it has open, and which are open
without any session: those that were the account's before its sessions ended are its own. XA RECOVER tells their names and no
more, so they are rolled back only where no other transaction could be meant.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.base import Finding, Journal
from connectors.errors import ConnectorError
from connectors.mariadb import names, statements
from connectors.mariadb.session import Session

#: As XA ROLLBACK takes it, in the last column.
_PREPARED = "XA RECOVER FORMAT='SQL'"
_OF_SESSIONS = """
    SELECT trx_id FROM information_schema.innodb_trx JOIN information_schema.processlist ON id = trx_mysql_thread_id
    WHERE trx_id <> 0 AND CONVERT(user USING utf8mb4) COLLATE utf8mb4_nopad_bin IN (%s, %s)
"""
_OF_NOBODY = "SELECT trx_id FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = 0"
_STILL_OPEN = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_id IN %s AND trx_mysql_thread_id <> 0"
_COMMENT = "SELECT comment FROM mysql.event WHERE db = %s AND name = %s"
#: What has changed and locked nothing has no number, and nothing to lose.
_EMPTY = "0"
#: The answer to the end of such a one.
_WAS_EMPTY = "1402"
#: InnoDB tells the same again to whoever asks within a tenth of a second.
_PAUSE = 0.11
_LOOKS = 8
_NAMED = 5


@dataclass(slots=True)
class Prepared:
    """What is known of an account's prepared transactions."""

    numbers: set[str] = field(default_factory=set)
    """Those that sessions of the account have had open, by InnoDB's numbers."""
    left: list[str] = field(default_factory=list)
    """Those of the account that are there still, one line each."""
    told: list[str] = field(default_factory=list)
    """What was rolled back, one line each."""
    unseen: list[str] = field(default_factory=list)
    """Those of which the server does not tell whose they are."""

    def finding(self) -> Finding:
        """For the receipt."""
        question = "transactions that the account has prepared (XA), which outlive its sessions"
        return Finding(question, f"{_PREPARED}; {_OF_NOBODY}", tuple(self.left))


def note(session: Session, known: Sequence[str]) -> Prepared:
    """Before the sessions of an account end, under each of its names: what they have open, and what an earlier call found."""
    found = Prepared()
    for name in known:
        found.numbers.update(session.texts(_OF_SESSIONS, name, names.own_role_name(name)))
    for comment in session.texts(_COMMENT, names.OWN_SCHEMA, names.switch_name(known[0])):
        if remembered := names.PREPARED_COMMENT.search(comment):
            found.numbers.update(remembered[1].split())
    return found


def end(session: Session, prepared: Prepared, journal: Journal) -> None:
    """Once the sessions have ended: roll back what they had prepared, or say what is there. Raises `ConnectorError`."""
    if not session.rows(_PREPARED):
        return
    # Whatever goes wrong from here on, it has not been shown that none is the account's.
    prepared.left = ["not looked for yet"]
    for _ in range(_LOOKS):
        time.sleep(_PAUSE)
        branches = [str(row[-1]) for row in session.rows(_PREPARED)]
        of_nobody = session.texts(_OF_NOBODY)
        ours, others = prepared.numbers.intersection(of_nobody), set(of_nobody) - prepared.numbers - {_EMPTY}
        if not ours and not _are_open(session, prepared.numbers):
            break
        if ours and not others and len(branches) == len(of_nobody):
            _roll_back(session, branches, prepared, journal)
    prepared.numbers = ours
    shown = ", ".join(branches[:_NAMED]) + (" …" if len(branches) > _NAMED else "")
    prepared.left = [
        f"transaction {number} of InnoDB, one of {shown}: see which, and XA ROLLBACK it" for number in sorted(ours)
    ]
    if others:
        prepared.unseen = [
            f"The server does not tell whose the prepared transactions {shown} are that belong to no session (XA RECOVER)."
            " Whoever may log in can commit them, or end them by XA ROLLBACK."
        ]


def remember(session: Session, principal: str, prepared: Prepared, journal: Journal) -> None:
    """Write down what is left, for the next call: the server does not tell it any more. Raises `ConnectorError`."""
    for comment in session.texts(_COMMENT, names.OWN_SCHEMA, names.switch_name(principal)):
        wanted = names.prepared_comment(names.made_by(comment), sorted(prepared.numbers))
        if prepared.numbers and comment != wanted:
            session.run(statements.change_switch_comment(principal, wanted), journal)


def _are_open(session: Session, numbers: set[str]) -> bool:
    """Whether sessions are still at their end."""
    return bool(numbers) and bool(session.rows(_STILL_OPEN, tuple(numbers)))


def _roll_back(session: Session, branches: list[str], prepared: Prepared, journal: Journal) -> None:
    for branch in branches:
        try:
            session.run(statements.roll_back_prepared(branch), journal)
        except ConnectorError as error:
            if error.code != _WAS_EMPTY:
                raise
        prepared.told.append(f"prepared transaction {branch}: nobody, it was rolled back")
