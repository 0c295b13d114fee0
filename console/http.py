"""Requests of people who are signed in, and the one decorator that every page of the console has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Concatenate, ParamSpec, cast
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import Resolver404, resolve
from django.utils.cache import patch_vary_headers
from django.utils.http import quote_etag, url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from access import clock
from people.models import User

P = ParamSpec("P")


class PersonRequest(HttpRequest):
    """A request by somebody who is signed in."""

    user: User
    htmx: HtmxDetails
    etag: str = ""
    """Of the answer, where it has one: see `not_modified`."""


PersonView = Callable[Concatenate[PersonRequest, P], HttpResponseBase]


def signed_in(*methods: str) -> Callable[[PersonView[P]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]]:
    """Let only active people in, by the HTTP `methods` named (GET when none is), and keep the answer out of caches.

    Somebody who is not signed in is sent to sign in and comes back to where they wanted to go.
    """
    allowed = methods or ("GET",)

    def decorate(view: PersonView[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not (request.user.is_authenticated and request.user.is_active):
                return _to_sign_in(cast(PersonRequest, request))
            if request.method not in allowed and not (request.method == "HEAD" and "GET" in allowed):
                return HttpResponseNotAllowed(allowed)
            _refuse_unstorable(request)
            response = view(cast(PersonRequest, request), *args, **kwargs)
            response.headers.setdefault("Cache-Control", "no-store, private")
            if etag := getattr(request, "etag", ""):
                response.headers.setdefault("ETag", etag)
            patch_vary_headers(response, ["HX-Request"])
            return response

        guarded.methods = allowed  # type: ignore[attr-defined]
        return guarded

    return decorate


def not_modified(request: PersonRequest, version: str) -> HttpResponse | None:
    """304 when the page that asks has this version already; None when it is to be answered, with `version` as its ETag.

    Nothing keeps these answers (`no-store`), so it is our own script that says what a page has: static/js/poll.js.
    """
    etag = quote_etag(version)
    known = {given.strip().removeprefix("W/") for given in request.headers.get("If-None-Match", "").split(",")}
    request.etag = etag
    if etag not in known and "*" not in known:
        return None
    return HttpResponse(status=304, headers={"ETag": etag})


def download(lines: Iterator[str], name: str, content_type: str, suffix: str) -> StreamingHttpResponse:
    """The lines as a file that is named after its content and the time."""
    response = StreamingHttpResponse(lines, content_type=content_type)
    file = f"{name}-{clock.now():%Y%m%dT%H%M%SZ}.{suffix}"
    response["Content-Disposition"] = f'attachment; filename="{file}"'
    return response


def _refuse_unstorable(request: HttpRequest) -> None:
    """No browser sends the character zero, and PostgreSQL has no text with it: looking for one would be our error."""
    typed = [*request.GET.lists(), *request.POST.lists()]
    if "\x00" in request.path or any("\x00" in value for _, values in typed for value in values):
        raise BadRequest("A character that no text has.")


def _to_sign_in(request: PersonRequest) -> HttpResponseBase:
    """Back to this page afterwards; after a form or a partial, to the page that it stood on."""
    here = request.get_full_path() if request.method in ("GET", "HEAD") else _page_of_form(request)
    if not request.htmx:
        return redirect_to_login(here)
    target = request.htmx.current_url_abs_path or resolve_url("home")
    return HttpResponseClientRedirect(redirect_to_login(target)["Location"])


def _page_of_form(request: HttpRequest) -> str:
    """The page that a form was sent from, if it is one of ours that can be opened; home otherwise."""
    came_from = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(came_from, {request.get_host()}, require_https=request.is_secure()):
        parts = urlsplit(came_from)
        try:
            view = resolve(parts.path).func
        except Resolver404:
            return resolve_url("home")
        if "GET" in getattr(view, "methods", ()):
            return f"{parts.path}?{parts.query}" if parts.query else parts.path
    return resolve_url("home")


def wants(request: PersonRequest, partial: str) -> bool:
    """Whether htmx asks for the partial with this name (`?part=<name>`) instead of the whole page."""
    return bool(request.htmx) and request.GET.get("part") == partial
