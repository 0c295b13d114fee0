"""What is answered when something went wrong that nobody foresaw, or that stands outside of us."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from console.health import database_answers

#: After so long the page looks by itself whether it goes on.
COME_AGAIN_SECONDS = 5


def foreign_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The page for a form that Django did not take: of another session, or from an address that is not ours.

    Behind the latter is mostly a setting, and nobody would find it who is told that the form is too old.
    """
    is_from_elsewhere = "does not match any trusted origins" in reason
    return HttpResponse(render_to_string("403_csrf.html", {"is_from_elsewhere": is_from_elsewhere}), status=403)


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
