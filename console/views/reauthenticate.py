"""Showing once more that it is oneself, by whichever way the person has: password, code, passkey, or through SSO.

SSO needs no view here: its button starts an ordinary sign-in with `again`, for which the provider has to ask anew.
"""

from __future__ import annotations

import json
from typing import Any

from allauth.account.forms import ReauthenticateForm
from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.core import ratelimit
from allauth.mfa.base.forms import ReauthenticateForm as CodeForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import ReauthenticateWebAuthnForm as PasskeyForm
from allauth.mfa.webauthn.internal import auth
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db import transaction
from django.forms import BaseForm
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from audit.events import Event
from audit.log import Actor, record
from console.http import PersonRequest, signed_in
from people.local_sign_in import may_use_password
from people.second_factor_trail import WORDS, record_failure
from people.services import person_subject


@signed_in("GET", "POST")
def with_password(request: PersonRequest) -> HttpResponseBase:
    """The page with all ways that the person has; the password is sent to the same address."""
    if request.method != "POST":
        return _page(request)
    form = ReauthenticateForm(request.POST, user=request.user)
    refused = _too_often(request)
    if refused is not None:
        return refused
    if not form.is_valid():
        return _page(request, status=422, password_form=form)
    reauthenticate_by_password(request)
    return _done(request, "password")


@signed_in("GET", "POST")
def with_code(request: PersonRequest) -> HttpResponseBase:
    """A code of an authenticator app, or a recovery code."""
    if request.method != "POST":
        return _page(request)
    form = CodeForm(request.POST, user=request.user)
    refused = _too_often(request)
    if refused is not None:
        return refused
    if not form.is_valid():
        return _page(request, status=422, code_form=form)
    form.save()
    return _done(request, WORDS[form.authenticator.type])


@signed_in("GET", "POST")
def with_passkey(request: PersonRequest) -> HttpResponseBase:
    """A passkey of the person's."""
    if request.method != "POST":
        return _page(request)
    form = PasskeyForm(request.POST, user=request.user)
    refused = _too_often(request)
    if refused is not None:
        return refused
    if not form.is_valid():
        record_failure(person=request.user, factor=WORDS[Authenticator.Type.WEBAUTHN])
        return _page(request, status=422, passkey_form=form)
    form.save()
    return _done(request, WORDS[Authenticator.Type.WEBAUTHN])


def _too_often(request: PersonRequest) -> HttpResponseBase | None:
    found: HttpResponseBase | None = ratelimit.consume_or_429(request, action="reauthenticate", user=request.user)
    return found


def _page(request: PersonRequest, *, status: int = 200, **forms: BaseForm) -> HttpResponse:
    person = request.user
    own = set(Authenticator.objects.filter(user_id=person.pk).values_list("type", flat=True))
    context: dict[str, Any] = {"next": _next(request), "providers": _providers(request)}
    if may_use_password(person):
        context["password_form"] = ReauthenticateForm(user=person)
    if own & {Authenticator.Type.TOTP, Authenticator.Type.RECOVERY_CODES}:
        context["code_form"] = CodeForm(user=person)
    if Authenticator.Type.WEBAUTHN in own:
        context["passkey_form"] = PasskeyForm(user=person)
        context["passkey_options"] = json.dumps(auth.begin_authentication(person))
    return render(request, "account/reauthenticate.html", {**context, **forms}, status=status)


def _providers(request: PersonRequest) -> list[Any]:
    """The identity providers through which this person comes in."""
    known = SocialAccount.objects.filter(user_id=request.user.pk).values_list("provider", flat=True)
    return [provider for provider in settings.LOCKGATE_SSO.values() if provider.id in set(known)]


def _next(request: PersonRequest) -> str:
    """Where to afterwards: a page of ours, or home."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else resolve_url("home")


def _done(request: PersonRequest, how: str) -> HttpResponse:
    person = request.user
    with transaction.atomic():
        record(
            Event.PERSON_REAUTHENTICATED,
            actor=Actor("person", str(person.pk), person.email),
            subject=person_subject(person),
            after={"factor": how},
        )
    return redirect(_next(request))
