"""Whether the WHERE of an UPDATE or DELETE chooses rows of the table that is changed. Pure.

A condition chooses where a column of that table decides about it, a cursor's row is meant, or a subquery hangs on such a
column. `WHERE true`, `WHERE now() > '2000-01-01'`, `WHERE id = id` and `WHERE EXISTS (SELECT 1 FROM other)` change every row.
"""

from __future__ import annotations

from typing import Any

_Node = dict[str, Any]


def chooses(body: _Node) -> bool:
    """For an UpdateStmt or DeleteStmt."""
    where = body.get("whereClause")
    if where is None:
        return False
    relation = body["relation"]
    alias = relation.get("alias", {}).get("aliasname")
    changed = alias or relation["relname"]
    return _chooses(where, changed)


def _chooses(where: _Node, changed: str) -> bool:
    """AND: one of its sides is enough. OR: each has to. Everything else: it names a column."""
    todo = [where]
    while todo:
        # From the last: what is left in `todo` has to choose as well.
        node = todo.pop()
        junction = node.get("BoolExpr")
        if junction is not None and junction["boolop"] == "OR_EXPR":
            todo += junction["args"]
        elif junction is not None and junction["boolop"] == "AND_EXPR":
            if not any(_chooses(one, changed) for one in junction["args"]):
                return False
        elif junction is not None:
            todo += junction["args"]
        elif not _names_a_column(node, changed):
            return False
    return True


def _names_a_column(node: _Node, changed: str) -> bool:
    if "CurrentOfExpr" in node:
        return True
    comparison = node.get("A_Expr")
    if comparison is not None and _same(comparison.get("lexpr"), comparison.get("rexpr")):
        return False
    # A bare name is a column of the changed table, but for those inside of a subquery: they may be the subquery's own.
    todo: list[tuple[Any, bool]] = [(node, True)]
    while todo:
        one, is_bare_enough = todo.pop()
        if type(one) is list:
            todo += [(piece, is_bare_enough) for piece in one]
            continue
        for key, value in one.items():
            if key == "ColumnRef":
                fields = [field.get("String", {}).get("sval", "*") for field in value["fields"]]
                if is_bare_enough if len(fields) == 1 else fields[-2] == changed:
                    return True
            elif key == "subselect":
                todo.append((value, False))
            elif type(value) is dict or type(value) is list:
                todo.append((value, is_bare_enough))
    return False


def _same(left: Any, right: Any) -> bool:
    """Whether both sides of a comparison are one and the same column."""
    return (
        isinstance(left, dict)
        and isinstance(right, dict)
        and "ColumnRef" in left
        and "ColumnRef" in right
        and left["ColumnRef"]["fields"] == right["ColumnRef"]["fields"]
    )
