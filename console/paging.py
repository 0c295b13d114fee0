"""Pages of lists, as addresses: the place is one parameter, and whatever else the address says stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

from access.queries.paging import SIZE, Page, page_of
from console.http import PersonRequest

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Paged(Generic[Row]):
    """One page, with the addresses of its neighbours; empty where there is none."""

    rows: tuple[Row, ...]
    next: str
    back: str
    is_lost: bool

    def __len__(self) -> int:
        return len(self.rows)


def paged(
    request: PersonRequest,
    rows: QuerySet[Row, Row],
    *,
    by: Sequence[str],
    name: str = "page",
    size: int = SIZE,
    shown: QuerySet[Row, Row] | None = None,
) -> Paged[Row]:
    """The page that the parameter `name` of the address leads to; see `access.queries.paging.page_of`."""
    page: Page[Row] = page_of(rows, by=by, cursor=request.GET.get(name, ""), size=size, shown=shown)
    return Paged(
        page.rows,
        next=_address(request, name, page.next),
        back=_address(request, name, page.back),
        is_lost=page.is_lost,
    )


def _address(request: PersonRequest, name: str, cursor: str) -> str:
    if not cursor:
        return ""
    query = request.GET.copy()
    query.pop("part", None)
    query[name] = cursor
    return f"?{query.urlencode()}"
