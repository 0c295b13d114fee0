"""PostgreSQL's statements, read by PostgreSQL's own grammar."""

from gateway.statements.postgresql.grammar import understand

__all__ = ["understand"]
