"""How states look and read, in one table, so that a state is the same word everywhere. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from access.states import GrantState, RequestState


@dataclass(frozen=True, slots=True)
class Look:
    """A word, an icon and a tone; the tone only repeats what the word says."""

    word: str
    icon: str
    tone: str
    turning: bool = False
    """Something is under way right now."""


REQUEST_LOOKS: Mapping[RequestState, Look] = {
    RequestState.PENDING: Look("Waiting for approval", icon="hourglass", tone="waiting"),
    RequestState.APPROVED: Look("Approved", icon="check", tone="good"),
    RequestState.DENIED: Look("Denied", icon="ban", tone="bad"),
    RequestState.CANCELLED: Look("Cancelled", icon="x", tone="over"),
    RequestState.LAPSED: Look("Lapsed", icon="clock-off", tone="over"),
}

GRANT_LOOKS: Mapping[GrantState, Look] = {
    GrantState.SCHEDULED: Look("Scheduled", icon="calendar-time", tone="note"),
    GrantState.PROVISIONING: Look("Provisioning", icon="loader-2", tone="moving", turning=True),
    GrantState.ACTIVE: Look("Active", icon="key", tone="good"),
    GrantState.REVOKING: Look("Ending", icon="loader-2", tone="moving", turning=True),
    GrantState.REVOKED: Look("Revoked", icon="shield-check", tone="over"),
    GrantState.FAILED: Look("Failed", icon="alert-triangle", tone="bad"),
}

RISK_LOOKS: Mapping[str, Look] = {
    "low": Look("Low risk", icon="circle-check", tone="good"),
    "medium": Look("Medium risk", icon="alert-circle", tone="waiting"),
    "high": Look("High risk", icon="alert-triangle", tone="bad"),
}

#: Family of an event → icon and tone in the activity.
EVENT_LOOKS: Mapping[str, Look] = {
    "request.submitted": Look("", icon="git-pull-request", tone="note"),
    "request.edited": Look("", icon="edit", tone="over"),
    "request.approved": Look("", icon="checks", tone="good"),
    "request.auto_approved": Look("", icon="robot", tone="good"),
    "request.break_glass": Look("", icon="hammer", tone="bad"),
    "request.denied": Look("", icon="ban", tone="bad"),
    "request.cancelled": Look("", icon="x", tone="over"),
    "request.lapsed": Look("", icon="clock-off", tone="over"),
    "request.reminded": Look("", icon="bell", tone="over"),
    "request.commented": Look("", icon="message", tone="over"),
    "vote.approved": Look("", icon="check", tone="good"),
    "vote.denied": Look("", icon="x", tone="bad"),
    "grant.scheduled": Look("", icon="calendar-time", tone="note"),
    "grant.provisioning": Look("", icon="loader-2", tone="moving"),
    "grant.active": Look("", icon="key", tone="good"),
    "grant.provision_failed": Look("", icon="alert-triangle", tone="bad"),
    "grant.revoking": Look("", icon="player-stop", tone="moving"),
    "grant.revocation_failed": Look("", icon="alert-triangle", tone="bad"),
    "grant.revocation_overdue": Look("", icon="alert-triangle", tone="bad"),
    "grant.revoked": Look("", icon="shield-check", tone="good"),
    "grant.extended": Look("", icon="clock-plus", tone="note"),
    "policy.added": Look("", icon="plus", tone="note"),
    "policy.changed": Look("", icon="edit", tone="over"),
    "role.added": Look("", icon="plus", tone="note"),
    "role.changed": Look("", icon="edit", tone="over"),
    "role.confirmed": Look("", icon="check", tone="good"),
    "server.added": Look("", icon="plus", tone="note"),
    "server.changed": Look("", icon="edit", tone="over"),
    "server.secret_rotated": Look("", icon="refresh", tone="good"),
    "server.secret_rotation_failed": Look("", icon="alert-triangle", tone="bad"),
    "grant.password_revealed": Look("", icon="eye", tone="over"),
    "audit.statement_read": Look("", icon="eye", tone="over"),
}

_ANY_EVENT = Look("", icon="point", tone="over")


def look_of(request_state: str, grant_state: str = "", *, never_began: bool = False) -> Look:
    """How a request looks: as its grant does, once there is one."""
    if grant_state:
        return look_of_grant(grant_state, never_began=never_began)
    return REQUEST_LOOKS[RequestState(request_state)]


def look_of_grant(state: str, *, never_began: bool = False) -> Look:
    """How a grant looks. Of one that was cancelled before it began nothing was revoked."""
    if state == GrantState.REVOKED and never_began:
        return REQUEST_LOOKS[RequestState.CANCELLED]
    return GRANT_LOOKS[GrantState(state)]


def look_of_event(event: str) -> Look:
    """How an entry of the audit trail looks in the activity."""
    return EVENT_LOOKS.get(event, _ANY_EVENT)
