"""What a scope reaches, in words that leave nothing out that somebody who decides has to know."""

from __future__ import annotations

import pytest

from access.reach import reach
from connectors.base import Level, Scope


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (Scope(Level.READ, ("orders",)), "read on orders"),
        (Scope(Level.WRITE, ("a", "b", "c")), "write on a, b and c"),
        (Scope(Level.READ, ("a",), schemas=("s",)), "read on a, schema s"),
        (Scope(Level.READ, ("a",), tables=(("s", "t"), ("s", "u"))), "read on a, tables s.t and s.u"),
        (Scope(Level.MEMBER, ("a",), database_roles=("reporting",)), "member of reporting on a"),
        (Scope(Level.READ, tuple("abcdefghij")), "read on a, b, c, d, e, f, g, h and 2 more"),
    ],
)
def test_a_scope_in_words(scope: Scope, words: str) -> None:
    assert reach(scope) == words
