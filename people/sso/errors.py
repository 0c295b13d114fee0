"""Why a sign-in through a provider is refused; the first line of each docstring is what the person reads.

SignInRefused
├── ProviderDown, ProviderRefused, ProviderMisconfigured
├── StateUnknown
├── TokenRefused: AlgorithmNotAllowed, NotSignedByProvider, WrongIssuer, WrongAudience, OutOfTime, WrongNonce,
│                 NotSignedInAgain, TokenUnreadable
├── EmailNotVerified, DomainNotAllowed, AddressTaken, SwitchedOff
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


class ProviderRefused(SignInRefused):
    """The identity provider did not sign you in."""

    advice = "Start again from the sign-in page. The provider may not have given you this application: ask who runs it."


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


class TokenUnreadable(TokenRefused):
    """What came from the identity provider cannot be read."""


class EmailNotVerified(SignInRefused):
    """The identity provider does not vouch for your e-mail address."""

    advice = "Verify the address at the provider, then sign in again."


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
