"""The header of the PROXY protocol, in which a balancer tells whose connection it passes on. Pure.

Versions 1 and 2, as HAProxy's `doc/proxy-protocol.txt` has them. A header is taken from named balancers alone: anybody else
could write any address into one.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from typing import Final

from gateway.errors import ProtocolViolated

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = tuple[str, int]

BEGINNING_1: Final = b"PROXY "
BEGINNING_2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST_1: Final = 107
#: Of version 2 behind its beginning: version and command, family, length of the rest.
FIXED_2: Final = 4
_LONGEST_2 = 4096
_ADDRESSES = {0x1: struct.Struct("!4s4sHH"), 0x2: struct.Struct("!16s16sHH")}


def plain(host: str) -> str:
    """An address without the form that IPv4 has on a socket of IPv6."""
    address = ipaddress.ip_address(host)
    return str(getattr(address, "ipv4_mapped", None) or address)


def is_of(host: str, networks: Sequence[Network]) -> bool:
    """Whether the address is in one of the networks."""
    address = ipaddress.ip_address(plain(host))
    return any(address in network for network in networks)


def may_begin(data: bytes) -> bool:
    """Whether what has come so far can be the beginning of a header."""
    return any(one.startswith(data[: len(one)]) for one in (BEGINNING_1, BEGINNING_2))


def told_in_1(line: bytes) -> Address | None:
    """Whose connection it is, from a whole line; None where the balancer does not say."""
    words = line.removesuffix(b"\r\n").decode("ascii", "replace").split(" ")
    try:
        if not line.endswith(b"\r\n"):
            raise ValueError
        if words[:2] == ["PROXY", "UNKNOWN"]:
            return None
        _, family, source, _, port, _ = words
        address = ipaddress.ip_address(source)
        if (family, address.version) in (("TCP4", 4), ("TCP6", 6)) and port.isdecimal() and int(port) < 1 << 16:
            return plain(source), int(port)
    except ValueError:
        pass
    raise ProtocolViolated("The balancer's PROXY header cannot be read.")


def length_of_2(fixed: bytes) -> int:
    """How much comes behind the fixed part."""
    (length,) = struct.unpack_from("!H", fixed, 2)
    if fixed[0] >> 4 != 2 or fixed[0] & 0xF > 1 or length > _LONGEST_2:
        raise ProtocolViolated("The balancer's PROXY header cannot be read.")
    return int(length)


def told_in_2(fixed: bytes, rest: bytes) -> Address | None:
    """Whose connection it is; None for the balancer's own (a look whether we are there), or where it does not say."""
    layout = _ADDRESSES.get(fixed[1] >> 4)
    if not fixed[0] & 0xF or layout is None:
        return None
    if len(rest) < layout.size:
        raise ProtocolViolated("The balancer's PROXY header cannot be read.")
    source, _, port, _ = layout.unpack_from(rest)
    return plain(str(ipaddress.ip_address(source))), port
