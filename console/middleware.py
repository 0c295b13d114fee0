"""Where a request came from, for the audit trail."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from audit.origin import Origin, coming_from

GetResponse = Callable[[HttpRequest], HttpResponse]


class OriginMiddleware:
    """Sets `audit.origin` while a request is answered; stands behind django-structlog, which names the request."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request with its origin set."""
        origin = Origin(
            channel="web",
            ip=request.META.get("REMOTE_ADDR", ""),
            request_id=str(request.headers.get("X-Request-ID") or getattr(request, "id", "")),
            user_agent=request.headers.get("User-Agent", ""),
        )
        with coming_from(origin):
            return self.get_response(request)
