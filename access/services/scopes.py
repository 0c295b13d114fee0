"""The names of an access role beside what is on its server: compared when it is saved, and offered while it is typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from access.errors import SecretUnavailable
from access.models import AccessRole, Server
from access.scope_names import Missing, Names, missing_in
from access.services.catalogue.checks import check_administrator
from access.targets import connect
from connectors.base import ServerDescription
from connectors.errors import ConnectorError
from people.models import User

#: A list that is longer is to be searched further.
MOST_OFFERED = 20


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of it."""

    missing: tuple[Missing, ...] = ()
    unchecked: str = ""
    """Why nothing could be compared; empty when it was."""


def compare(*, person: User, server: Server, names: Names, saved: AccessRole | None = None) -> Compared:
    """What of the names is not on the server; of a role that is changed, only what is new in it.

    A server that does not answer forbids nothing: then `unchecked` says why.
    """
    check_administrator(person)
    wanted = _new_in(names, saved) if saved else names
    if not (wanted.databases or wanted.schemas or wanted.tables or wanted.database_roles):
        return Compared()
    try:
        there = _described(server, [*names.databases, *(container for container, _ in names.tables)])
    except (ConnectorError, SecretUnavailable) as error:
        return Compared(unchecked=str(error))
    kept = Names(names.databases, wanted.schemas, wanted.tables, wanted.database_roles)
    found = missing_in(kept, there)
    return Compared(tuple(each for each in found if each.field != "databases" or each.name in wanted.databases))


def offer(
    *, person: User, server: Server, kind: str, databases: Sequence[str], like: str
) -> list[str | tuple[str, str]]:
    """At most `MOST_OFFERED` names of one kind in which `like` occurs; tables as pairs. Raises what a connector raises."""
    check_administrator(person)
    there = _described(server, databases if kind in ("schemas", "tables", "database_roles") else [])
    found: dict[str, list[str | tuple[str, str]]] = {
        "databases": list(there.databases),
        "schemas": list(dict.fromkeys(schema for _, schema in there.schemas)),
        "tables": list(dict.fromkeys((schema or database, table) for database, schema, table in there.tables)),
        "database_roles": list(there.roles),
    }
    wanted = like.strip().casefold()
    matching = [each for each in found.get(kind, []) if wanted in _shown(each).casefold()]
    return matching[:MOST_OFFERED]


def _described(server: Server, inside: Sequence[str]) -> ServerDescription:
    with connect(server) as connector:
        return connector.describe(tuple(dict.fromkeys(inside)))


def _new_in(names: Names, saved: AccessRole) -> Names:
    pairs = {(container, table) for container, table in saved.tables}
    if set(names.databases) - set(saved.databases):
        # In a database that is new everything has to be.
        return names
    return Names(
        (),
        [name for name in names.schemas if name not in saved.schemas],
        [pair for pair in names.tables if pair not in pairs],
        [name for name in names.database_roles if name not in saved.database_roles],
    )


def _shown(name: str | tuple[str, str]) -> str:
    return name if isinstance(name, str) else ".".join(name)
