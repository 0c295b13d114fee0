"""Where a request came from, for the audit trail; and what browsers may do on our pages."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from audit.origin import Origin, coming_from

GetResponse = Callable[[HttpRequest], HttpResponse]


def client_address(request: HttpRequest) -> str:
    """Address of the client, as the outermost of our own proxies saw it.

    Each of the `LOCKGATE_TRUSTED_PROXIES` proxies in front appends whom it talked to to X-Forwarded-For. What stands
    further to the left was written by the client, who may write anything.
    """
    trusted: int = settings.LOCKGATE_TRUSTED_PROXIES
    nearest: str = request.META.get("REMOTE_ADDR", "")
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    hops: list[str] = [*forwarded, nearest]
    return hops[max(len(hops) - 1 - trusted, 0)]


def storable_address(request: HttpRequest) -> str:
    """The same where there has to be an address: `::` when what came is none, as through a socket that has no number."""
    return Origin(ip=client_address(request)).ip or "::"


#: What no page of ours uses; passkeys are for our own pages.
PERMISSIONS_POLICY = ", ".join(
    [
        *(
            f"{feature}=()"
            for feature in (
                "accelerometer",
                "autoplay",
                "bluetooth",
                "camera",
                "display-capture",
                "encrypted-media",
                "fullscreen",
                "geolocation",
                "gyroscope",
                "hid",
                "idle-detection",
                "local-fonts",
                "magnetometer",
                "microphone",
                "midi",
                "payment",
                "picture-in-picture",
                "screen-wake-lock",
                "serial",
                "usb",
                "xr-spatial-tracking",
            )
        ),
        "publickey-credentials-create=(self)",
        "publickey-credentials-get=(self)",
        "clipboard-write=(self)",
    ]
)


class PermissionsPolicyMiddleware:
    """Tells browsers which of their features no page of ours may use, whatever were smuggled into it."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with the header."""
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        return response


class OriginMiddleware:
    """Sets `audit.origin` while a request is answered; stands behind django-structlog, which names the request."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request with its origin set."""
        origin = Origin(
            channel="web",
            ip=client_address(request),
            request_id=str(request.headers.get("X-Request-ID") or getattr(request, "id", "")),
            user_agent=request.headers.get("User-Agent", ""),
        )
        with coming_from(origin):
            return self.get_response(request)
