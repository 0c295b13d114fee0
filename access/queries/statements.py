"""Statements as a person may see them: all for who watches over everything, those of a grant for who may see the grant."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied

from access.models import Grant
from access.queries.grants import grants_visible_to
from access.rules import may_see_audit
from audit import statement_search
from audit.statement_search import Place, Statement, StatementFilters, StatementPage
from people.models import User

#: More than these are looked for on the page of statements.
MOST_OF_A_GRANT = 20

#: PostgreSQL's bigint, which counts entries.
_LARGEST = 2**63 - 1


def statement_page_for(person: User, filters: StatementFilters, *, older_than: Place | None) -> StatementPage:
    """One page of the record of statements, for auditors and administrators."""
    if not may_see_audit(person):
        raise PermissionDenied
    return statement_search.page(filters, older_than=older_than)


def statement_for(person: User, stream: UUID, seq: int) -> Statement | None:
    """One statement, for auditors and administrators."""
    if not may_see_audit(person):
        raise PermissionDenied
    return statement_search.statement(stream, seq) if seq <= _LARGEST else None


def grant_of_statement(person: User, statement: Statement) -> Grant | None:
    """The access under which it ran, with its request and the votes on it, where the person may see it."""
    reference = str(statement.opened.get("grant", {}).get("reference", ""))
    rows = grants_visible_to(person).prefetch_related("request__votes__voter")
    return rows.filter(reference=reference).first()


def statements_of_grant(grant: Grant) -> tuple[Statement, ...]:
    """The last statements of a grant, newest first; for whoever may see the grant."""
    filters = StatementFilters(grant=grant.reference)
    return statement_search.page(filters, size=MOST_OF_A_GRANT).statements
