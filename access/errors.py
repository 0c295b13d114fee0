"""Why something about access was refused or did not work.

    AccessError
    ├── Refused                     default is no
    │   ├── NoPolicy                the role has no policy, or is switched off
    │   ├── NotARequester           the policy does not name any team of the person
    │   ├── PolicyCannotBeMet       too few people could agree
    │   ├── NoOwnIdentity           the role lets people in as themselves, and nobody knows as whom
    │   ├── OwnRules                the person made the rules in their own favour
    │   ├── RulesJustChanged        an administrator saved in the same instant
    │   ├── NotAnApprover           not this person, not this step
    │   ├── OwnRequest              nobody approves their own access
    │   ├── AuthenticationTooOld    on a production server one has to have shown just now that it is oneself
    │   ├── NotYours                only the owner may do this
    │   └── NotInCharge             only people in charge may do this
    ├── BadRequest                  something typed is not possible; `field` says which
    │   ├── TooLong, StartNotPossible, ReasonMissing, AlreadyAsked, ScopeNotPossible
    ├── Stale                       the world has moved on
    │   ├── AlreadyDecided, AlreadyVoted, ContentHasChanged, HasLapsed, GrantIsOver, NotReadyYet, AlreadyShown,
    │   ├── TooManyTokens, NotThroughTheGateway
    └── Unavailable
        ├── SecretUnavailable       a secret reference leads nowhere
        ├── AnotherServer           what answers at an address is not the server that is meant
        ├── UnsealFailed            a stored password cannot be decrypted
        └── ClocksApart             the clock of one of Lockgate's machines is far off

Each docstring's first line is the sentence a person may read; `detail` is added behind it.
"""

from __future__ import annotations

from typing import ClassVar


class AccessError(Exception):
    """This could not be done."""

    #: The form field that the sentence belongs to, where there is one.
    field: ClassVar[str] = ""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def sentence(self) -> str:
        """What happened and what to do, for a person."""
        first = (type(self).__doc__ or "").strip().splitlines()[0]
        return f"{first} {self.detail}".strip()

    def __str__(self) -> str:
        return self.sentence


class Refused(AccessError):
    """This is not allowed."""


class NoPolicy(Refused):
    """This access role cannot be requested: no policy guards it, or it is switched off. Ask an administrator."""

    field = "role"


class NotARequester(Refused):
    """The policy of this access role does not let you request it. Choose one of the roles on the Request page."""

    field = "role"


class NoOwnIdentity(Refused):
    """This access role lets you in with your own identity of Entra ID. Sign in to Lockgate through it once, then ask again."""

    field = "role"


class PolicyCannotBeMet(Refused):
    """This cannot be granted: the policy asks for more approvers than there are. Ask an administrator to change it."""

    field = "role"


class OwnRules(Refused):
    """You changed the rules so that you need no approval for this. Another administrator has to confirm that first."""

    field = "role"


class RulesJustChanged(Refused):
    """The rules of this access role have just changed. Read them again, then send your request."""

    field = "role"


class RequesterHasLeft(Refused):
    """The requester can no longer sign in, so nothing can be granted to them. Deny the request, or let it lapse."""


class NotAnApprover(Refused):
    """You are not an approver of the current step of this request."""


class OwnRequest(Refused):
    """You cannot decide on your own request. Somebody else has to."""


class AuthenticationTooOld(Refused):
    """You signed in a while ago. Confirm your identity again, then approve: this is a production server."""


class NotYours(Refused):
    """Only the person whose access this is may do that."""


class NotInCharge(Refused):
    """Only its owner, its approvers and administrators may do that."""


class BadRequest(AccessError):
    """Something in the form is not possible."""


class TooLong(BadRequest):
    """The duration is not possible."""

    field = "duration"


class StartNotPossible(BadRequest):
    """The start must be in the future, at most 30 days from now."""

    field = "wished_start"


class ReasonMissing(BadRequest):
    """Say why you need the access: the approver reads it, and so does the auditor."""

    field = "reason"


class AlreadyAsked(BadRequest):
    """You already have an open request for this access role. Edit that one, or cancel it first."""

    field = "role"


class Stale(AccessError):
    """This has changed in the meantime. Look at it again."""


class AlreadyDecided(Stale):
    """This request is no longer open."""


class AlreadyVoted(Stale):
    """You have already voted on this request. One person, one vote."""


class ContentHasChanged(Stale):
    """The request was edited after you opened it, so your vote was not counted. Read it again, then decide."""


class HasLapsed(Stale):
    """This request has lapsed: nobody decided in time. Request it again."""


class GrantIsOver(Stale):
    """This access has ended."""


class NotReadyYet(Stale):
    """This access is not ready yet."""


class TooManyTokens(Stale):
    """This access has as many tokens as it may have. Revoke one that is not used any more."""


class NotThroughTheGateway(Stale):
    """This access does not pass the gateway."""


class AlreadyShown(Stale):
    """The password was already shown, once. Give the access back and request it again if it is lost."""


class Unavailable(AccessError):
    """Something that this needs is not available."""


class SecretUnavailable(Unavailable):
    """The password of Lockgate's own account on this server could not be read. Check the server's secret reference."""


class AnotherServer(Unavailable):
    """What answers at this address is not the server that Lockgate knows. An administrator has to look at the server's page."""


class UnsealFailed(Unavailable):
    """A stored password cannot be decrypted with the configured keys. Check LOCKGATE_ENCRYPTION_KEYS."""


class ClocksApart(Unavailable):
    """Nothing can be approved while the clocks of Lockgate's machines are far apart. Have them set right; ends go on."""
