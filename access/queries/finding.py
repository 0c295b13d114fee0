"""What fields that search while somebody types find: people and servers, a few at a time, by words in their names."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet

from access.models import Server
from access.rules import may_see_audit, may_see_settings
from audit.errors import BadFilter
from people.models import User

#: A list longer than this is not read but narrowed down.
MOST = 20
_MOST_WORDS = 5
#: Digits of the highest number that a person can have.
_LONGEST_NUMBER = 18


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to choose."""

    value: str
    """What the field holds once it is chosen."""
    label: str
    about: str = ""


class SeveralFit(BadFilter):
    """More than one person has these words in their name or address."""

    def __init__(self, words: str, options: tuple[Option, ...]) -> None:
        super().__init__(f"Several people fit “{words}”. Choose one of them.")
        self.options = options


def people_found_by(person: User, words: str) -> tuple[Option, ...]:
    """The first people in whose name or address every word occurs, by address."""
    _check(person)
    rows = _people(words).order_by("email")[:MOST]
    return tuple(Option(one.email, one.label, one.email if one.display_name else "") for one in rows)


def servers_found_by(person: User, words: str) -> tuple[Option, ...]:
    """The first servers in whose names every word occurs; chosen by their short names."""
    _check(person)
    return tuple(Option(one.slug, one.name, one.slug) for one in _servers(words).order_by("name")[:MOST])


def person_meant(person: User, typed: str) -> str:
    """Id of the one person whom somebody typed: by id, by address, or by words that fit nobody else.

    Raises `BadFilter` when there is none, `SeveralFit` when there are more.
    """
    _check(person)
    words = typed.strip()
    if not words or (words.isascii() and words.isdecimal() and len(words) <= _LONGEST_NUMBER):
        return words
    exact = User.objects.filter(email__iexact=words).values_list("pk", flat=True).first()
    if exact is not None:
        return str(exact)
    found = list(_people(words).order_by("email").values_list("pk", flat=True)[:2])
    if not found:
        raise BadFilter(f"Nobody has “{words[:60]}” in their name or address.")
    if len(found) > 1:
        raise SeveralFit(words[:60], people_found_by(person, words))
    return str(found[0])


def server_meant(person: User, typed: str) -> tuple[str, str]:
    """Short name and name of the one server that was typed; what fits no single one stays as it is: it may be gone by now."""
    _check(person)
    words = typed.strip()
    if not words:
        return "", ""
    exact = Server.objects.filter(Q(slug=words) | Q(name=words)).values_list("slug", "name").first()
    if exact is not None:
        return exact
    found = list(_servers(words).values_list("slug", "name")[:2])
    return found[0] if len(found) == 1 else (words, words)


def address_of(person: User, ident: str) -> str:
    """What stands in the field for a person who is named by id; the id itself when there is no such person."""
    _check(person)
    if not (ident.isascii() and ident.isdecimal() and len(ident) <= _LONGEST_NUMBER):
        return ident
    return User.objects.filter(pk=int(ident)).values_list("email", flat=True).first() or ident


def _people(words: str) -> QuerySet[User]:
    rows = User.objects.all()
    for word in words.split()[:_MOST_WORDS]:
        rows = rows.filter(Q(email__icontains=word) | Q(display_name__icontains=word))
    return rows


def _servers(words: str) -> QuerySet[Server]:
    rows = Server.objects.all()
    for word in words.split()[:_MOST_WORDS]:
        rows = rows.filter(Q(name__icontains=word) | Q(slug__icontains=word))
    return rows


def _check(person: User) -> None:
    if not (may_see_audit(person) or may_see_settings(person)):
        raise PermissionDenied
