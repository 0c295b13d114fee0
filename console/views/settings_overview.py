"""Settings: everything that administrators decide, at a glance; and rights that wait for a second administrator."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from access.errors import AccessError
from access.models import Policy
from access.queries.catalogue import held_back_for, policies_for, roles_for
from access.queries.counting import count_of
from access.rules import may_manage_servers
from access.services import catalogue
from console.http import PersonRequest, signed_in
from console.sentences import sentences_of

#: More than this is for the page behind the panel.
_SHOWN = 20


@signed_in()
def overview(request: PersonRequest) -> HttpResponse:
    """Policies as sentences, and what waits for somebody."""
    policies, roles = policies_for(request.user), roles_for(request.user).order_by()
    context = {
        "policies": [(policy, sentences_of(policy)) for policy in policies[:_SHOWN]],
        "policies_in_all": count_of(Policy.objects.order_by()),
        "roles": count_of(roles),
        "unguarded": count_of(roles.filter(policy=None, is_enabled=True)),
        "held_back": held_back_for(request.user)[:_SHOWN],
        "may_change": may_manage_servers(request.user),
    }
    return render(request, "settings/overview.html", context)


@signed_in("POST")
def confirm_right(request: PersonRequest, pk: int) -> HttpResponse:
    """Agree to a right that another administrator gave to themself."""
    if not may_manage_servers(request.user):
        raise PermissionDenied
    held = get_object_or_404(held_back_for(request.user), pk=pk)
    try:
        catalogue.confirm_right(person=request.user, held=held)
    except AccessError as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, f"Confirmed: {held.person.label} may use {held.role.name} as its policy says.")
    return redirect("settings")
