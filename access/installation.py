"""The mark by which accounts on a server tell which Lockgate made them.

Two may work on one server, and each would take the other's accounts for orphans. The mark is in the console's database and
comes back with its backup, so that what was granted since is still known as ours, and taken away.
"""

from __future__ import annotations

import secrets

from access.models import Installation

_ONLY = 1
_BYTES = 6


def mark() -> str:
    """Twelve letters and digits; drawn when first asked for."""
    return Installation.objects.get_or_create(pk=_ONLY, defaults={"mark": secrets.token_hex(_BYTES)})[0].mark
