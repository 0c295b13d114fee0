"""Tokens for the gateway, on the page of the grant that they belong to."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from access import clock
from access.errors import AccessError
from access.models import Grant
from access.queries.certificates import authority_of_gateway
from access.queries.gateway import gateway_of, token_of
from access.queries.grants import grants_visible_to
from access.queries.statements import statements_of_grant
from access.services import tokens as service
from access.states import GrantState
from connectors.base import ConnectionHint
from console.http import PersonRequest, signed_in
from people.models import User

_PLACEHOLDER = "{password}"
_MASK = "••••••••"


def gateway_context(person: User, grant: Grant, *, token: str = "") -> dict[str, Any]:
    """What the card shows; empty where the access is not usable. `token` is one that was made this moment."""
    if grant.state != GrantState.ACTIVE:
        return {}
    seen = gateway_of(person, grant)
    hints = [ConnectionHint(hint.label, hint.text.replace(_PLACEHOLDER, token or _MASK)) for hint in seen.hints]
    authority = authority_of_gateway(person, grant) if hints else None
    return {"gateway": seen, "gateway_hints": hints, "gateway_token": token, "gateway_authority": authority}


@signed_in("POST")
def make(request: PersonRequest, reference: str) -> HttpResponse:
    """A token, in this one answer and never again. Nothing keeps this answer."""
    grant = get_object_or_404(grants_visible_to(request.user), reference=reference)
    told: dict[str, Any] = {}
    status, text = 200, ""
    try:
        name = request.POST.get("name", "").replace("\x00", "")
        _, text = service.make_token(person=request.user, grant=grant, name=name, now=clock.now())
    except AccessError as error:
        told, status = {"gateway_error": error.sentence}, 422
    context = {"grant": grant, **gateway_context(request.user, grant, token=text), **told}
    if request.htmx:
        response = render(request, "access/_gateway.html", context, status=status)
    else:
        from console.views.access import page_context

        whole = {**page_context(request.user, grant), "statements": statements_of_grant(grant), **context}
        response = render(request, "access/show.html", whole, status=status)
    response["Cache-Control"] = "no-store, private, max-age=0"
    return response


@signed_in("POST")
def revoke(request: PersonRequest, reference: str, token: str) -> HttpResponse:
    """End a token and the sessions that came in with it."""
    grant = get_object_or_404(grants_visible_to(request.user), reference=reference)
    found = token_of(grant, token)
    if found is None:
        raise Http404
    told: dict[str, Any] = {}
    status = 200
    try:
        service.revoke_token(person=request.user, token=found, now=clock.now())
    except AccessError as error:
        told, status = {"gateway_error": error.sentence}, 422
    if request.htmx:
        context = {"grant": grant, **gateway_context(request.user, grant), **told}
        return render(request, "access/_gateway.html", context, status=status)
    if told:
        messages.error(request, told["gateway_error"])
    else:
        messages.success(request, "The token is revoked, and its sessions end within a second.")
    return redirect("grant", reference=grant.reference)
