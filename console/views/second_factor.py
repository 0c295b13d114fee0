"""allauth's pages for authenticator apps, passkeys and recovery codes: behind a fresh authentication, in one transaction.

Forms that come back with an error are answered 422, as everywhere in the console.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.internal import auth
from allauth.mfa.webauthn.views import (
    AddWebAuthnView,
    LoginWebAuthnView,
    RemoveWebAuthnView,
)
from django.contrib import messages
from django.db import transaction
from django.forms import BaseForm
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy

from audit.events import Event
from audit.log import Actor, Subject, record
from console.freshness import is_fresh, led_to_reauthenticate
from console.http import PersonRequest, signed_in
from people.local_sign_in import NOT_HERE, may_sign_in_locally
from people.second_factor_trail import WORDS, record_failure

View = Callable[..., HttpResponseBase]


def _managing(view: View, *methods: str) -> View:
    """A page on which somebody changes how they sign in."""

    @signed_in(*methods or ("GET", "POST"))
    def page(request: PersonRequest, /, **kwargs: Any) -> HttpResponseBase:
        if not is_fresh(request):
            # What was typed is a code that is old by then: they come back to a new form.
            return led_to_reauthenticate(request, back=request.get_full_path())
        with transaction.atomic():
            return view(request, **kwargs)

    return page


class _Refusing:
    """A form with something wrong in it is no success."""

    def form_invalid(self, form: BaseForm) -> HttpResponse:
        answer: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        if answer.status_code == 200:
            answer.status_code = 422
        return answer


class _Activate(_Refusing, ActivateTOTPView):  # type: ignore[misc]
    def get_success_url(self) -> str:
        return _after_adding(self)


class _MakeCodes(_Refusing, GenerateRecoveryCodesView):  # type: ignore[misc]
    pass


class _AddPasskey(_Refusing, AddWebAuthnView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        # A resident key, checked by the device itself: one that can stand for the password.
        context["options"] = json.dumps(auth.begin_registration(self.request.user, passwordless=True))
        return context

    def get_success_url(self) -> str:
        return _after_adding(self)


class _RemovePasskey(RemoveWebAuthnView):  # type: ignore[misc]
    success_url = reverse_lazy("account")


class _SignInWithPasskey(LoginWebAuthnView):  # type: ignore[misc]
    def form_valid(self, form: BaseForm) -> HttpResponse:
        person = form.cleaned_data["credential"].user
        if person.is_active and not may_sign_in_locally(person):
            record_failure(person=person, factor=WORDS[Authenticator.Type.WEBAUTHN], reason=NOT_HERE)
            messages.error(self.request, NOT_HERE)
            return redirect("account_login")
        answer: HttpResponse = super().form_valid(form)
        return answer

    def form_invalid(self, form: BaseForm) -> HttpResponse:
        with transaction.atomic():
            record(
                Event.PERSON_SIGN_IN_FAILED,
                actor=Actor("anonymous", "", "not signed in"),
                subject=Subject("person", "", ""),
                after={"factor": WORDS[Authenticator.Type.WEBAUTHN]},
            )
        messages.error(self.request, "The passkey was not accepted. Sign in another way.")
        return redirect("account_login")


class _Authenticate(AuthenticateView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        own = set(Authenticator.objects.filter(user=self.stage.login.user).values_list("type", flat=True))
        context["options"] = json.dumps(context["js_data"]["request_options"])
        return context | {"has_app": Authenticator.Type.TOTP in own, "has_passkey": Authenticator.Type.WEBAUTHN in own}

    def form_invalid(self, form: BaseForm) -> HttpResponse:
        if form is self.webauthn_form:
            record_failure(person=self.stage.login.user, factor=WORDS[Authenticator.Type.WEBAUTHN])
        answer: HttpResponse = super().form_invalid(form)
        answer.status_code = 422
        return answer


def _after_adding(view: Any) -> str:
    return reverse("mfa_view_recovery_codes" if view.did_generate_recovery_codes else "account")


@signed_in("GET")
def index(request: PersonRequest) -> HttpResponseBase:
    """Where allauth thinks that everything is."""
    return redirect("account")


activate_app = _managing(_Activate.as_view())
deactivate_app = _managing(DeactivateTOTPView.as_view(success_url=reverse_lazy("account")))
add_passkey = _managing(_AddPasskey.as_view())
remove_passkey = _managing(_RemovePasskey.as_view())
show_codes = _managing(ViewRecoveryCodesView.as_view(), "GET")
make_codes = _managing(_MakeCodes.as_view())
authenticate = _Authenticate.as_view()
sign_in_with_passkey = _SignInWithPasskey.as_view()
