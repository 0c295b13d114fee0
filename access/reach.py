"""What an access role or a frozen scope reaches, as people say it: all that somebody who decides has to know. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.base import Level, Scope

#: More names than these are counted.
MOST_NAMES = 8


def reach(scope: Scope) -> str:
    """`read on orders`, `write on orders, schema sales`, `member of reporting and audit on orders`."""
    what = str(scope.level)
    if scope.level is Level.MEMBER:
        what = f"member of {_listed(scope.database_roles)}"
    return ", ".join(
        part
        for part in (
            f"{what} on {_listed(scope.databases)}",
            _counted("schema", scope.schemas),
            _counted("table", [f"{container}.{table}" for container, table in scope.tables]),
        )
        if part
    )


def _counted(word: str, names: Sequence[str]) -> str:
    return f"{word}{'' if len(names) == 1 else 's'} {_listed(names)}" if names else ""


def _listed(names: Sequence[str]) -> str:
    if len(names) > MOST_NAMES:
        return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
