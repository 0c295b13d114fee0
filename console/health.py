"""`/healthz` (the process lives) and `/readyz` (it can serve: its database answers), for load balancers.

Redis is told of and decides nothing: without it the console works on, and no load balancer may take it away.

A middleware, in front of host checks and redirects: probes come by address, over plain HTTP.
"""

from __future__ import annotations

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from access.queueing import IMPATIENT

GetResponse = Callable[[HttpRequest], HttpResponse]


class HealthMiddleware:
    """Answers the two probes and leaves everything else alone."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """200 or 503, as JSON that names what does not answer; never why, since anybody may ask."""
        if request.path == "/healthz":
            return JsonResponse({"status": "ok"})
        if request.path == "/readyz":
            parts = {"database": database_answers(), "redis": _redis_answers()}
            return JsonResponse(
                {name: "ok" if ok else "down" for name, ok in parts.items()}, status=200 if parts["database"] else 503
            )
        return self.get_response(request)


def database_answers() -> bool:
    """Whether the console's database does, at this moment."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return False
    return True


def _redis_answers() -> bool:
    try:
        with redis.Redis.from_url(settings.REDIS_URL, **IMPATIENT) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
