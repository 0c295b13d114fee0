"""From the claims of a verified token to an identity: who it is, at which address, in which groups. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from people.sso.errors import (
    DomainNotAllowed,
    EmailMissing,
    EmailNotVerified,
    EmailNotVouchedFor,
    EmailUnreadable,
    GroupsNotReadable,
    GuestAddress,
    TokenUnreadable,
)
from people.sso.providers import Provider

#: allauth keeps an identity under at most this many characters.
_LONGEST_KEY = 191
_MOST_GROUPS = 5000
_LONGEST_GROUP = 255
#: No database has a longer name for anybody.
_LONGEST_ACCOUNT = 128
#: Of what somebody else sends, this much stands in the audit trail.
_LONGEST_SHOWN = 100
#: RFC 5321, 4.5.3.1.3, and what an account keeps.
_LONGEST_EMAIL = 254
#: One address that mail reaches: neither a name beside it nor a second one, and nothing that a reader cannot see.
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody, as a provider knows them."""

    issuer: str
    subject: str
    email: str
    name: str
    groups: frozenset[str] | None
    """None where the provider is not asked for groups: teams are kept by hand then."""
    account: str = ""
    """The name of the person's account in the provider's directory; empty where it has none that a database could know."""

    @property
    def key(self) -> str:
        """What identifies the person for ever: issuer and `sub`, never the e-mail address."""
        key = f"{self.issuer} {self.subject}"
        return key if len(key) <= _LONGEST_KEY else f"sha256 {hashlib.sha256(key.encode()).hexdigest()}"

    def with_groups(self, groups: frozenset[str]) -> Identity:
        """The same person, with groups that were asked for elsewhere."""
        return replace(self, groups=groups)


def identity_from(claims: Claims, provider: Provider) -> Identity:
    """Raises `EmailMissing`, `EmailUnreadable`, `EmailNotVerified`, `EmailNotVouchedFor`, `GuestAddress`,
    `DomainNotAllowed`, `GroupsNotReadable` or `TokenUnreadable`.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise TokenUnreadable("There is no subject in it.")
    if not can_be_kept(subject):
        raise TokenUnreadable("Its subject has characters that no text has.")
    email = _verified_email(claims, provider)
    name = claims.get("name")
    return Identity(
        issuer=provider.issuer,
        subject=subject,
        email=email,
        name=_readable(name)[:100] if isinstance(name, str) else "",
        groups=groups_in(claims, provider.groups_claim) if provider.groups_claim else None,
        account=_account(claims, provider),
    )


def has_too_many_groups(claims: Claims, provider: Provider) -> bool:
    """Whether the token has a pointer in place of the groups, as Entra sends for more than 200 of them."""
    if not provider.groups_claim or find(claims, provider.groups_claim) is not None:
        return False
    names = claims.get("_claim_names")
    pointed = isinstance(names, Mapping) and provider.groups_claim in names
    return pointed or claims.get("hasgroups") in (True, "true")


def groups_in(claims: Claims, path: str) -> frozenset[str]:
    """The groups; none when the claim is not there, since what nobody says gives no rights."""
    found = find(claims, path)
    if found is None:
        return frozenset()
    groups = [found] if isinstance(found, str) else found
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise GroupsNotReadable(f"The claim {path} is no list of names.")
    if len(groups) > _MOST_GROUPS:
        raise GroupsNotReadable(f"The claim {path} has more than {_MOST_GROUPS} groups.")
    # A name that no mapping can hold gives nobody anything, and must not keep its people out.
    return frozenset(group for group in groups if 0 < len(group) <= _LONGEST_GROUP and can_be_kept(group))


def can_be_kept(text: str) -> bool:
    """Whether PostgreSQL has such a text: JSON has the character zero and halves of surrogate pairs, it has neither."""
    return "\x00" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def find(claims: Claims, path: str) -> Any:
    """The claim with this name, or, where there is none, what lies at the dotted path (`realm_access.roles`).

    A name on the way may have dots itself, as a client id that is a host name has:
    `resource_access.lockgate.example.com.roles`. The longest name that is there is tried first.
    """
    if path in claims:
        return claims[path]
    names = path.split(".")
    for count in range(len(names) - 1, 0, -1):
        inner = claims.get(".".join(names[:count]))
        if isinstance(inner, Mapping):
            found = find(inner, ".".join(names[count:]))
            if found is not None:
                return found
    return None


def _account(claims: Claims, provider: Provider) -> str:
    found = claims.get(provider.account_claim) if provider.account_claim else None
    return found.strip()[:_LONGEST_ACCOUNT] if isinstance(found, str) and can_be_kept(found) else ""


def _readable(name: str) -> str:
    """One line without what cannot be seen: at many providers people write their own name, and it stands in mails."""
    return " ".join("".join(sign for sign in name if sign.isprintable() or sign.isspace()).split())


def _is_guest(claims: Claims, provider: Provider) -> bool:
    """Entra names in `idp` the directory that a guest was signed in by; for its own people that is the issuer, or none."""
    own = (None, provider.issuer, f"https://sts.windows.net/{claims.get('tid')}/")
    return claims.get("idp") not in own


def _verified_email(claims: Claims, provider: Provider) -> str:
    email = claims.get("email")
    if email is None or email == "":
        raise EmailMissing(f"It sends {', '.join(sorted(claims)) or 'nothing'}.")
    if not isinstance(email, str) or not _EMAIL.fullmatch(email.strip()) or len(email.strip()) > _LONGEST_EMAIL:
        raise EmailUnreadable(ascii(email)[:_LONGEST_SHOWN])
    email = email.strip().lower()
    verified = claims.get("email_verified")
    if verified is None and provider.vouches_for_email:
        raise EmailNotVouchedFor(email)
    # Some send a string. Where a provider never says, its tenant is pinned by the issuer, and the domain has to do.
    if verified not in (True, "true", None):
        raise EmailNotVerified(email)
    if not provider.vouches_for_email and _is_guest(claims, provider):
        # The directory's own word on addresses is believed, and a guest's address is another directory's word.
        raise GuestAddress(email)
    domain = email.rpartition("@")[2]
    if domain not in provider.domains:
        raise DomainNotAllowed(email)
    if provider.has_hosted_domain and claims.get("hd") not in provider.domains:
        raise DomainNotAllowed(f"{email}, hosted by {claims.get('hd') or 'nobody'}")
    return email
