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
    return where is not None and _chooses(where, _changed(body["relation"]))


def merge_chooses(body: _Node) -> bool:
    """For a MergeStmt: what it updates or deletes, its ON chooses, or the condition of that WHEN."""
    changed = _changed(body["relation"])
    if _chooses(body["joinCondition"], changed):
        return True
    for one in body.get("mergeWhenClauses", ()):
        clause = one["MergeWhenClause"]
        changes = clause.get("commandType") in ("CMD_UPDATE", "CMD_DELETE")
        if changes and not ("condition" in clause and _chooses(clause["condition"], changed)):
            return False
    return True


def _changed(relation: _Node) -> str:
    return str(relation.get("alias", {}).get("aliasname") or relation["relname"])


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
        elif _is_the_same(node.get("A_Expr", {})) or not _names_a_column(node, changed):
            return False
    return True


def _is_the_same(comparison: _Node) -> bool:
    """Both sides say the same: `lower(item) = lower(item)`, `(id, item) = (id, item)`."""
    if "lexpr" not in comparison or "rexpr" not in comparison:
        return False
    # Without recursion, and where in the text each node stands is no difference.
    todo: list[tuple[Any, Any]] = [(comparison["lexpr"], comparison["rexpr"])]
    while todo:
        left, right = todo.pop()
        if type(left) is dict and type(right) is dict:
            if left.keys() != right.keys():
                return False
            todo += [(value, right[key]) for key, value in left.items() if key != "location"]
        elif type(left) is list and type(right) is list:
            if len(left) != len(right):
                return False
            todo += zip(left, right, strict=True)
        elif left != right:
            return False
    return True


def _names_a_column(node: _Node, changed: str) -> bool:
    if "CurrentOfExpr" in node:
        return True
    # A bare name is a column of the changed table, but for those inside of a subquery: they may be the subquery's own.
    todo: list[tuple[Any, bool]] = [(node, True)]
    named: list[str] = []
    # `id = id` chooses nothing, `id = $1` does.
    is_bound = False
    while todo:
        one, is_bare_enough = todo.pop()
        if type(one) is list:
            todo += [(piece, is_bare_enough) for piece in one]
            continue
        for key, value in one.items():
            if key == "ColumnRef":
                fields = [field.get("String", {}).get("sval", "*") for field in value["fields"]]
                is_bound |= not is_bare_enough
                # The table's own name is the whole row.
                if (is_bare_enough and fields != [changed]) if len(fields) == 1 else fields[-2] == changed:
                    named.append(fields[-1])
            elif key == "subselect":
                is_bound = True
                todo.append((value, False))
            elif key in _BOUND:
                is_bound = True
                todo.append((value, is_bare_enough))
            elif type(value) is dict or type(value) is list:
                todo.append((value, is_bare_enough))
    return bool(named) and (is_bound or len(named) == 1 or len(set(named)) > 1)


#: What a column can be held against.
_BOUND = frozenset({"A_Const", "ParamRef", "FuncCall", "NullTest", "BooleanTest", "SQLValueFunction", "SubLink"})
