"""What is answered when something went wrong that nobody foresaw, or that stands outside of us."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from console.health import database_answers

#: After so long the page looks by itself whether it goes on.
COME_AGAIN_SECONDS = 5


def server_error(request: HttpRequest) -> HttpResponse:
    """The page for a mistake of ours; or, when the console's database is away, the one that says so.

    Rendered without the request: what a page usually shows around itself comes from the database.
    """
    error = sys.exc_info()[1]
    if isinstance(error, (OperationalError, InterfaceError)) and not database_answers():
        answer = HttpResponse(render_to_string("503.html"), status=503)
        answer["Retry-After"] = str(COME_AGAIN_SECONDS)
        if request.method == "GET":
            answer["Refresh"] = str(COME_AGAIN_SECONDS)
        return answer
    return HttpResponse(render_to_string("500.html"), status=500)
