"""What a statement does, as far as its text tells: its classes, tables, functions, and a fingerprint. Pure.

This is not the wall: that is what the principal may do on the server. It says no earlier, and in words.

`understand` is the narrow door: PostgreSQL's texts are read by PostgreSQL's own grammar, those of other engines by sqlglot.
"""

from gateway.statements import other, postgresql
from gateway.statements.statement import Effect, Fault, NameChange, Setting, Statement, Understood

__all__ = ["Effect", "Fault", "NameChange", "Setting", "Statement", "Understood", "understand"]

POSTGRESQL = "postgres"


def understand(text: str, dialect: str, *, bare: str = "") -> Understood:
    """What a text does. `dialect` is sqlglot's name of the engine's language; `bare` is the text as PostgreSQL's `blanked`."""
    return postgresql.understand(text, bare=bare) if dialect == POSTGRESQL else other.understand(text, dialect)
