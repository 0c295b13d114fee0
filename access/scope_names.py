"""What of an access role's names is not on its server, and what was probably meant. Pure.

A server may take a name in other letters, with a blank more, or in its own kind of quotes; what Lockgate keeps is the name
as the server writes it, since that is what plans, receipts and the gateway compare.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from connectors.base import ServerDescription

_QUOTES = (('"', '"'), ("`", "`"), ("[", "]"), ("'", "'"))


@dataclass(frozen=True, slots=True)
class Missing:
    """One name that is not there."""

    field: str
    """`databases`, `schemas`, `tables` or `database_roles`."""
    name: str
    where: str = ""
    """The database in which it was looked for, of several."""
    meant: str = ""
    """The name on the server that is most like it; empty where none is."""

    @property
    def sentence(self) -> str:
        """For the form."""
        place = f" in {self.where}" if self.where else " on the server"
        hint = f" Did you mean “{self.meant}”?" if self.meant else ""
        return f"“{self.name}” is not{place}.{hint}"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of an access role."""

    databases: Sequence[str]
    schemas: Sequence[str] = ()
    tables: Sequence[tuple[str, str]] = ()
    database_roles: Sequence[str] = ()


def missing_in(names: Names, there: ServerDescription) -> list[Missing]:
    """What is not on the server, in the order of the form. Of databases that could not be looked into nothing is said."""
    found = list(_of("databases", names.databases, there.databases))
    seen = [each for each in names.databases if each in there.databases and each not in there.unseen]
    several = len(names.databases) > 1
    for database in seen:
        where = database if several else ""
        schemas = [schema for place, schema in there.schemas if place == database]
        found += _of("schemas", names.schemas, schemas, where)
    found += _tables(names, there, seen, several=several)
    if seen == list(names.databases):
        found += _of("database_roles", names.database_roles, (*there.roles, *there.unlisted_roles))
    return found


def nearest(name: str, names: Collection[str]) -> str:
    """The one that differs in letters, blanks and quotes alone; else the most similar one; else nothing."""
    plain = {_plain(each): each for each in names}
    if (same := plain.get(_plain(name))) is not None:
        return same
    close = get_close_matches(_plain(name), list(plain), n=1, cutoff=0.75)
    return plain[close[0]] if close else ""


def _of(field: str, wanted: Sequence[str], there: Collection[str], where: str = "") -> Iterator[Missing]:
    for name in wanted:
        if name not in there:
            yield Missing(field, name, where, nearest(name, there))


def _tables(names: Names, there: ServerDescription, seen: Sequence[str], *, several: bool) -> Iterator[Missing]:
    # Without schemas inside a database the first part of a table's name is the database.
    has_schemas = any(schema for _, schema, _ in there.tables) or bool(there.schemas)
    if not has_schemas:
        held = {f"{database}.{table}" for database, _, table in there.tables}
        of_seen = [f"{database}.{table}" for database, table in names.tables if database not in there.unseen]
        yield from _of("tables", of_seen, held)
        return
    for database in seen:
        held = {f"{schema}.{table}" for place, schema, table in there.tables if place == database}
        wanted = [f"{schema}.{table}" for schema, table in names.tables]
        yield from _of("tables", wanted, held, database if several else "")


def _plain(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).strip().casefold()
    for opening, closing in _QUOTES:
        if len(text) > 1 and text.startswith(opening) and text.endswith(closing):
            text = text[1:-1]
    return text.strip()
