"""Signing in through an identity provider: on the way there, on the way back, and what is said when it is refused.

Everything that is asked of a provider holds a thread of ours until it answers, so only some may wait at a time: a slow
provider must not keep those out who are signed in already.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests
import structlog
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.views import OAuth2LoginView
from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from audit.events import Event
from audit.log import Actor, Subject, record
from console.sso import CallbackView, OpenIDConnectAdapter, refusal_of
from people.models import User
from people.services import person_subject
from people.sso import bounded
from people.sso.errors import ProviderBusy, SignInRefused

log = structlog.get_logger(__name__)

#: Of the four threads that a process of the console has, so many at most wait for providers.
AT_ONCE = 2
#: For so long a further one waits for its turn, before the browser is asked to come again.
PATIENCE_SECONDS = 0.3
COME_AGAIN_SECONDS = 3

#: In the session: where the person wanted to go, for when the answer to the provider's address does not know any more.
_WANTED = "sign_in_next"

_turns = threading.BoundedSemaphore(AT_ONCE)


@never_cache
@require_POST
def to_provider(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Send the browser to the provider."""
    request.session[_WANTED] = request.POST.get("next", "")
    return _answered(request, provider_id, OAuth2LoginView.adapter_view)


@never_cache
@require_GET
def from_provider(request: HttpRequest, provider_id: str) -> HttpResponse:
    """The browser is back from the provider."""
    return _answered(request, provider_id, CallbackView.adapter_view)


def _answered(
    request: HttpRequest, provider_id: str, view_of: Callable[..., Callable[..., HttpResponse]]
) -> HttpResponse:
    if provider_id not in settings.LOCKGATE_SSO:
        raise Http404
    adapter = OpenIDConnectAdapter(request, provider_id)
    try:
        with _turn(), bounded.exchange():
            return view_of(adapter)(request)
    except SocialApp.DoesNotExist as error:
        raise Http404 from error
    except (SignInRefused, requests.RequestException) as error:
        return _refused(request, provider_id, refusal_of(error), wanted=_wanted(request, adapter))


@contextmanager
def _turn() -> Iterator[None]:
    """Before anything of this sign-in is used up, so that the same address works when the browser comes again."""
    if not _turns.acquire(timeout=PATIENCE_SECONDS):
        raise ProviderBusy
    try:
        yield
    finally:
        _turns.release()


def _wanted(request: HttpRequest, adapter: OpenIDConnectAdapter) -> str:
    """Where the person was going, if it is a page of ours."""
    wanted = adapter.begun_with.get("next") or request.session.get(_WANTED) or ""
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return str(wanted) if safe else ""


def _refused(request: HttpRequest, provider_id: str, refusal: SignInRefused, *, wanted: str) -> HttpResponse:
    provider = settings.LOCKGATE_SSO[provider_id]
    log.warning("sign_in.refused", provider=provider_id, refusal=refusal.name, detail=refusal.detail)
    context = {"refusal": refusal, "provider": provider, "next": wanted}
    if isinstance(refusal, ProviderBusy):
        # Nothing was decided: the browser comes again by itself, to the same address where that is possible.
        answer = render(request, "account/sign_in_refused.html", context, status=refusal.status)
        answer["Retry-After"] = str(COME_AGAIN_SECONDS)
        if request.method == "GET":
            answer["Refresh"] = str(COME_AGAIN_SECONDS)
        return answer
    with transaction.atomic():
        record(
            Event.PERSON_SIGN_IN_FAILED,
            actor=Actor("anonymous", "", "not signed in"),
            subject=_whom(refusal) or Subject("provider", provider.id, provider.name),
            after={"provider": provider.id, "problem": refusal.name, **refusal.known},
            reason=str(refusal),
            related=[Subject("provider", provider.id, provider.name)],
        )
    return render(request, "account/sign_in_refused.html", context, status=refusal.status)


def _whom(refusal: SignInRefused) -> Subject | None:
    """The person that the provider's token spoke of, where there is one here: an entry about them, not about nobody."""
    email = refusal.known.get("email", "")
    if not email:
        return None
    person = User.objects.filter(email__iexact=email).first()
    return person_subject(person) if person else Subject("person", email, email)
