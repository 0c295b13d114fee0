"""The openings of clients that cannot be had here, sent by hand on every level: what passes, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.base import Level
from tests.clients.openings import OPENINGS
from tests.clients.place import LEVELS, Place
from tests.gateway.wire.sockets import Wire
from tests.gateway.wire.sockets import field as field_of

NAME = "openings"


@dataclass
class Opening:
    """What one client says first."""

    client: str
    statements: int
    failed: dict[Level, str] = field(default_factory=dict)
    """Level → SQLSTATE and words of the first error."""


def run(place: Place) -> list[Opening]:
    """All of them, each on a session of its own."""
    done = {client: Opening(client, len(texts)) for client, texts in OPENINGS.items()}
    for level in LEVELS:
        with place.gateway(level) as gateway:
            for client, texts in OPENINGS.items():
                with Wire(gateway) as wire:
                    answers = [answer for text in texts for answer in wire.query(text)]
                said = [
                    f"{field_of(content, 'C')} {field_of(content, 'M')}" for kind, content in answers if kind == b"E"
                ]
                if said:
                    done[client].failed[level] = said[0]
    return list(done.values())
