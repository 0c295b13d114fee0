"""Where an action came from: set once at the edge (middleware, task, command), read by whatever records.

A context variable, so that it follows threads and coroutines without being passed through every service.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_LONGEST = {"channel": 20, "request_id": 100, "user_agent": 300}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an action came from. Unknown parts are empty; parts that are too long are cut."""

    channel: str = ""
    """`web`, `api`, `worker`, `beat`, `command`, `gateway`."""
    ip: str = ""
    """Address of the client, in its canonical spelling; what is no address becomes empty."""
    request_id: str = ""
    """Same as in the response header and the structured log."""
    user_agent: str = ""

    def __post_init__(self) -> None:
        for name, longest in _LONGEST.items():
            object.__setattr__(self, name, getattr(self, name)[:longest])
        object.__setattr__(self, "ip", _canonical_ip(self.ip))


def _canonical_ip(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return ""
    # A dual-stack listener shows an IPv4 client as ::ffff:192.0.2.1; a search for the address must find it.
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


_UNKNOWN = Origin()
_current: ContextVar[Origin] = ContextVar("lockgate_origin", default=_UNKNOWN)


def current() -> Origin:
    """Where the action under way came from."""
    return _current.get()


@contextmanager
def coming_from(origin: Origin) -> Iterator[Origin]:
    """Everything recorded inside carries this origin; the one from before is back afterwards."""
    token = _current.set(origin)
    try:
        yield origin
    finally:
        _current.reset(token)
