"""The list of what waits for somebody: its rows, and what has changed since an open page was told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from access import clock
from access.models import AccessRequest
from access.queries.grants import questioned_grants_for
from access.queries.pages import request_with_story, risk_of, similar_to
from access.queries.requests import decidable, votes_with_voters, waiting_for
from access.risk import Assessment, Risk
from access.states import RequestState
from console.http import PersonRequest
from console.paging import paged
from people.models import User

#: Each takes several lines and two forms: more than this on a page is scrolled past, not decided on.
_SHOWN = 15
_QUESTIONED_SHOWN = 10

#: Digits of a content's hash that tell it from others of the same request.
_ENOUGH = 12


@dataclass(slots=True)
class Ask:
    """One row of the list: a request, and what an approver wants to know about it."""

    request: AccessRequest
    risk: Assessment
    similar: AccessRequest | None
    forms: dict[str, Any] = field(default_factory=dict)
    """Those in its sheets, where something is to be corrected."""
    refusal: str = ""
    """Why the click on its button came to nothing."""
    is_edited: bool = False
    """It was edited while the list was open: nobody decides by a click that was meant for what stood there before."""

    @property
    def is_low_risk(self) -> bool:
        """Harmless enough to be approved together with others."""
        return self.risk.risk is Risk.LOW

    @property
    def votes_so_far(self) -> list[str]:
        """Who has agreed already."""
        agreed = (vote for vote in self.request.votes.all() if vote.content_hash == self.request.content_hash)
        return [vote.voter.label_and_email for vote in agreed]

    @property
    def shown_as(self) -> str:
        """What an open page says that it shows of this row: which request, which content of it, and how many votes."""
        return f"{self.request.reference}={_state_of(self.request)}"


@dataclass(frozen=True, slots=True)
class Gone:
    """A row that waits for this person no longer, and why in words."""

    reference: str
    asked: AccessRequest | None
    words: str


@dataclass(frozen=True, slots=True)
class News:
    """What an open page does not show yet."""

    new: list[Ask]
    changed: list[Ask]
    gone: list[Gone]


def list_context(request: PersonRequest) -> dict[str, Any]:
    """One page of the list, and the access in question beside it."""
    shown = decidable().prefetch_related(votes_with_voters())
    page = paged(request, waiting_for(request.user, now=clock.now()), by=("id",), size=_SHOWN, shown=shown)
    asks = asks_of(page.rows, request.user)
    questioned = questioned_grants_for(request.user)
    return {
        "asks": asks,
        "page": page,
        "after": page.rows[-1].pk if page.rows else 0,
        "low": sum(ask.is_low_risk for ask in asks),
        "questioned": paged(request, questioned, by=("questioned_at", "id"), name="questioned", size=_QUESTIONED_SHOWN),
        "ticked": request.GET.getlist("tick"),
    }


def asks_of(requests: Iterable[AccessRequest], viewer: User) -> list[Ask]:
    """Each request with what its row shows."""
    rows = list(requests)
    similar = similar_to(rows, viewer=viewer)
    return [Ask(row, risk_of(row), similar.get(row.pk)) for row in rows]


def news_of(request: PersonRequest) -> News | None:
    """What has changed since the page that asks was told; None when nothing has. Two queries while nothing has."""
    person = request.user
    shown = dict(pair.split("=", 1) for pair in request.GET.getlist("shown")[: 5 * _SHOWN] if "=" in pair)
    waiting = waiting_for(person, now=clock.now()).prefetch_related(votes_with_voters())
    still = {row.reference: row for row in waiting.filter(reference__in=shown)} if shown else {}
    changed = [row for reference, row in still.items() if _state_of(row) != shown[reference]]
    after = request.GET.get("after", "")
    follows = after.isdecimal() and len(after) < 19  # a page that others follow takes no new rows
    new = list(waiting.filter(pk__gt=int(after)).exclude(reference__in=shown)[:_SHOWN]) if follows else []
    gone = [reference for reference in shown if reference not in still]
    if not (changed or new or gone):
        return None
    changed_asks = asks_of(changed, person)
    for ask in changed_asks:
        ask.is_edited = not shown[ask.request.reference].startswith(ask.request.content_hash[:_ENOUGH])
    return News(asks_of(new, person), changed_asks, _gone(person, gone))


def _gone(person: User, references: list[str]) -> list[Gone]:
    rows = request_with_story(person).filter(reference__in=references)
    found = {row.reference: row for row in rows}
    return [Gone(reference, found.get(reference), _why_gone(found.get(reference))) for reference in references]


def _why_gone(asked: AccessRequest | None) -> str:
    if asked is None:
        return "This request is no longer yours to decide."
    what = f"{asked.role.name} for {asked.requester.label_and_email}"
    if asked.is_open:
        return f"{what} is no longer waiting for you."
    denials = [vote.voter.label for vote in asked.votes.all() if vote.verdict == "deny"]
    by = f" by {denials[0]}" if asked.state == RequestState.DENIED and denials else ""
    return f"{what} was {_HAPPENED[RequestState(asked.state)]}{by} meanwhile."


_HAPPENED = {
    RequestState.APPROVED: "approved",
    RequestState.DENIED: "denied",
    RequestState.CANCELLED: "cancelled",
    RequestState.LAPSED: "left undecided for too long",
}


def _state_of(request: AccessRequest) -> str:
    return f"{request.content_hash[:_ENOUGH]}.{len(request.votes.all())}"
