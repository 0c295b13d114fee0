"""`make clients`: connects every client through a gateway with the default rules of a read, a write and a ddl role.

Writes what each of them did, and in which words it shows a refusal, into the client matrix of docs/clients.md.
`make clients ONLY="psql-17 asyncpg"` runs some of them and leaves the other rows as they are. Fails when any of them did
something else than is expected of it, and says what.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from deploy.local import clients as installed
from deploy.local.progress import say
from tests.clients import page, standing_in
from tests.clients.catalogue import CLIENTS, Client
from tests.clients.place import Place, opened
from tests.clients.running import Outcome, run


def main() -> int:
    """Run what was asked for; the number of clients that did something else than expected."""
    wanted = _wanted()
    chosen = [client for client in CLIENTS if client.name in wanted]
    surprises: dict[str, list[str]] = {}
    with opened() as place:
        say(f"PostgreSQL {place.server_version}")
        for client in chosen:
            outcomes = _on_every_level(client, place)
            page.write_clients({client: outcomes}, place.server_version)
            surprises[client.name] = [f"({one.level}) {surprise}" for one in outcomes for surprise in one.surprises]
        if standing_in.NAME in wanted:
            openings = standing_in.run(place)
            page.write_openings(openings, place.server_version)
            failed = [f"{one.client} ({level}): {said}" for one in openings for level, said in one.failed.items()]
            surprises[standing_in.NAME] = failed
    surprising = {name: found for name, found in surprises.items() if found}
    for name, found in surprising.items():
        say("\n".join(f"{name} {surprise}" for surprise in found))
    say(f"{len(surprises) - len(surprising)} passed, {len(surprising)} failed")
    return len(surprising)


def _wanted() -> list[str]:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    names = [*(client.name for client in CLIENTS), standing_in.NAME]
    parser.add_argument("--only", nargs="+", default=names, choices=names, metavar="CLIENT")
    wanted: list[str] = parser.parse_args().only
    return wanted


def _on_every_level(client: Client, place: Place) -> list[Outcome]:
    begun = time.monotonic()
    outcomes = []
    for level in client.levels:
        place.tidy()
        outcomes.append(run(client, level, place))
    word = "not as expected" if any(one.surprises for one in outcomes) else "as expected"
    say(f"  {client.label}: {word}, {time.monotonic() - begun:.1f} s")
    return outcomes


if __name__ == "__main__":
    assert installed.PYTHON.exists(), "Run `make clients`, which installs what is tried."
    os.environ.setdefault("LOCKGATE_ENV", "development")
    sys.exit(main())
