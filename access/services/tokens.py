"""Making and revoking the tokens with which a grant is used through the gateway."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from django.db import transaction

from access.errors import GrantIsOver, NotInCharge, NotReadyYet, NotThroughTheGateway, NotYours, TooManyTokens
from access.models import GatewayToken, Grant
from access.rules import may_end
from access.services.door import actor_of, lock_grant, record_about, subject_of
from access.services.refusals import recorded_refusal
from access.states import GrantState
from audit.events import Event
from people.models import User

#: By which a token is known wherever it turns up, in a repository or in a log.
PREFIX = "lgt_"
#: Of one grant, revoked ones not counted.
MOST_TOKENS = 20
_BYTES = 32


def digest_of(token: str) -> str:
    """How a token is stored and looked up."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def make_token(*, person: User, grant: Grant, name: str, now: datetime) -> tuple[GatewayToken, str]:
    """A token for the owner's own living grant; the text of it is given here and kept nowhere."""
    with recorded_refusal(Event.GRANT_REFUSED, person=person, subject=subject_of(grant)), transaction.atomic():
        locked = lock_grant(grant.pk)
        if locked.person_id != person.pk:
            raise NotYours
        if locked.state in (GrantState.SCHEDULED, GrantState.PROVISIONING):
            raise NotReadyYet
        if locked.state != GrantState.ACTIVE or not locked.window.contains(now):
            raise GrantIsOver("Request it again.")
        _check_gateway(locked)
        if locked.tokens.filter(revoked_at=None).count() >= MOST_TOKENS:
            raise TooManyTokens
        text = PREFIX + secrets.token_urlsafe(_BYTES)
        token = GatewayToken.objects.create(
            grant=locked, name=" ".join(name.split())[:60], digest=digest_of(text), made_at=now
        )
        record_about(
            locked, Event.TOKEN_MADE, actor=actor_of(person), after={"reference": token.reference, "name": token.name}
        )
    return token, text


def revoke_token(*, person: User, token: GatewayToken, now: datetime) -> None:
    """End it, and the sessions that came in with it. A second call changes nothing. Whoever may end the grant may."""
    with recorded_refusal(Event.GRANT_REFUSED, person=person, subject=subject_of(token.grant)), transaction.atomic():
        grant = lock_grant(token.grant_id)
        if not may_end(person, grant):
            raise NotInCharge
        if not GatewayToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now, revoked_by=person):
            return
        record_about(
            grant, Event.TOKEN_REVOKED, actor=actor_of(person), after={"reference": token.reference, "name": token.name}
        )


def _check_gateway(grant: Grant) -> None:
    why = why_not_through_the_gateway(grant)
    if why:
        raise NotThroughTheGateway(why)


def why_not_through_the_gateway(grant: Grant) -> str:
    """Empty when the grant can be used through the gateway, else a sentence."""
    if grant.address["engine"] != "postgresql":
        return "So far the gateway speaks the protocol of PostgreSQL alone."
    if grant.identity:
        return "You come in as yourself, with your own identity."
    if not grant.gateway:
        return "It was approved before there was a gateway. Request it again."
    if not grant.password:
        return "Its password was shown before there was a gateway, and is kept no more. Request it again."
    return ""
