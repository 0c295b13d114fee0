"""Making an account on a server, moving its end, and taking it away: the work that the tasks do.

Each function is given a grant's id and the name of who does it, claims the grant, talks to the server with no transaction
open, and writes the result through the one door. Every one may be called twice, or killed anywhere and called again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction

from access import claims, installation, queueing
from access import clock as database_clock
from access.content import limits_from_json, scope_from_json
from access.errors import AnotherServer, SecretUnavailable, UnsealFailed
from access.models import Grant, JournalLine
from access.models.grants import Direction, EndReason
from access.recognition import require_itself, where_held
from access.sealing import seal, unseal
from access.services.door import begin_end, lock_grant, move_grant, record_about
from access.silence import note_silence
from access.states import GrantMove, GrantState
from access.targets import connect, make_password
from access.window import PROVISION_PATIENCE, pause_after, whole_second
from audit.events import Event
from audit.log import Actor
from connectors.base import (
    Connector,
    ExtendRequest,
    Journal,
    JournalEntry,
    ProvisionRequest,
    Receipt,
    RevokeRequest,
    Secret,
)
from connectors.errors import ConnectorError, PrincipalCannotLogIn, ServerUnreachable

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]

#: What makes a step fail without meaning that the code is wrong. Anything else is a mistake of ours: it is told, waits and
#: is tried again like these, and is raised as well.
_FAILURES = (ConnectorError, SecretUnavailable, AnotherServer)


#: Until the log can be read, the name of a mistake of ours is all that is told: its text may hold anything.
_OURS = "Lockgate itself failed ({}). Its log has the details."


class ClaimLost(Exception):
    """The grant was taken over by another worker, because this one was too slow: stop at once."""


def provision(*, grant_id: int, claimant: str, clock: Clock = database_clock.now) -> None:
    """Make the account of a grant whose time has come, and prove it by a login."""
    states = (GrantState.SCHEDULED, GrantState.PROVISIONING)
    with _claimed(grant_id, claimant, states, clock) as grant:
        if grant is None or grant.starts_at > clock():
            return
        password = _start(grant_id, claimant, clock)
        if password is None:
            return
        begun_at = clock()
        request = ProvisionRequest(
            principal=grant.principal,
            password=password,
            scope=scope_from_json(grant.scope),
            # The server gets the end before the access is proved usable, so the window is never longer than approved.
            valid_until=whole_second(begun_at + grant.duration),
            limits=limits_from_json(grant.limits),
            identity=grant.identity,
            made_by=installation.mark(),
        )
        try:
            with _connected(grant) as connector:
                _remember_server(grant, require_itself(grant.server, connector, grant.address, now=clock()))
                identifier = connector.provision(request, _journal(grant, Direction.PROVISION, claimant, clock))
        except ClaimLost:
            _undo_if_closed(grant)
            raise
        except Exception as error:
            _provision_failed(grant_id, claimant, error, clock)
            if not isinstance(error, _FAILURES):
                raise
            return
        if not _activate(grant_id, claimant, request.valid_until, identifier, clock):
            _undo_if_closed(grant)


def extend(*, grant_id: int, claimant: str, clock: Clock = database_clock.now) -> None:
    """Move the end that the server holds to the approved later one, then the grant's own."""
    with _claimed(grant_id, claimant, (GrantState.ACTIVE,), clock) as grant:
        if grant is None or grant.extend_to is None:
            return
        wanted = grant.extend_to
        try:
            with where_held(grant) as (connector, _):
                journal = _journal(grant, Direction.EXTEND, claimant, clock)
                scope = scope_from_json(grant.scope)
                moved = ExtendRequest(grant.principal, wanted, grant.identifier, scope, made_by=installation.mark())
                connector.extend(moved, journal)
        except ClaimLost:
            _undo_if_closed(grant)
            raise
        except Exception as error:
            _extension_failed(grant_id, error, clock)
            if not isinstance(error, _FAILURES):
                raise
            return
        if not _extended(grant_id, wanted):
            _undo_if_closed(grant)


def revoke(*, grant_id: int, claimant: str, clock: Clock = database_clock.now) -> None:
    """Take the account away and read the server back. Only a clean reading closes the grant."""
    states = (GrantState.ACTIVE, GrantState.REVOKING)
    with _claimed(grant_id, claimant, states, clock) as grant:
        if grant is None or not _end(grant_id, claimant, clock):
            return
        try:
            with where_held(grant) as (connector, address):
                receipt = connector.revoke(revoke_request(grant), _journal(grant, Direction.REVOKE, claimant, clock))
        except ClaimLost:
            raise
        except Exception as error:
            _revocation_failed(grant_id, claimant, error, None, clock)
            if not isinstance(error, _FAILURES):
                raise
            return
        if receipt.is_clean:
            _close(grant_id, claimant, receipt, _place(grant, address), clock)
        else:
            _revocation_failed(grant_id, claimant, "The read-back still found something.", receipt, clock)


def revoke_request(grant: Grant) -> RevokeRequest:
    """All that is needed to take the grant's account away, from the grant's own row."""
    return RevokeRequest(
        grant.principal, scope_from_json(grant.scope), grant.heir, grant.identity, identifier=grant.identifier
    )


def worker_actor(claimant: str) -> Actor:
    """A worker as the audit trail names it."""
    return Actor("worker", claimant, "worker")


def receipt_to_json(receipt: Receipt) -> dict[str, Any]:
    """A receipt as it is kept, with its verdict."""
    data = asdict(receipt)
    data["server_time"] = receipt.server_time.isoformat()
    data["is_clean"] = receipt.is_clean
    return data


@contextmanager
def _claimed(grant_id: int, claimant: str, states: tuple[GrantState, ...], clock: Clock) -> Iterator[Grant | None]:
    """The grant, held while the block runs; None when it is not to be had."""
    if not claims.claim(grant_id=grant_id, claimant=claimant, states=states, now=clock()):
        yield None
        return
    try:
        yield Grant.objects.select_related("server").get(pk=grant_id)
    finally:
        claims.release(grant_id=grant_id, claimant=claimant)


@contextmanager
def _connected(grant: Grant) -> Iterator[Connector]:
    with connect(grant.server, grant.address) as connector:
        yield connector


def _remember_server(grant: Grant, identity: str) -> None:
    """Before anything is made on it: whoever takes it away has to know where."""
    grant.server_identity = identity
    Grant.objects.filter(pk=grant.pk).update(server_identity=identity)


def _journal(grant: Grant, direction: Direction, claimant: str, clock: Clock) -> Journal:
    """Keeps each statement as it happens, in a transaction of its own, and renews the claim."""
    attempt = grant.attempts + 1

    def write(entry: JournalEntry) -> None:
        JournalLine.objects.create(
            grant=grant,
            direction=direction,
            attempt=attempt,
            at=entry.at,
            database=entry.statement.database,
            sql=entry.statement.sql,
            note=entry.statement.note,
            error=entry.error,
        )
        if not claims.renew(grant_id=grant.pk, claimant=claimant, now=clock()):
            raise ClaimLost(grant.reference)

    return write


def _undo_if_closed(grant: Grant) -> None:
    """Take away what a slow worker made after somebody else had already proved the account gone.

    If this fails as well, the sweep finds an orphan.
    """
    grant.refresh_from_db(fields=["state"])
    if grant.is_living:
        return
    with _connected(grant) as connector:
        connector.revoke(revoke_request(grant), lambda entry: None)


def _start(grant_id: int, claimant: str, clock: Clock) -> Secret | None:
    """Into `provisioning`, unless it is there already; the password of the account, None when it was ended meanwhile.

    All who ever work on the account give it the same password: when one was only slow and another has taken its place,
    the person is not shown the password of the one while the server has that of the other.
    """
    with transaction.atomic():
        locked = lock_grant(grant_id)
        if locked.state not in (GrantState.SCHEDULED, GrantState.PROVISIONING):
            return None
        if not locked.person.is_active:
            why = EndReason.CANCELLED if locked.state == GrantState.SCHEDULED else EndReason.ENDED
            begin_end(locked, why=why, actor=worker_actor(claimant), now=clock())
            queueing.revoke_on_commit(grant_id)
            return None
        if locked.state == GrantState.PROVISIONING:
            return _password_of(locked)
        password = _new_password(locked)
        locked.starts_at = clock()
        locked.ends_at = locked.starts_at + locked.duration
        move_grant(locked, GrantMove.START, event=Event.GRANT_PROVISIONING, actor=worker_actor(claimant))
    return password


def _password_of(locked: Grant) -> Secret:
    """The one that the account is being made with; another where that cannot be read any more."""
    if locked.identity:
        return Secret("")
    try:
        return unseal(locked.password)
    except UnsealFailed:
        password = _new_password(locked)
        locked.save(update_fields=["password"])
        return password


def _new_password(locked: Grant) -> Secret:
    """One that nobody has seen, kept in the row; none where the person comes in as themselves."""
    if locked.identity:
        return Secret("")
    password = make_password()
    locked.password = seal(password)
    return password


def _activate(grant_id: int, claimant: str, ends_at: datetime, identifier: str, clock: Clock) -> bool:
    """Into `active`; False when it was ended while the account was being made."""
    with transaction.atomic():
        locked = lock_grant(grant_id)
        now = clock()
        if locked.state != GrantState.PROVISIONING:
            return False
        locked.starts_at = min(now, ends_at - timedelta(microseconds=1))
        locked.ends_at = ends_at
        locked.activated_at = now
        locked.identifier = identifier or ""
        locked.attempts = 0
        locked.next_attempt_at = None
        locked.waits_for_server = False
        locked.last_error = ""
        move_grant(
            locked,
            GrantMove.ACTIVATE,
            event=Event.GRANT_ACTIVE,
            actor=worker_actor(claimant),
            after={"starts_at": locked.starts_at.isoformat(), "ends_at": ends_at.isoformat()},
        )
        queueing.notify_on_commit("access_ready", locked.request_id)
    return True


def _extended(grant_id: int, wanted: datetime) -> bool:
    """The grant's own end moved to the one that the server holds now; False when it was ended meanwhile."""
    with transaction.atomic():
        locked = lock_grant(grant_id)
        if locked.state != GrantState.ACTIVE:
            return False  # The revocation takes the account away whatever end it holds.
        locked.ends_at = wanted
        if locked.extend_to is not None and locked.extend_to <= wanted:
            locked.extend_to = None
        locked.attempts = 0
        locked.next_attempt_at = None
        locked.waits_for_server = False
        locked.last_error = ""
        locked.save()
    return True


def _provision_failed(grant_id: int, claimant: str, error: Exception, clock: Clock) -> None:
    """Try again later what may pass by itself; give up, and clean up, what cannot."""
    log.warning("provision.failed", grant=grant_id, error=_told(error))
    with transaction.atomic():
        locked = lock_grant(grant_id)
        now = clock()
        if locked.state != GrantState.PROVISIONING:
            return
        passing = not isinstance(error, ConnectorError) or error.transient
        if passing and now < locked.starts_at + PROVISION_PATIENCE:
            _schedule_retry(locked, error, now)
            locked.save()
            record_about(locked, Event.GRANT_PROVISION_FAILED, actor=worker_actor(claimant), reason=locked.last_error)
            return
        begin_end(locked, why=EndReason.FAILED, actor=worker_actor(claimant), now=now)
        locked.last_error = _told(error)
        locked.save(update_fields=["last_error"])
        record_about(locked, Event.GRANT_PROVISION_FAILED, actor=worker_actor(claimant), reason=locked.last_error)
        queueing.revoke_on_commit(grant_id)
        queueing.notify_on_commit("access_failed", locked.request_id)


def _extension_failed(grant_id: int, error: Exception, clock: Clock) -> None:
    """An extension that did not reach the server: tried again until the grant ends."""
    log.warning("extend.failed", grant=grant_id, error=_told(error))
    with transaction.atomic():
        locked = lock_grant(grant_id)
        if locked.state != GrantState.ACTIVE:
            return  # It was ended meanwhile, and the pause is not for the revocation.
        if isinstance(error, PrincipalCannotLogIn):
            locked.extend_to = None
        _schedule_retry(locked, error, clock())
        locked.save()


def _told(error: Exception | str) -> str:
    return str(error) if isinstance(error, (str, *_FAILURES)) else _OURS.format(type(error).__name__)


def _schedule_retry(locked: Grant, error: Exception | str, now: datetime) -> None:
    locked.attempts += 1
    locked.last_error = _told(error)
    locked.next_attempt_at = now + pause_after(locked.attempts)
    locked.waits_for_server = isinstance(error, ServerUnreachable)
    if locked.waits_for_server:
        # Looked at every other second from now on; when it is back, whatever waits for it is due.
        transaction.on_commit(lambda: note_silence(locked, now=now))


def _end(grant_id: int, claimant: str, clock: Clock) -> bool:
    """Into `revoking` when the window is over; True when there is something to take away."""
    with transaction.atomic():
        locked = lock_grant(grant_id)
        now = clock()
        if locked.state == GrantState.REVOKING:
            return True
        if locked.state != GrantState.ACTIVE:
            return False
        if not locked.window.contains(now):
            why = EndReason.EXPIRED
        elif not locked.person.is_active:
            why = EndReason.ENDED
        else:
            return False
        begin_end(locked, why=why, actor=worker_actor(claimant), now=now)
    return True


def _place(grant: Grant, address: dict[str, Any]) -> dict[str, Any]:
    """Where a receipt was read, and of which server."""
    return {"host": address["host"], "port": address["port"], "server_identity": grant.server_identity}


def _close(grant_id: int, claimant: str, receipt: Receipt, place: dict[str, Any], clock: Clock) -> None:
    with transaction.atomic():
        locked = lock_grant(grant_id)
        if locked.state != GrantState.REVOKING:
            return  # Somebody else has closed it meanwhile, with a reading as clean as ours.
        failed = locked.end_reason == EndReason.FAILED
        locked.closed_at = clock()
        locked.receipt = {**receipt_to_json(receipt), "read_at": place}
        locked.password = ""
        locked.next_attempt_at = None
        locked.waits_for_server = False
        if not failed:
            locked.last_error = ""
        move_grant(
            locked,
            GrantMove.CLOSE_FAILED if failed else GrantMove.CLOSE,
            event=Event.GRANT_REVOKED,
            actor=worker_actor(claimant),
            after={"receipt": locked.receipt},
        )


def _revocation_failed(
    grant_id: int, claimant: str, error: Exception | str, receipt: Receipt | None, clock: Clock
) -> None:
    """Keep what is known, wait a little longer than last time, and try again: there is no last attempt."""
    log.error("revocation.failed", grant=grant_id, error=_told(error))
    with transaction.atomic():
        locked = lock_grant(grant_id)
        if locked.state != GrantState.REVOKING:
            return
        locked.password = ""
        _schedule_retry(locked, error, clock())
        if receipt is not None:
            locked.receipt = receipt_to_json(receipt)
        locked.save()
        record_about(
            locked,
            Event.GRANT_REVOCATION_FAILED,
            actor=worker_actor(claimant),
            reason=locked.last_error,
            after={"attempts": locked.attempts, "receipt": locked.receipt if receipt else None},
        )
