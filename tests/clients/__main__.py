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
from tests.clients import page
from tests.clients.catalogue import CLIENTS, Client
from tests.clients.place import Place, opened
from tests.clients.running import Outcome, run


def main() -> int:
    """Run what was asked for; the number of clients that did something else than expected."""
    chosen = _chosen()
    with opened() as place:
        say(f"PostgreSQL {place.server_version}")
        done = {client: _on_every_level(client, place) for client in chosen}
    page.write_clients(done, place.server_version)
    surprising = [client for client, outcomes in done.items() if any(one.surprises for one in outcomes)]
    for client in surprising:
        for outcome in done[client]:
            for surprise in outcome.surprises:
                say(f"{client.name} ({outcome.level}): {surprise}")
    say(f"{len(done) - len(surprising)} passed, {len(surprising)} failed")
    return len(surprising)


def _chosen() -> list[Client]:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    names = [client.name for client in CLIENTS]
    parser.add_argument("--only", nargs="+", default=names, choices=names, metavar="CLIENT")
    only = parser.parse_args().only
    return [client for client in CLIENTS if client.name in only]


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
