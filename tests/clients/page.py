"""The client matrix in docs/clients.md: rows of what was tried now, the others as they were."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime

from deploy.local.installed import ROOT
from tests.clients.catalogue import CLIENTS, COLUMNS, Client
from tests.clients.place import LEVELS
from tests.clients.running import Outcome
from tests.clients.standing_in import Opening

PAGE = ROOT / "docs" / "clients.md"
_TITLES = ("client", "version", *COLUMNS, "besides", "refused, as the client shows it", "tried")


def write(rows: dict[str, str], marker: str, titles: tuple[str, ...], order: list[str]) -> None:
    """Put rows, by their first cell, into the table between the markers."""
    begin, end = f"<!-- {marker} -->", f"<!-- end of {marker} -->"
    head, _, rest = PAGE.read_text().partition(begin)
    table, _, tail = rest.partition(end)
    kept = {line.split(" | ")[0].removeprefix("| "): line for line in table.splitlines()[3:]}
    kept |= rows
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|", *(kept[one] for one in order if one in kept)]
    PAGE.write_text(f"{head}{begin}\n" + "\n".join(lines) + f"\n{end}{tail}")


def write_clients(done: dict[Client, list[Outcome]], server_version: str) -> None:
    """The rows of clients, each with what it did on every level."""
    rows = {client.label: row(client, outcomes, server_version) for client, outcomes in done.items()}
    write(rows, "clients", _TITLES, [client.label for client in CLIENTS])


def write_openings(done: list[Opening], server_version: str) -> None:
    """The rows of clients that others stand in for."""
    tried = f"{datetime.now(UTC):%Y-%m-%d}, PostgreSQL {server_version}"
    rows = {}
    for one in done:
        cells = [f"**failed: {plain(one.failed[level])}**" if level in one.failed else "passes" for level in LEVELS]
        rows[one.client] = f"| {one.client} | {one.statements} | {' | '.join(cells)} | {tried} |"
    write(rows, "openings", ("client", "texts", *LEVELS, "tried"), [one.client for one in done])


def row(client: Client, outcomes: list[Outcome], server_version: str) -> str:
    """One line of the table: nothing in it but what the run has said."""
    rest = [what for what in _everything(outcomes) if what not in (*COLUMNS, "goes on")]
    cells = [
        client.label,
        next((one.version for one in outcomes if one.version), "?"),
        *(_cell(what, outcomes) for what in COLUMNS),
        "; ".join(f"{what}: {_cell(what, outcomes)}" for what in rest) or "–",
        _refusals(outcomes),
        f"{datetime.now(UTC):%Y-%m-%d}, PostgreSQL {server_version}",
    ]
    return f"| {' | '.join(cells)} |"


def _everything(outcomes: list[Outcome]) -> list[str]:
    """All that was done or failed, in the order in which it was."""
    return list(dict.fromkeys(what for one in outcomes for what in (*one.did, *one.failed)))


def _cell(what: str, outcomes: list[Outcome]) -> str:
    """How it was done, with the levels where these differ; where it failed, the client's words."""
    said = {one.level: _one(what, one) for one in outcomes if what in one.did or what in one.failed}
    if not said:
        return "–"
    if len(set(said.values())) == 1 and len(said) in (len(outcomes), 1):
        (text,) = set(said.values())
        return text if len(said) == len(outcomes) else f"{text} ({next(iter(said))})"
    texts = dict.fromkeys(said.values())
    return "; ".join(f"{text} ({', '.join(level for level, it in said.items() if it == text)})" for text in texts)


def _one(what: str, outcome: Outcome) -> str:
    if what in outcome.failed:
        return f"**failed: {plain(outcome.failed[what])}**"
    return _escaped(outcome.did[what])


def _refusals(outcomes: list[Outcome]) -> str:
    """The first in full; of the others what they were."""
    all_of_them = [(one.level, refused) for one in outcomes for refused in one.refused]
    if not all_of_them:
        return "–"
    level, first = all_of_them[0]
    text = f"{first.what} ({level}): {first.sqlstate} “{plain(first.said)}”"
    rest = [f"{one.what} ({level}): {one.sqlstate or 'likewise'}" for level, one in all_of_them[1:]]
    return "; ".join([text, *rest])


def plain(said: str) -> str:
    """A client's words on one line; where the programs lie on this machine is nobody's business."""
    return _escaped(re.sub(r"\s+", " ", said.replace(f"{ROOT}/", "")).strip())


def _escaped(text: str) -> str:
    return re.sub(r"([|*_`\\])", r"\\\1", html.escape(text, quote=False))
