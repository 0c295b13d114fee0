"""What an administrator says of a server: what it is, that its secret may go there, and what is shut for good on it."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect

from access.errors import AccessError
from access.models import Server
from access.queries.pages import servers_for
from access.rules import may_manage_servers
from access.services.catalogue import confirm_secret
from access.services.door import actor_of
from access.services.identities import NothingToConfirm, Seen, confirm_identity
from access.services.shut import write_down_shut
from console.forms.lines import LinesField
from console.http import PersonRequest, signed_in


@signed_in("POST")
def confirm(request: PersonRequest, slug: str) -> HttpResponse:
    """Say what answers at the server's address."""

    def said(server: Server) -> str:
        seen = request.POST.get("seen", "")
        if seen not in Seen:
            raise NothingToConfirm
        found = request.POST.get("found", "")
        confirm_identity(person=request.user, server=server, found=found, seen=Seen(seen))
        return f"Confirmed: {Seen(seen).label}. Now test the connection."

    return _said(request, slug, said)


@signed_in("POST")
def secret(request: PersonRequest, slug: str) -> HttpResponse:
    """Agree that the server's secret goes to the addresses for which it is held back."""

    def said(server: Server) -> str:
        for use in server.secret_uses.filter(confirmed_at=None):
            confirm_secret(actor=actor_of(request.user), person=request.user, use=use)
        return "Confirmed: the secret may go to this address. Now test the connection."

    return _said(request, slug, said)


@signed_in("POST")
def shut(request: PersonRequest, slug: str) -> HttpResponse:
    """Write down which databases are shut for good."""

    def said(server: Server) -> str:
        names = LinesField(required=False).clean(request.POST.get("databases", ""))
        write_down_shut(person=request.user, server=server, databases=names)
        return "Written down. Receipts name these databases, and no revocation waits for them."

    return _said(request, slug, said)


def _said(request: PersonRequest, slug: str, say: Callable[[Server], str]) -> HttpResponse:
    server = get_object_or_404(servers_for(request.user), slug=slug)
    if not may_manage_servers(request.user):
        raise PermissionDenied
    try:
        messages.success(request, say(server))
    except AccessError as error:
        messages.error(request, error.sentence)
    return redirect("server", slug=slug)
