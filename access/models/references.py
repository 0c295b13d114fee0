"""Short public names for rows, such as `R-7K2M9QXT`: in addresses, in mails and on the telephone."""

from __future__ import annotations

import secrets

#: No I, L, O or U: nothing that is misread, nothing that spells a word.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 8


def make_reference(letter: str) -> str:
    """`letter`, a dash and eight random characters (40 bits); the column's unique constraint catches a repetition."""
    return f"{letter}-" + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def request_reference() -> str:
    """A name for a request."""
    return make_reference("R")


def grant_reference() -> str:
    """A name for a grant."""
    return make_reference("G")
