"""Downloads of the certificate authorities that the lines on the page of an access refer to."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404

from access.queries.certificates import Authority, authority_of_gateway, authority_of_server
from access.queries.grants import grants_visible_to
from console.http import PersonRequest, signed_in


@signed_in()
def of_server(request: PersonRequest, reference: str) -> HttpResponse:
    """By which the access's server is verified."""
    grant = get_object_or_404(grants_visible_to(request.user), reference=reference)
    return _download(authority_of_server(request.user, grant))


@signed_in()
def of_gateway(request: PersonRequest, reference: str) -> HttpResponse:
    """By which the gateway is verified."""
    grant = get_object_or_404(grants_visible_to(request.user), reference=reference)
    return _download(authority_of_gateway(request.user, grant))


def _download(authority: Authority | None) -> HttpResponse:
    if authority is None:
        raise Http404
    return HttpResponse(
        authority.pem,
        content_type="application/x-pem-file",
        headers={"Content-Disposition": f'attachment; filename="{authority.name}"'},
    )
