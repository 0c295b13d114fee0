"""Why a sign-in through a provider is refused; the first line of each docstring is what the person reads.

SignInRefused
├── ProviderDown, ProviderBusy, ProviderMisconfigured
├── ProviderRefused: Declined, AskedForMore, ProviderOverloaded, ApplicationRefused
├── StateUnknown
├── TokenRefused: AlgorithmNotAllowed, NotSignedByProvider, WrongIssuer, WrongAudience, OutOfTime, WrongNonce,
│                 NotSignedInAgain, TimeNotTold, TokenUnreadable
├── EmailMissing, EmailUnreadable, EmailNotVerified, EmailNotVouchedFor, GuestAddress
├── DomainNotAllowed, AddressTaken, SwitchedOff
└── GroupsNotReadable
"""

from __future__ import annotations

from typing import ClassVar


class SignInRefused(Exception):
    """You could not be signed in."""

    #: HTTP status of the page that says so.
    status: ClassVar[int] = 403
    #: What the person can do about it.
    advice: ClassVar[str] = "Start again from the sign-in page. If it stays, tell an administrator."

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        """For the audit trail and the log, not for the page: it may tell what a provider said."""
        self.known: dict[str, str] = {}
        """Who it was, as far as a verified token told: `subject` and `email`. For the audit trail."""

    @property
    def sentence(self) -> str:
        """What happened, for the person."""
        return (type(self).__doc__ or "").strip().splitlines()[0]

    @property
    def name(self) -> str:
        """Which refusal it is, for the audit trail and for whoever is asked for help."""
        return type(self).__name__

    def __str__(self) -> str:
        return f"{self.sentence} {self.detail}".strip()


class ProviderDown(SignInRefused):
    """The identity provider does not answer, so nobody can be signed in through it right now."""

    status = 503
    advice = "Try again in a minute. If it stays, ask whoever runs the identity provider."


class ProviderBusy(SignInRefused):
    """The identity provider is slow right now, and others are waiting for it already."""

    status = 503
    advice = "Try again in a few seconds."


class ProviderRefused(SignInRefused):
    """The identity provider did not sign you in."""

    advice = "Start again from the sign-in page. If it stays, ask whoever runs the identity provider."


class Declined(ProviderRefused):
    """The identity provider says that access was declined: by you, or because you have not been given this application."""

    advice = (
        "If you chose Cancel there, sign in again. Otherwise ask whoever runs the identity provider to assign Lockgate to"
        " you."
    )


class AskedForMore(ProviderRefused):
    """The identity provider wanted to ask you something and was not allowed to."""

    advice = (
        "Sign in again and answer what the provider asks: to sign in, to choose an account, or to give your consent."
    )


class ProviderOverloaded(ProviderRefused):
    """The identity provider has a fault of its own, or is too busy to sign you in."""

    status = 503
    advice = "Try again in a minute. If it stays, ask whoever runs the identity provider."


class ApplicationRefused(ProviderRefused):
    """The identity provider does not accept how Lockgate asks it to sign people in."""

    status = 502
    advice = (
        "Tell an administrator: the application's settings at the provider (redirect address, scopes, client) do not match"
        " Lockgate's."
    )


class ProviderMisconfigured(SignInRefused):
    """The identity provider and Lockgate do not agree on how to sign people in."""

    status = 502
    advice = "Tell an administrator: the provider's settings, or Lockgate's, have to be mended."


class StateUnknown(SignInRefused):
    """This sign-in was not begun in this browser, was begun too long ago, or has been used already."""

    advice = "Start again from the sign-in page, and finish within ten minutes."


class TokenRefused(SignInRefused):
    """What the identity provider sent does not prove who you are."""

    advice = "Start again from the sign-in page. If it stays, tell an administrator: somebody may be tampering."


class AlgorithmNotAllowed(TokenRefused):
    """What came from the identity provider is not signed in a way that Lockgate trusts."""


class NotSignedByProvider(TokenRefused):
    """What came is not signed by the identity provider's key."""


class WrongIssuer(TokenRefused):
    """What came was issued by somebody else than the identity provider."""


class WrongAudience(TokenRefused):
    """What came was meant for another application."""


class OutOfTime(TokenRefused):
    """What came from the identity provider has expired, or is not valid yet."""

    advice = "Start again from the sign-in page. If it stays, the clocks of the provider and of Lockgate differ."


class WrongNonce(TokenRefused):
    """What came from the identity provider answers another sign-in than yours."""


class NotSignedInAgain(TokenRefused):
    """You were asked to sign in once more, and the identity provider let you through without."""


class TimeNotTold(TokenRefused):
    """You were asked to sign in once more, and the identity provider does not say when you last did."""

    advice = (
        "Confirm with a passkey or an authenticator app if you have one. Otherwise tell an administrator: the provider has to"
        " send the claim auth_time."
    )


class TokenUnreadable(TokenRefused):
    """What came from the identity provider cannot be read."""


class EmailMissing(SignInRefused):
    """Your account at the identity provider has no e-mail address, or the provider does not send it."""

    advice = (
        "Ask whoever runs the identity provider to fill in the address of your account and to send the claim email; for"
        " Microsoft Entra ID that is the property Mail, which a mailbox fills in by itself."
    )


class EmailUnreadable(SignInRefused):
    """The e-mail address that the identity provider sends for you cannot be used."""

    advice = "Ask whoever runs the identity provider to correct the address of your account."


class EmailNotVerified(SignInRefused):
    """The identity provider says that your e-mail address is not verified."""

    advice = "Verify the address at the provider, then sign in again."


class EmailNotVouchedFor(SignInRefused):
    """The identity provider does not say whether your e-mail address is verified."""

    advice = "Tell an administrator: the provider has to send the claim email_verified for this application."


class GuestAddress(SignInRefused):
    """You are a guest in this directory, so its word on your e-mail address does not count."""

    advice = "Sign in with an account of the organisation's own directory, or ask an administrator for one."


class DomainNotAllowed(SignInRefused):
    """Your e-mail address belongs to a domain that may not sign in here."""

    advice = "Sign in with the account of your organisation."


class AddressTaken(SignInRefused):
    """Your e-mail address already belongs to another identity here."""

    advice = (
        "Ask an administrator: the address was given to somebody new, or the account at the provider was made anew."
    )


class SwitchedOff(SignInRefused):
    """This account is switched off."""

    advice = "Ask an administrator to switch it on again."


class GroupsNotReadable(SignInRefused):
    """Your groups could not be read from the identity provider, so it is not known what you may do."""

    status = 502
    advice = (
        "Tell an administrator: the application's permissions at the provider, or the groups claim, have to be mended."
    )
