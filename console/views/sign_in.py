"""Signing in through an identity provider: on the way there, on the way back, and what is said when it is refused."""

from __future__ import annotations

from collections.abc import Callable

import requests
import structlog
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.views import OAuth2LoginView
from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from audit.events import Event
from audit.log import Actor, Subject, record
from console.sso import CallbackView, OpenIDConnectAdapter, refusal_of
from people.sso.errors import SignInRefused

log = structlog.get_logger(__name__)


@never_cache
@require_POST
def to_provider(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Send the browser to the provider."""
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
    try:
        return view_of(OpenIDConnectAdapter(request, provider_id))(request)
    except SocialApp.DoesNotExist as error:
        raise Http404 from error
    except (SignInRefused, requests.RequestException) as error:
        return _refused(request, provider_id, refusal_of(error))


def _refused(request: HttpRequest, provider_id: str, refusal: SignInRefused) -> HttpResponse:
    provider = settings.LOCKGATE_SSO[provider_id]
    log.warning("sign_in.refused", provider=provider_id, refusal=refusal.name, detail=refusal.detail)
    with transaction.atomic():
        record(
            Event.PERSON_SIGN_IN_FAILED,
            actor=Actor("anonymous", "", "not signed in"),
            subject=Subject("provider", provider.id, provider.name),
            after={"provider": provider.id, "problem": refusal.name},
            reason=str(refusal),
        )
    context = {"refusal": refusal, "provider": provider}
    return render(request, "account/sign_in_refused.html", context, status=refusal.status)
