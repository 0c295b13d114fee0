"""Who comes in with a personal token, and whether they still may.

The token alone finds the grant; the user and the database that the client names have to be those of the grant. Whoever shows
a token that there is, as the person it belongs to, guesses nothing and is told what is in the way: a pool that outlived its
access locks nobody out. To everybody else it is always the same: nobody learns whether the token or the user was wrong. The
audit log tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlencode

from django.conf import settings
from django.core.cache import cache
from django.db import close_old_connections, transaction
from django.urls import reverse

from access import clock as database_clock
from access.credentials import Credential
from access.errors import UnsealFailed
from access.gateway_rules import rules_from_json
from access.models import GatewayToken, Grant
from access.sealing import unseal
from access.services.tokens import digest_of, why_not_through_the_gateway
from access.states import GrantState
from access.targets import target_of
from audit.events import Event
from audit.log import Actor, Subject, record
from audit.origin import Origin, coming_from
from gateway.admission import Admitted, Attempt, Ended
from gateway.errors import NotAdmitted, NotOpen, TooManyAttempts

#: Guesses from one address in one minute; whoever guesses further learns nothing more, and good tokens come in all the same.
MOST_FAILURES = 10
_MINUTE = 60
#: The minute moves on by this many seconds, so that it begins nowhere and nobody fails twice as often around its beginning.
_SLICE = 10
#: sqlglot's names of the engines' dialects.
_DIALECTS = {"postgresql": "postgres"}
#: A login that takes longer than this is given up; people wait in front of it.
_CONNECT = timedelta(seconds=5)

#: Names of databases in the answer to a wrong one.
_MOST_NAMED = 5

KIND = "personal_token"
Clock = Callable[[], datetime]


class PersonalTokens:
    """The `Identifier` of personal tokens; see `gateway.admission`."""

    def __init__(self, clock: Clock = database_clock.now) -> None:
        self._clock = clock

    def identify(self, attempt: Attempt) -> Admitted:
        """See `Identifier`."""
        close_old_connections()
        with coming_from(Origin(channel="gateway", ip=attempt.client_ip, user_agent=attempt.application)):
            now = self._clock()
            failures = _Failures(attempt, now)
            token = _token(attempt)
            if token is None or not _is_user(token.grant, attempt.user):
                failures.guessed(
                    token, "No such token." if token is None else "The user is not the owner of the token."
                )
                raise NotAdmitted
            why = _why_not(token, attempt, now)
            if why:
                failures.told(token, why)
                raise NotOpen(why)
            try:
                admitted = _admitted(token, attempt)
            except UnsealFailed as error:
                failures.told(token, "Its password cannot be unsealed.")
                raise NotAdmitted from error
            GatewayToken.objects.filter(pk=token.pk).update(used_at=now)
            return admitted

    def ended(self, sessions: Iterable[Admitted]) -> dict[tuple[str, int], tuple[datetime, Ended | None]]:
        """See `Identifier`."""
        close_old_connections()
        wanted = {int(session.credential_id): session for session in sessions}
        tokens = GatewayToken.objects.filter(pk__in=wanted).select_related("grant__person")
        now = self._clock()
        found = {(str(token.pk), token.grant_id): (token.grant.ends_at, _ended(token, now)) for token in tokens}
        # A row that is gone is no permission.
        for key, session in wanted.items():
            found.setdefault((str(key), session.grant_id), (session.ends_at, Ended("Its token is not there any more.")))
        return found


def _token(attempt: Attempt) -> GatewayToken | None:
    rows = GatewayToken.objects.select_related("grant__person", "grant__server", "grant__request__role")
    return rows.filter(digest=digest_of(attempt.password.reveal())).first()


def _why_not(token: GatewayToken, attempt: Attempt, now: datetime) -> str:
    """What is in the way, for its owner; empty when the attempt is good."""
    ended = _ended(token, now)
    if ended is not None:
        return ended.reason
    if _database(token.grant, attempt.wanted) is None:
        return _what_it_opens(token.grant)
    return why_not_through_the_gateway(token.grant)


def _what_it_opens(grant: Grant) -> str:
    slug, databases = grant.request.role.slug, grant.scope["databases"]
    names = ", ".join([*databases[:_MOST_NAMED], *(["…"] if len(databases) > _MOST_NAMED else [])])
    return f"This token opens {slug}: write {slug}, {grant.reference} or the name of one of its databases ({names})."


def _ended(token: GatewayToken, now: datetime) -> Ended | None:
    grant = token.grant
    if token.revoked_at is not None:
        return Ended(f"Its token was revoked at {_at(token.revoked_at)}.")
    if not grant.person.is_active:
        return Ended(f"Its owner was deactivated, as seen at {_at(now)}.")
    if grant.state != GrantState.ACTIVE or not grant.window.contains(now):
        return Ended(f"The access ended at {_at(grant.ending_since or grant.ends_at)}.")
    return None


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _is_user(grant: Grant, user: str) -> bool:
    email = grant.person.email.lower()
    return user.lower() in (email, email.partition("@")[0])


def _database(grant: Grant, wanted: str) -> str | None:
    """The database behind what the client named: one of the grant's by its own name, as tools do that look what there is; or a
    role or a grant, with `/database` behind it where there are several.
    """
    databases: list[str] = grant.scope["databases"]
    if wanted in databases:
        return wanted
    name, slash, database = wanted.partition("/")
    if name.lower() not in (grant.request.role.slug.lower(), grant.reference.lower()):
        return None
    if not slash:
        return databases[0]
    return database if database in databases else None


def _admitted(token: GatewayToken, attempt: Attempt) -> Admitted:
    grant, role = token.grant, token.grant.request.role
    target = target_of(grant.server, Credential(unseal(grant.password)), grant.address)
    return Admitted(
        credential_kind=KIND,
        credential_id=str(token.pk),
        person_id=str(grant.person_id),
        person_label=grant.person.email,
        grant_id=grant.pk,
        grant_reference=grant.reference,
        role_slug=role.slug,
        role_name=role.name,
        server_name=grant.server.name,
        upstream=replace(
            target,
            user=grant.principal,
            database=_database(grant, attempt.wanted) or "",
            connect_timeout=_CONNECT,
            source=None,
        ),
        ends_at=grant.ends_at,
        rules=rules_from_json(grant.gateway),
        parsed_as=_DIALECTS[grant.address["engine"]],
        ask_at=f"{settings.LOCKGATE_BASE_URL}{reverse('request_new')}?{urlencode({'q': grant.server.name})}",
    )


class _Failures:
    """What failed from one address; counted where all gateways of a console see it."""

    def __init__(self, attempt: Attempt, now: datetime) -> None:
        self._attempt = attempt
        # Hashed: whatever was sent need not be fit for a key.
        self._key = "gateway-failures:" + sha256(attempt.client_ip.encode()).hexdigest()
        self._slice = int(now.timestamp()) // _SLICE

    def _slice_key(self, number: int) -> str:
        return f"{self._key}:{number}"

    def guessed(self, token: GatewayToken | None, why: str) -> None:
        """Raises `TooManyAttempts` for one who has guessed enough."""
        self._refuse_if_too_many()
        # Kept far longer than it is added to: a count that ran out in the middle would be made anew without an end.
        key = self._slice_key(self._slice)
        if not cache.add(key, 1, timeout=2 * _MINUTE):
            try:
                cache.incr(key)
            except ValueError:  # Redis has forgotten it in between
                cache.set(key, 1, timeout=2 * _MINUTE)
        self._record(Event.GATEWAY_REFUSED, token, why)

    def told(self, token: GatewayToken, why: str) -> None:
        """No guess. A pool asks every second for as long as it lives: the audit log has it once a minute."""
        digest = sha256(f"{why}|{self._attempt.wanted}".encode("utf-8", "surrogatepass")).hexdigest()
        if cache.add(f"{self._key}:told:{token.pk}:{digest}", 1, timeout=_MINUTE):
            self._record(Event.GATEWAY_REFUSED, token, why)

    def _refuse_if_too_many(self) -> None:
        slices = range(self._slice - _MINUTE // _SLICE, self._slice + 1)
        if sum(map(int, cache.get_many(map(self._slice_key, slices)).values())) < MOST_FAILURES:
            return
        # Told once a minute: nobody fills the audit log by knocking.
        if cache.add(f"{self._key}:told", 1, timeout=_MINUTE):
            self._record(Event.GATEWAY_LIMITED, None, "")
        raise TooManyAttempts

    def _record(self, event: Event, token: GatewayToken | None, why: str) -> None:
        tried = self._attempt.user[:200]
        grant = token.grant if token is not None else None
        with transaction.atomic():
            record(
                event,
                actor=Actor("anonymous", "", "not signed in"),
                subject=Subject("grant", grant.reference, grant.principal)
                if grant
                else Subject("person", tried, tried),
                reason=why,
                after={"user": tried, "name": self._attempt.wanted[:200]},
            )
