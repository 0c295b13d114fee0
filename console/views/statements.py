"""Statements through the gateway: who ran what, where, and what became of it; the whole text of one, for auditors."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from access.errors import UnsealFailed
from access.queries.finding import address_of, person_meant, server_meant
from access.queries.statements import grant_of_statement, statement_for, statement_page_for
from access.rules import may_read_statements, may_see_audit
from access.services.door import actor_of
from access.services.statements import read_text
from audit.errors import BadFilter
from audit.export import Format
from audit.statement_export import export_statements
from audit.statement_search import VERDICTS, Place, Statement, StatementFilters
from console.http import PersonRequest, download, signed_in, wants
from console.options import options
from console.statement_facts import VERDICTS as VERDICT_WORDS
from console.statement_facts import outcome_facts, session_facts, text_facts

#: What a page shows of a text; nobody reads more, and a browser would choke on it.
_SHOWN = 100_000


@signed_in()
def listed(request: PersonRequest) -> HttpResponse:
    """One page of them, newest first; the filters and the place are in the address."""
    if answer := options(request):
        return answer
    error, status, candidates = "", 200, ()
    try:
        filters = _filters(request, request.GET.dict())
    except BadFilter as refused:
        filters, error, status = StatementFilters(), str(refused), 422
        candidates = getattr(refused, "options", ())
    older_than = Place.from_text(request.GET.get("before", ""))
    page = statement_page_for(request.user, filters, older_than=older_than)
    context: dict[str, Any] = {"page": page, "error": error, "typed": request.GET, "filtered": bool(filters)}
    if page.older_than is not None:
        context["older"] = "?" + urlencode({**filters.as_query(), "before": str(page.older_than)})
    if wants(request, "rows"):
        return render(request, "audit/_statements.html", context)
    context |= {
        "typed_pairs": sorted(filters.as_query().items()),
        "person_typed": address_of(request.user, request.GET.get("person", "")),
        "candidates": candidates,
        "newest": "?" + urlencode(filters.as_query()) if older_than else "",
        "verdicts": VERDICTS,
    }
    return render(request, "audit/statements.html", context, status=status)


@signed_in("POST")
def export(request: PersonRequest) -> HttpResponseBase:
    """Exactly what the filters find, as a download. By POST, since an export is itself written into the log."""
    if not may_see_audit(request.user):
        raise PermissionDenied
    try:
        filters = _filters(request, request.POST.dict())
        form = Format(request.POST.get("format", ""))
    except (BadFilter, ValueError) as error:
        return render(request, "audit/export_refused.html", {"error": str(error)}, status=422)
    lines = export_statements(filters, form, actor=actor_of(request.user))
    return download(lines, "lockgate-statements", form.content_type, form.value)


@signed_in()
def show(request: PersonRequest, stream: UUID, seq: int) -> HttpResponse:
    """One statement with all that the record tells of it, but for its text."""
    return render(request, "audit/statement.html", _context(request, _found(request, stream, seq)))


@signed_in("POST")
def text(request: PersonRequest, stream: UUID, seq: int) -> HttpResponse:
    """The whole text, in this one answer. By POST, since the reading is itself written into the log."""
    if not may_read_statements(request.user):
        raise PermissionDenied
    statement = _found(request, stream, seq)
    context = _context(request, statement)
    if not statement.holds_text:
        context["text_error"] = "The access role keeps no text of this statement."
        return render(request, "audit/statement.html", context, status=422)
    try:
        whole, parameters = read_text(person=request.user, statement=statement)
    except UnsealFailed as error:
        context["text_error"] = error.sentence
        return render(request, "audit/statement.html", context, status=422)
    context |= {"text": whole[:_SHOWN], "is_cut": len(whole) > _SHOWN, "parameters": parameters[:_SHOWN].hex(" ")}
    return render(request, "audit/statement.html", context)


def _filters(request: PersonRequest, query: dict[str, str]) -> StatementFilters:
    """The filters as they were typed: people by their address, servers by either of their names. Raises `BadFilter`."""
    found = {
        "person": person_meant(request.user, query.get("person", "")),
        "server": server_meant(request.user, query.get("server", ""))[1],
    }
    return StatementFilters.from_query({**query, **found})


def _found(request: PersonRequest, stream: UUID, seq: int) -> Statement:
    statement = statement_for(request.user, stream, seq)
    if statement is None:
        raise Http404
    return statement


def _context(request: PersonRequest, statement: Statement) -> dict[str, Any]:
    parts = [
        ("Session", session_facts(statement)),
        ("Statement", text_facts(statement)),
        ("Outcome", outcome_facts(statement)),
    ]
    may_read = statement.holds_text and may_read_statements(request.user)
    return {
        "statement": statement,
        "outcome_words": VERDICT_WORDS.get(statement.verdict, statement.verdict),
        "parts": parts,
        "may_read": may_read,
        "grant": grant_of_statement(request.user, statement),
    }
