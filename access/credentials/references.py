"""How a reference is written: `scheme:place?option=value&option=value#key`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from access.credentials.errors import ReferenceNotUnderstood

_SCHEME = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference in its parts."""

    scheme: str
    place: str
    options: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    """Which field of a secret that has several."""

    def only(self, *allowed: str, key: bool = False) -> Reference:
        """The same; raises `ReferenceNotUnderstood` when it has other options, or a key where none is possible."""
        if other := sorted(set(self.options) - set(allowed)):
            known = f"They are {', '.join(allowed)}." if allowed else "There are none."
            raise ReferenceNotUnderstood(f"{self.scheme}: has no option {other[0]!r}. {known}")
        if self.key and not key:
            raise ReferenceNotUnderstood(f"{self.scheme}: takes no #{self.key}.")
        return self

    def required(self, name: str) -> str:
        """The value of an option; raises `ReferenceNotUnderstood` without one."""
        if not self.options.get(name):
            raise ReferenceNotUnderstood(f"{self.scheme}:{self.place} needs the option {name}=….")
        return self.options[name]


def parse(text: str) -> Reference:
    """Raises `ReferenceNotUnderstood`. Of `env:` and `file:` everything behind the colon is the place."""
    scheme, colon, rest = text.strip().partition(":")
    if not colon or not rest or not _SCHEME.fullmatch(scheme):
        raise ReferenceNotUnderstood("It begins with a scheme, such as env:NAME or file:PATH.")
    if scheme in ("env", "file"):
        return Reference(scheme, rest)
    before_key, _, key = rest.partition("#")
    place, _, query = before_key.partition("?")
    options: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if not equals or name in options:
            raise ReferenceNotUnderstood(f"Options are written name=value, each once: {name!r}.")
        options[name] = unquote(value)
    return Reference(scheme, place, options, key)


def same_place(one: str, other: str) -> bool:
    """Whether two references name the same secret, as far as can be seen from how they are written."""
    try:
        return parse(one) == parse(other)
    except ReferenceNotUnderstood:
        return one == other
