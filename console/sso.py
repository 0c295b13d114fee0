"""Single sign-on, tied to allauth: its OpenID Connect provider made stricter, and our own word on who comes in.

What is stricter: the signature of every ID token is checked and only asymmetric algorithms count, a nonce binds it to this
very sign-in, the discovery document must name the issuer that is configured, and nothing of the request's query reaches the
provider. What a token has to prove is in `people.sso.tokens`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import requests
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base import AuthError
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from console.freshness import SIGNED_IN_THERE_AT
from people.models import User
from people.sso import bounded, endpoints
from people.sso.arrival import arrive, remembered
from people.sso.claims import Identity, can_be_kept, find, has_too_many_groups, identity_from
from people.sso.errors import (
    ApplicationRefused,
    AskedForMore,
    Declined,
    ProviderDown,
    ProviderOverloaded,
    ProviderRefused,
    SignInRefused,
    StateUnknown,
    TokenUnreadable,
)
from people.sso.providers import Provider
from people.sso.tokens import ANY_AGE_SECONDS, check_fresh, signed_in_at, verified_claims

#: What a provider may send back instead of a code (RFC 6749, 4.1.2.1; OpenID Connect Core 1.0, 3.1.2.6).
_REFUSALS: dict[str, type[ProviderRefused]] = {
    "access_denied": Declined,
    **dict.fromkeys(
        ("login_required", "interaction_required", "consent_required", "account_selection_required"), AskedForMore
    ),
    **dict.fromkeys(("temporarily_unavailable", "server_error"), ProviderOverloaded),
    **dict.fromkeys(
        (
            "invalid_request",
            "unauthorized_client",
            "unsupported_response_type",
            "invalid_scope",
            "invalid_client",
            "request_not_supported",
            "registration_not_supported",
        ),
        ApplicationRefused,
    ),
}


#: An entry of the audit trail is about something whose id has at most so many characters.
_LONGEST_SHOWN = 200
#: What a verified token tells of somebody who is refused → the claim with it.
_KNOWN = {"subject": "sub", "email": "email", "account": "preferred_username"}


class OpenIDConnectAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """From the provider's answer to an identity."""

    begun_with: Mapping[str, Any] = MappingProxyType({})
    """What was kept when this sign-in began; set by the callback view."""

    @property
    def settings(self) -> Provider:
        """The provider as it is configured."""
        return configured(self.provider_id)

    @property
    def openid_config(self) -> dict[str, Any]:
        """The provider's discovery document."""
        return endpoints.discovery(self.settings)

    def complete_login(self, request: HttpRequest, app: object, token: Any, **kwargs: Any) -> SocialLogin:
        """Believe the token what it proves, and nothing besides."""
        id_token = kwargs["response"].get("id_token")
        if not isinstance(id_token, str):
            raise TokenUnreadable("The provider sent no ID token.")
        provider = self.settings
        claims = verified_claims(
            id_token,
            find_key=lambda key_id, algorithm: endpoints.find_key(provider, key_id, algorithm),
            issuer=provider.issuer,
            client_id=provider.client_id,
            nonce=str(self.begun_with.get("nonce", "")),
        )
        try:
            if self.begun_with.get("again"):
                check_fresh(claims, now=time.time())
            identity = _identity(claims, provider, token.token)
        except SignInRefused as refusal:
            # The token is the provider's: who was refused is known, and belongs into the audit trail.
            refusal.known = {name: _shown(claims[of]) for name, of in _KNOWN.items() if claims.get(of)}
            raise
        login = self.get_provider().sociallogin_from_response(request, identity)
        login.signed_in_there_at = signed_in_at(claims, now=time.time())
        return login


class StrictProvider(OpenIDConnectProvider):  # type: ignore[misc]
    """allauth's provider, with a nonce, and deaf to what the query would add."""

    oauth2_adapter_class = OpenIDConnectAdapter
    pkce_enabled_default = True

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **kwargs: Any
    ) -> HttpResponse:
        """Send the browser to the provider, to sign in there and come back."""
        nonce = secrets.token_urlsafe(32)
        params = {**self.get_auth_params(), "nonce": nonce, "max_age": str(ANY_AGE_SECONDS)}
        kept = {"nonce": nonce}
        if request.POST.get("again") or request.user.is_authenticated:
            # Somebody who is signed in has to show once more that it is them.
            params |= {"prompt": "login", "max_age": "0"}
            kept["again"] = "yes"
        answer: HttpResponse = super().redirect(
            request, "login", next_url=next_url, data=data, auth_params=params, scope=self.get_scope(), **kept
        )
        return answer

    def sociallogin_from_response(self, request: HttpRequest, response: Identity) -> SocialLogin:
        """The identity as allauth carries it."""
        account = SocialAccount(provider=self.sub_id, uid=response.key, extra_data=remembered(response))
        login = SocialLogin(provider=self, account=account, user=User())
        login.identity = response
        return login


class CallbackView(OAuth2CallbackView):  # type: ignore[misc]
    """Where the provider sends the browser back to."""

    def _get_state(self, request: HttpRequest, provider: StrictProvider) -> tuple[Any, HttpResponse | None]:
        state, response = super()._get_state(request, provider)
        self.adapter.begun_with = state or {}
        return state, response


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Who comes in, and what becomes of those who do not."""

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Their account, made or found, with the teams that their groups give them."""
        provider = configured(sociallogin.account.provider)
        person = arrive(identity=sociallogin.identity, provider=provider)
        sociallogin.user = person
        sociallogin.account = SocialAccount.objects.get(provider=provider.id, uid=sociallogin.account.uid)
        # Not before they are let in: what a stranger has shown proves nothing about whoever is signed in here.
        request.session[SIGNED_IN_THERE_AT] = sociallogin.signed_in_there_at

    def get_requests_session(self) -> requests.Session:
        """By which allauth exchanges a code for a token."""
        return bounded.BoundedSession()

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """What allauth found wrong, as one of our refusals."""
        context = extra_context or {}
        if "state_id" in context:
            raise StateUnknown
        if isinstance(exception, requests.RequestException):
            raise ProviderDown(type(exception).__name__) from exception
        if isinstance(exception, OAuth2Error):
            # Its text has the provider's answer in it, which may have a token in it.
            raise ProviderRefused("It did not exchange the code for a token.") from exception
        said = str(request.GET.get("error", ""))[:100]
        kind = _REFUSALS.get(said, ProviderRefused)
        raise kind(f"It said {said!r}." if said else str(error or AuthError.UNKNOWN)) from exception


def configured(provider_id: str) -> Provider:
    """The provider with this id; allauth has made sure that there is one."""
    found: Provider = settings.LOCKGATE_SSO[provider_id]
    return found


def refusal_of(error: Exception) -> SignInRefused:
    """A refusal, whatever went wrong on the way."""
    if isinstance(error, SignInRefused):
        return error
    return ProviderDown(type(error).__name__)


def _shown(claim: Any) -> str:
    """What a provider said, as the audit trail can keep it."""
    text = str(claim)[:_LONGEST_SHOWN]
    return text if can_be_kept(text) else ascii(text)[:_LONGEST_SHOWN]


def _identity(claims: dict[str, Any], provider: Provider, access_token: str) -> Identity:
    """Some providers keep a token small, and tell the rest to who asks."""
    if "email" not in claims or (provider.groups_claim and find(claims, provider.groups_claim) is None):
        told = endpoints.user_info(provider, access_token)
        if told and told.get("sub") != claims["sub"]:
            raise TokenUnreadable("The userinfo endpoint speaks of somebody else.")
        claims = {**told, **claims}
    if not has_too_many_groups(claims, provider):
        return identity_from(claims, provider)
    bare = {name: value for name, value in claims.items() if name != provider.groups_claim}
    return identity_from(bare, provider).with_groups(endpoints.many_groups(provider, access_token))
