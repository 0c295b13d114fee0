"""Which servers are MariaDB, and new enough. Pure."""

from __future__ import annotations

#: Oldest MariaDB that Lockgate works with.
OLDEST = (10, 6)


def problem_with(version: str) -> str:
    """Why Lockgate cannot work with a server of this version; empty when it can."""
    if "mariadb" not in version.lower():
        return f"This server is MySQL {version}, not MariaDB: it speaks the same protocol, but its accounts differ."
    numbers = version.split("-", maxsplit=1)[0].split(".")
    if tuple(int(number) for number in numbers[:2]) < OLDEST:
        return f"This server is MariaDB {numbers[0]}.{numbers[1]}; Lockgate needs {OLDEST[0]}.{OLDEST[1]} or later."
    return ""
