"""How far a request is, as the steps that its page shows. Pure: it reads a request and its grant, and asks nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from access.models import AccessRequest, Grant
from access.models.grants import Direction, EndReason
from access.states import GrantState, RequestState
from access.window import OVERDUE_AFTER
from console.durations import spoken
from console.wording import GRANT_LOOKS, REQUEST_LOOKS, Look

#: In these nothing changes any more: the page stops asking.
_REQUEST_ENDS = frozenset({RequestState.DENIED, RequestState.CANCELLED, RequestState.LAPSED})
_GRANT_ENDS = frozenset({GrantState.REVOKED, GrantState.FAILED})
_ENDED = _GRANT_ENDS | {GrantState.REVOKING}
_NEVER_BEGAN = {EndReason.FAILED: "Could not be made", EndReason.CANCELLED: "Cancelled"}
_EARLY = {EndReason.RETURNED: "given back early", EndReason.ENDED: "ended early"}


class Standing(StrEnum):
    """Where one step stands; also the end of its CSS class."""

    DONE = "done"
    NOW = "now"
    NEXT = "next"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Step:
    """One dot on the line."""

    name: str
    standing: Standing
    at: datetime | None = None
    detail: str = ""
    look: Look | None = None


def grant_of(request: AccessRequest) -> Grant | None:
    """What the request became; None while it is nothing yet, and for an extension."""
    return getattr(request, "grant", None)


def steps_of(request: AccessRequest) -> list[Step]:
    """Requested → Approved → Provisioning → Active → Revoked; an extension ends with Extended.

    What never began is not told as if it had: it could not be made, or ended before, and what was half made is cleaned up.
    """
    requested = Step("Requested", Standing.DONE, request.submitted_at)
    state = RequestState(request.state)
    if state in _REQUEST_ENDS:
        return [requested, Step(REQUEST_LOOKS[state].word, Standing.STOPPED, request.decided_at)]
    if state is RequestState.PENDING:
        approved = Step("Approved", Standing.NOW, detail="waiting", look=REQUEST_LOOKS[state])
    else:
        approved = Step("Approved", Standing.DONE, request.decided_at)
    if request.extends is not None:
        return [requested, approved, _extended(request, request.extends)]
    return [requested, approved, *_grant_steps(grant_of(request))]


def is_settled(request: AccessRequest) -> bool:
    """Nothing about the request will change by itself any more."""
    if request.state in _REQUEST_ENDS:
        return True
    if request.extends is not None:
        return request.state == RequestState.APPROVED and request.extends.extend_to is None
    grant = grant_of(request)
    return grant is not None and grant.state in _GRANT_ENDS


def pace_of(request: AccessRequest) -> int:
    """Seconds between two looks of the page: often while something is under way, seldom while nothing is."""
    if request.state == RequestState.PENDING:
        return 3
    grant = grant_of(request)
    return 4 if grant is not None and grant.state == GrantState.ACTIVE else 1


def _how_it_ended(grant: Grant) -> str:
    """What was not as usual: it ended before its time, or longer after it than anybody should have to wait."""
    told = [_EARLY[EndReason(grant.end_reason)]] if grant.end_reason in _EARLY else []
    late = grant.time_taken_to_end
    if late is not None and late > OVERDUE_AFTER:
        told.append(f"{spoken(late)} late")
    return ", ".join(told)


def _cleaned_up(grant: Grant, state: GrantState) -> Step:
    if state in _GRANT_ENDS:
        return Step("Cleaned up", Standing.DONE, grant.closed_at)
    detail = f"attempt {grant.attempts + 1}" if grant.attempts else "looking for what was half made"
    return Step("Cleaning up", Standing.NOW, detail=detail, look=GRANT_LOOKS[state])


def _extended(request: AccessRequest, grant: Grant) -> Step:
    if request.state == RequestState.PENDING:
        return Step("Extended", Standing.NEXT)
    if grant.extend_to is not None:
        return Step("Extended", Standing.NOW, detail="on its way", look=GRANT_LOOKS[GrantState.PROVISIONING])
    if grant.state in _ENDED and not _was_extended(request, grant):
        return Step("Not extended", Standing.STOPPED, detail="the access ended first")
    return Step("Extended", Standing.DONE, request.decided_at)


def _was_extended(request: AccessRequest, grant: Grant) -> bool:
    """Whether the server was told of a later end after this was approved."""
    since = request.decided_at
    moved = grant.journal.filter(direction=Direction.EXTEND, error="")
    return since is not None and moved.filter(at__gte=since).exists()


def _grant_steps(grant: Grant | None) -> list[Step]:
    if grant is None:
        return [Step(name, Standing.NEXT) for name in ("Provisioning", "Active", "Revoked")]
    state = GrantState(grant.state)
    last = _revoked(grant, state) if grant.activated_at or state not in _ENDED else _cleaned_up(grant, state)
    return [_provisioning(grant, state), _active(grant, state), last]


def _provisioning(grant: Grant, state: GrantState) -> Step:
    look = GRANT_LOOKS[state]
    if state is GrantState.SCHEDULED:
        return Step("Provisioning", Standing.NOW, grant.starts_at, look=look)
    if state is GrantState.PROVISIONING:
        return Step("Provisioning", Standing.NOW, detail="creating the account", look=look)
    if grant.activated_at is None:
        name = (
            _NEVER_BEGAN.get(EndReason(grant.end_reason), "Ended before it began")
            if grant.end_reason
            else "Provisioning"
        )
        return Step(name, Standing.STOPPED, grant.ending_since)
    return Step("Provisioning", Standing.DONE, grant.activated_at)


def _active(grant: Grant, state: GrantState) -> Step:
    if state is GrantState.ACTIVE:
        return Step("Active", Standing.NOW, detail="in use", look=GRANT_LOOKS[state])
    if grant.activated_at is None:
        return Step("Active", Standing.NEXT, detail="never" if state in _ENDED else "")
    return Step("Active", Standing.DONE, grant.activated_at)


def _revoked(grant: Grant, state: GrantState) -> Step:
    if state is GrantState.REVOKING:
        detail = f"attempt {grant.attempts + 1}" if grant.attempts else "removing it"
        return Step("Revoked", Standing.NOW, detail=detail, look=GRANT_LOOKS[state])
    if state in _GRANT_ENDS:
        return Step("Revoked", Standing.DONE, grant.closed_at, detail=_how_it_ended(grant))
    return Step("Revoked", Standing.NEXT)
