"""What SET, and the function that does the same, set to what. Pure."""

from __future__ import annotations

from typing import Any

from gateway.statements.statement import Setting

_Node = dict[str, Any]
#: PostgreSQL's NAMEDATALEN, less one.
LONGEST_NAME = 63


def named(name: str) -> str:
    """A name as the server keeps it: cut at 63 bytes, at the end of a character."""
    raw = name.encode()
    return name if len(raw) <= LONGEST_NAME else raw[:LONGEST_NAME].decode(errors="ignore")


def setting_of(body: _Node) -> Setting | None:
    """What a VariableSetStmt sets; None where it sets nothing back but what the gateway said when it connected."""
    kind = body["kind"]
    name = body.get("name", "").lower()
    if kind in ("VAR_RESET", "VAR_RESET_ALL", "VAR_SET_DEFAULT"):
        # Up to version 15 it goes back to off there, in a transaction that began as read-only too.
        return Setting(name, None) if name == "transaction_read_only" else None
    if kind == "VAR_SET_CURRENT":
        return Setting(name, None, is_known=False)
    values = [constant(one) for one in body.get("args", ())]
    if any(value is None for value in values):
        return Setting(name, None, is_known=False)
    return Setting(name, ", ".join(str(value) for value in values))


def set_by_function(arguments: list[_Node]) -> Setting:
    """What `set_config(name, value, is_local)` sets, whether its arguments are in this order or named."""
    given = dict(enumerate(arguments))
    for number, argument in enumerate(arguments):
        if (named := argument.get("NamedArgExpr")) is not None:
            given.pop(number)
            given[_ARGUMENTS.get(named["name"], -1)] = named["arg"]
    name, value = (constant(given[place]) if place in given else None for place in (0, 1))
    return Setting("*" if name is None else name.lower(), value, is_known=value is not None)


def name_by_where(select: _Node) -> None:
    """Where `SELECT set_config(name, …) FROM pg_settings WHERE name = 'jit'` takes a name from its rows, WHERE tells it."""
    calls = [call["args"] for call in map(_set_config, select.get("targetList", ())) if call is not None]
    if not calls:
        return
    told: dict[tuple[str, ...], _Node] = {}
    where = select["whereClause"]
    junction = where.get("BoolExpr", {})
    for one in junction["args"] if junction.get("boolop") == "AND_EXPR" else [where]:
        comparison = one.get("A_Expr", {})
        column, value = _column(comparison.get("lexpr", {})), comparison.get("rexpr", {})
        if (
            comparison.get("kind") == "AEXPR_OP"
            and comparison["name"] == _EQUALS
            and column
            and constant(value) is not None
        ):
            told[column] = value
    for arguments in calls:
        column = _column(arguments[0])
        if column in told:
            arguments[0] = told[column]


_ARGUMENTS = {"setting_name": 0, "new_value": 1}
_EQUALS = [{"String": {"sval": "="}}]


def _set_config(target: _Node) -> _Node | None:
    call: _Node | None = target.get("ResTarget", {}).get("val", {}).get("FuncCall")
    if call is None or not call.get("args") or call["funcname"][-1]["String"]["sval"] != "set_config":
        return None
    return call


def _column(node: _Node) -> tuple[str, ...]:
    """With what qualifies it: `x.name` is not the `p.name` that WHERE tells of."""
    return tuple(str(field.get("String", {}).get("sval", "*")) for field in node.get("ColumnRef", {}).get("fields", ()))


#: Casts that leave a text as it is. `varchar(4)` and `char` cut it, others write it in their own way.
_AS_IT_IS = frozenset({"text", "varchar", "bpchar", "unknown"})


def _leaves_it(kind: _Node) -> bool:
    names = [one["String"]["sval"] for one in kind.get("names", ())]
    is_of_the_server = len(names) == 1 or names[:-1] == ["pg_catalog"]
    return is_of_the_server and names[-1] in _AS_IT_IS and not {"typmods", "arrayBounds"} & kind.keys()


def constant(node: _Node) -> str | None:
    """A constant as text; None for anything else."""
    while "TypeCast" in node:
        if not _leaves_it(node["TypeCast"]["typeName"]):
            return None
        node = node["TypeCast"]["arg"]
    value = node.get("A_Const")
    if value is None or value.get("isnull"):
        return None
    if "sval" in value:
        return str(value["sval"].get("sval", ""))
    if "ival" in value:
        return str(value["ival"].get("ival", 0))
    if "fval" in value:
        return str(value["fval"].get("fval", ""))
    if "boolval" in value:
        return "true" if value["boolval"].get("boolval") else "false"
    return None


def truth(argument: _Node | None) -> bool:
    """An option of EXPLAIN as the server reads it; what it would not take counts as yes."""
    if argument is None:
        return True
    for kind, key in (("String", "sval"), ("Integer", "ival"), ("Boolean", "boolval")):
        if kind in argument:
            return is_on(str(argument[kind].get(key, 0 if kind == "Integer" else "")))
    return True


def is_on(value: str) -> bool:
    """A truth value as PostgreSQL takes it; what it would not take counts as yes."""
    return not _is(value, _OFF)


def is_surely_on(value: str) -> bool:
    """Whether the server takes it for true."""
    return _is(value, _ON)


_ON = (("true", 1), ("yes", 1), ("on", 2), ("1", 1))
_OFF = (("false", 1), ("no", 1), ("off", 2), ("0", 1))


def _is(value: str, words: tuple[tuple[str, int], ...]) -> bool:
    word = value.strip().lower()
    return any(whole.startswith(word) and len(word) >= least for whole, least in words)
