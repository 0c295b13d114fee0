"""An identity arrives: whose account it is, whether they may come in, and which teams their groups give them."""

from __future__ import annotations

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db import IntegrityError, transaction

from audit.events import Event
from audit.log import Actor, record
from people.group_sync import follow_groups
from people.models import User
from people.services import add_person, person_subject
from people.sessions import record_ended, take_all_away
from people.sso.claims import Identity
from people.sso.errors import AddressTaken, SwitchedOff
from people.sso.providers import Provider


def provider_actor(provider: Provider) -> Actor:
    """A provider as the audit trail names it."""
    return Actor("provider", provider.id, provider.name)


def arrive(*, identity: Identity, provider: Provider) -> User:
    """The person behind the identity, with the address, name and teams that the provider says they have now.

    An identity is known by issuer and subject. One that is new takes over the account with its (verified) address when that
    account has no identity at this provider yet; an address that was given to somebody else never does. Raises
    `SwitchedOff` or `AddressTaken`, and then nothing has changed.
    """
    try:
        person = _admit(identity, provider)
    except IntegrityError:
        # Their first two sign-ins ran side by side, and the other one was quicker.
        person = _admit(identity, provider)
    if identity.groups is not None:
        follow_groups(person=person, provider=provider.id, groups=identity.groups, actor=provider_actor(provider))
    return person


@transaction.atomic
def _admit(identity: Identity, provider: Provider) -> User:
    known = _known(identity, provider)
    person = known.user if known else _first_arrival(identity, provider)
    if not person.is_active:
        raise SwitchedOff(person.email)
    _follow_profile(person, identity, provider)
    SocialAccount.objects.filter(provider=provider.id, uid=identity.key).update(extra_data=remembered(identity))
    return person


@transaction.atomic
def detach(*, person: User, provider: str, actor: Actor) -> list[str]:
    """Forget the person's identities at this provider; which they were, by issuer and subject.

    For somebody whose account at the provider was made anew: whoever next arrives there with the person's verified address
    gets this account. Their sessions end, since they were begun with an identity that counts no more.
    """
    found = SocialAccount.objects.select_for_update().filter(user=person, provider=provider)
    gone = sorted(found.values_list("uid", flat=True))
    if not gone:
        return []
    found.delete()
    ended = take_all_away(person=person)
    for key in gone:
        record(
            Event.PERSON_IDENTITY_DETACHED,
            actor=actor,
            subject=person_subject(person),
            before={"provider": provider, "identity": key},
        )
    record_ended(person=person, sessions=ended, actor=actor)
    return gone


def remembered(identity: Identity) -> dict[str, object]:
    """What is kept of an identity: enough to show who it is, and whom a mapping would reach."""
    return {
        "issuer": identity.issuer,
        "subject": identity.subject,
        "email": identity.email,
        "groups": sorted(identity.groups or ()),
        "account": identity.account,
    }


def directory_account(person: User) -> str:
    """The name of the person's account in a directory that databases know too (Entra ID); empty when there is none."""
    kept = SocialAccount.objects.filter(user=person, provider__in=settings.LOCKGATE_SSO).order_by("-last_login")
    names = [str(extra.get("account", "")) for extra in kept.values_list("extra_data", flat=True)]
    return next((name for name in names if name), "")


def _known(identity: Identity, provider: Provider) -> SocialAccount | None:
    # Locked, so that two sign-ins of one person at the same instant follow each other.
    rows = SocialAccount.objects.select_for_update(of=("self",)).select_related("user")
    found: SocialAccount | None = rows.filter(provider=provider.id, uid=identity.key).first()
    return found


def _first_arrival(identity: Identity, provider: Provider) -> User:
    person = User.objects.select_for_update(no_key=True).filter(email__iexact=identity.email).first()
    if person is None:
        person = add_person(email=identity.email, display_name=identity.name, actor=provider_actor(provider))
    elif (theirs := SocialAccount.objects.filter(user=person, provider=provider.id).first()) is not None:
        if theirs.uid == identity.key:
            return person  # their other first sign-in, which was under way at the same time, has just been quicker
        raise AddressTaken(identity.email)
    account = SocialAccount(user=person, provider=provider.id, uid=identity.key, extra_data=remembered(identity))
    account.save()
    record(
        Event.PERSON_IDENTIFIED,
        actor=provider_actor(provider),
        subject=person_subject(person),
        after={"provider": provider.id, "identity": identity.key},
    )
    return person


def _follow_profile(person: User, identity: Identity, provider: Provider) -> None:
    now = {"email": identity.email, "display_name": identity.name or person.display_name}
    was = {"email": person.email, "display_name": person.display_name}
    if now == was:
        return
    if User.objects.filter(email__iexact=identity.email).exclude(pk=person.pk).exists():
        raise AddressTaken(identity.email)
    for name, value in now.items():
        setattr(person, name, value)
    person.save(update_fields=list(now))
    record(Event.PERSON_CHANGED, actor=provider_actor(provider), subject=person_subject(person), before=was, after=now)
