"""One's own account: the teams one is in, the ways one signs in, and where one is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from audit.log import Actor
from console.freshness import authenticated_at
from console.http import PersonRequest, signed_in
from people import sessions
from people.devices import device_of
from people.local_sign_in import may_use_password
from people.models import User


@dataclass(frozen=True, slots=True)
class Session:
    """One row of the list."""

    pk: int
    device: str
    address: str
    signed_in_at: datetime
    last_seen_at: datetime
    is_this: bool


@signed_in()
def show(request: PersonRequest) -> HttpResponse:
    """Everything about oneself on one page."""
    person = request.user
    ways = list(Authenticator.objects.filter(user_id=person.pk).order_by("created_at"))
    context = {
        "memberships": person.memberships.select_related("team").order_by("team__name"),
        "app": next((way for way in ways if way.type == Authenticator.Type.TOTP), None),
        "codes": next((way for way in ways if way.type == Authenticator.Type.RECOVERY_CODES), None),
        "passkeys": [way for way in ways if way.type == Authenticator.Type.WEBAUTHN],
        "may_use_password": may_use_password(person),
        "providers": _providers(person),
        "sessions": [_row(session, request) for session in sessions.sessions_of(person)],
        "authenticated_at": authenticated_at(request),
    }
    return render(request, "account/show.html", context)


@signed_in("POST")
def end_session(request: PersonRequest, pk: int) -> HttpResponse:
    """End one; the one that asks is ended by signing out."""
    if UserSession.objects.filter(pk=pk, session_key=request.session.session_key).exists():
        return redirect("account_logout")
    if sessions.end_session(person=request.user, session=pk, actor=_actor(request.user)):
        messages.success(request, "The session is over. Anyone using it has to sign in again.")
    else:
        messages.error(request, "That session is over already.")
    return redirect("account")


@signed_in("POST")
def end_other_sessions(request: PersonRequest) -> HttpResponse:
    """End all but this one."""
    here = request.session.session_key or ""
    ended = sessions.end_sessions(person=request.user, except_key=here, actor=_actor(request.user))
    words = {0: "You are signed in nowhere else.", 1: "One other session is over."}
    messages.success(request, words.get(ended, f"{ended} other sessions are over."))
    return redirect("account")


def _row(session: UserSession, request: PersonRequest) -> Session:
    return Session(
        pk=session.pk,
        device=device_of(session.user_agent),
        address=session.ip,
        signed_in_at=session.created_at,
        last_seen_at=session.last_seen_at,
        is_this=session.session_key == request.session.session_key,
    )


def _providers(person: User) -> list[str]:
    """Names of the identity providers that know the person."""
    known = SocialAccount.objects.filter(user_id=person.pk).values_list("provider", flat=True)
    return [settings.LOCKGATE_SSO[one].name if one in settings.LOCKGATE_SSO else one for one in known]


def _actor(person: User) -> Actor:
    return Actor("person", str(person.pk), person.email)
