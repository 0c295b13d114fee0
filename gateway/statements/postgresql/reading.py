"""From the tree of PostgreSQL's grammar to what the statements do. Pure.

The tree is what libpg_query gives: each node a dictionary of one key, its kind; a few fields hold a node without its kind.
All of it is gone through, without recursion: how deep a text is nested is its writer's choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from access.gateway_rules import StatementClass as Class
from gateway.statements.postgresql import conditions, kinds
from gateway.statements.postgresql.catalogue import CATALOGUE
from gateway.statements.postgresql.settings import name_by_where, named, set_by_function, setting_of, truth
from gateway.statements.statement import Effect, NameChange, Setting, Statement

_Node = dict[str, Any]
#: The names of WITH that a place can see.
_Scope = frozenset[str]
_NOTHING: _Scope = frozenset()


class Reader:
    """Goes through the statements of one text."""

    def __init__(self) -> None:
        self.hangs_on_literals = False
        self._classes: set[Class] = set()
        self._tables: set[str] = set()
        self._functions: set[str] = set()
        self._settings: set[Setting] = set()
        self._names: list[NameChange] = []
        self._changes_every_row = False
        self._resets_settings = False
        self._asks_to_write = False
        self._is_planned = False
        """What is read now is planned or stored, and not run."""
        self._todo: list[tuple[Any, _Scope]] = []

    def read(self, tree: list[_Node]) -> Statement:
        """What all of the statements do."""
        for one in tree:
            self._statement(one["stmt"], _NOTHING)
        return Statement(
            classes=frozenset(self._classes),
            tables=frozenset(self._tables),
            functions=frozenset(self._functions),
            changes_every_row=self._changes_every_row,
            settings=frozenset(self._settings),
            resets_settings=self._resets_settings,
            asks_to_write=self._asks_to_write,
            names=tuple(self._names),
            count=len(tree),
        )

    # --- One statement

    def _statement(self, node: _Node, scope: _Scope) -> None:
        """A whole statement, also one inside of another."""
        ((kind, body),) = node.items()
        if kind == "SelectStmt":
            self._add(Class.READ)
        elif kind in kinds.CLASSES:
            self._add(kinds.CLASSES[kind])
        elif kind in kinds.ABOUT_AN_OBJECT:
            self._about_an_object(kind, body)
        elif kind not in _WRAPPERS:
            # A kind that a later grammar brings: nobody has said yet what it is.
            self._add(Class.ADMIN)
        look = _STATEMENTS.get(kind)
        if look is not None:
            look(self, body, scope)
        self._go_through(node, scope)

    def _add(self, kind: Class) -> None:
        if not self._is_planned:
            self._classes.add(kind)

    def _about_an_object(self, kind: str, body: _Node) -> None:
        target = body.get(kinds.ABOUT_AN_OBJECT[kind], "")
        self._add(Class.ADMIN if target in kinds.OF_THE_SERVER else Class.DDL)
        if target in kinds.TABLES:
            objects = body.get("objects") or ([body["object"]] if "object" in body else [])
            for one in objects:
                pieces = [piece["String"]["sval"] for piece in one.get("List", {}).get("items", ())]
                if pieces:
                    self._table(".".join(pieces[-2:]))

    # --- Everything in it

    def _go_through(self, node: Any, scope: _Scope) -> None:
        todo = self._todo
        before = len(todo)
        todo.append((node, scope))
        while len(todo) > before:
            one, inside = todo.pop()
            if type(one) is list:
                pieces: list[Any] = one
                for piece in pieces:
                    todo.append((piece, inside))
                continue
            members: dict[str, Any] = one
            for key, value in members.items():
                look = _NODES.get(key)
                if look is not None:
                    look(self, value, inside)
                elif (type(value) is dict or type(value) is list) and key not in _LEAVES:
                    todo.append((value, inside))

    def _rest(self, body: _Node, scope: _Scope, *but: str) -> None:
        """What of a node has not been looked at yet."""
        for key, value in body.items():
            if key not in but:
                self._todo.append(({key: value}, scope))

    def _with(self, body: _Node, scope: _Scope) -> _Scope:
        """The names that a query's WITH adds, each query of it read with the names that it can see itself."""
        clause = body.get("withClause")
        if clause is None:
            return scope
        queries = [one["CommonTableExpr"] for one in clause["ctes"]]
        if clause.get("recursive"):
            scope |= {one["ctename"] for one in queries}
        for one in queries:
            self._todo.append((one, scope))
            scope |= {one["ctename"]}
        return scope

    def _select(self, body: _Node, scope: _Scope) -> None:
        if "intoClause" in body:
            self._add(Class.DDL)
        if "whereClause" in body:
            name_by_where(body)
        if "lockingClause" in body:
            # FOR UPDATE OF a: names of this query, not tables.
            self._add(Class.WRITE)
        self._rest(body, self._with(body, scope), "withClause", "lockingClause")

    def _into(self, body: _Node, scope: _Scope) -> None:
        self._range(body["rel"], _NOTHING)
        self._rest(body, scope, "rel")

    def _change(self, body: _Node, scope: _Scope) -> None:
        """INSERT, UPDATE, DELETE, MERGE, wherever it stands."""
        self._add(Class.WRITE)
        # What is changed is a table, whatever WITH may name like it.
        self._range(body["relation"], _NOTHING)
        if body["relation"]["relname"] == "pg_settings":
            # A view with a rule: an update of it is a SET.
            self._settings.add(Setting("*", None, is_known=False))
        self._rest(body, self._with(body, scope), "withClause", "relation")

    def _change_chosen(self, body: _Node, scope: _Scope) -> None:
        """UPDATE and DELETE: what they change, their WHERE has to choose."""
        if not self._is_planned and not conditions.chooses(body):
            self._changes_every_row = True
        self._change(body, scope)

    def _merge(self, body: _Node, scope: _Scope) -> None:
        if not self._is_planned and not conditions.merge_chooses(body):
            self._changes_every_row = True
        self._change(body, scope)

    def _range(self, body: _Node, scope: _Scope) -> None:
        if "relname" not in body:
            # A few statements hold a node of any kind there.
            self._rest(body, scope)
            return
        name, schema = body["relname"], body.get("schemaname")
        if schema is not None:
            self._table(f"{schema}.{name}")
        elif name not in scope:
            self._table(f"pg_catalog.{name}" if name in CATALOGUE else name)

    def _table(self, name: str) -> None:
        self._tables.add(name)

    def _call(self, body: _Node, scope: _Scope) -> None:
        name = body["funcname"][-1]["String"]["sval"].lower()
        self._functions.add(name)
        if name in kinds.WRITING_FUNCTIONS:
            self._add(Class.WRITE)
        if name == "set_config":
            setting = set_by_function(body.get("args", []))
            self._settings.add(setting)
            self.hangs_on_literals = True
        self._rest(body, scope, "funcname")

    def _column(self, body: _Node, scope: _Scope) -> None:
        """`row.length` calls the function `length` where the row has no such column."""
        fields = body["fields"]
        if len(fields) > 1 and "String" in fields[-1]:
            self._maybe_call(fields[-1]["String"]["sval"])

    def _indirection(self, body: _Node, scope: _Scope) -> None:
        """`('a').length` calls a function, too."""
        for one in body["indirection"]:
            if "String" in one:
                self._maybe_call(one["String"]["sval"])
        self._rest(body, scope)

    def _maybe_call(self, name: str) -> None:
        self._functions.add(name)
        if name in kinds.WRITING_FUNCTIONS:
            self._add(Class.WRITE)

    def _stored(self, body: Any, scope: _Scope) -> None:
        """Statements that are written down to be run later, by others."""
        before, self._is_planned = self._is_planned, True
        self._go_through(body, scope)
        self._is_planned = before

    # --- Statements that need a look

    def _transaction(self, body: _Node, scope: _Scope) -> None:
        self._modes(body.get("options", ()))

    def _modes(self, options: Any) -> None:
        for one in options:
            option = one.get("DefElem", {})
            if option.get("defname") == "transaction_read_only" and not option["arg"]["A_Const"]["ival"]:
                self._asks_to_write = True

    def _set(self, body: _Node, scope: _Scope) -> None:
        self.hangs_on_literals = True
        if body["kind"] == "VAR_SET_MULTI":
            self._modes(body["args"])
        elif (setting := setting_of(body)) is not None:
            self._settings.add(setting)
        elif body.get("name", "client_encoding") == "client_encoding":
            self._resets_settings = True

    def _explain(self, body: _Node, scope: _Scope) -> None:
        runs = False
        for one in body.get("options", ()):
            option = one["DefElem"]
            if "arg" in option:
                self.hangs_on_literals = True
            if option["defname"] == "analyze":
                runs = truth(option.get("arg"))
        before = self._is_planned
        if not runs:
            self._add(Class.READ)
            self._is_planned = True
        self._statement(body.pop("query"), scope)
        self._is_planned = before

    def _copy(self, body: _Node, scope: _Scope) -> None:
        if body.get("is_program") or "filename" in body:
            # A file, or a program, of the server.
            self._add(Class.ADMIN)
        elif "query" in body:
            self._statement(body.pop("query"), scope)
        else:
            self._add(Class.WRITE if body.get("is_from") else Class.READ)

    def _truncate(self, body: _Node, scope: _Scope) -> None:
        self._changes_every_row |= not self._is_planned

    def _prepare(self, body: _Node, scope: _Scope) -> None:
        self._add(Class.SESSION)
        self._name(Effect.PREPARE, body["name"])
        self._statement(body.pop("query"), scope)

    def _declare(self, body: _Node, scope: _Scope) -> None:
        self._add(Class.SESSION)
        self._name(Effect.DECLARE, body["portalname"])
        self._statement(body.pop("query"), scope)

    def _deallocate(self, body: _Node, scope: _Scope) -> None:
        self._name(Effect.DEALLOCATE, body.get("name"))

    def _close(self, body: _Node, scope: _Scope) -> None:
        self._name(Effect.CLOSE, body.get("portalname"))

    def _discard(self, body: _Node, scope: _Scope) -> None:
        if body["target"] == "DISCARD_ALL":
            self._name(Effect.DEALLOCATE, None)
            self._name(Effect.CLOSE, None)
            self._resets_settings = True

    def _name(self, effect: Effect, name: str | None) -> None:
        if not self._is_planned:
            self._names.append(NameChange(effect, None if name is None else named(name)))

    def _function(self, body: _Node, scope: _Scope) -> None:
        if "sql_body" in body:
            self._stored(body.pop("sql_body"), scope)

    def _rule(self, body: _Node, scope: _Scope) -> None:
        self._stored(body.pop("actions", []), scope)

    def _view(self, body: _Node, scope: _Scope) -> None:
        self._stored(body.pop("query"), scope)


_Look = Callable[[Reader, Any, _Scope], None]
#: Statements around others; what they are, these say.
_WRAPPERS = frozenset({"ExplainStmt", "CopyStmt", "PrepareStmt", "DeclareCursorStmt"})
_STATEMENTS: dict[str, _Look] = {
    "TransactionStmt": Reader._transaction,
    "VariableSetStmt": Reader._set,
    "ExplainStmt": Reader._explain,
    "CopyStmt": Reader._copy,
    "TruncateStmt": Reader._truncate,
    "PrepareStmt": Reader._prepare,
    "DeclareCursorStmt": Reader._declare,
    "DeallocateStmt": Reader._deallocate,
    "ClosePortalStmt": Reader._close,
    "DiscardStmt": Reader._discard,
    "CreateFunctionStmt": Reader._function,
    "RuleStmt": Reader._rule,
    "ViewStmt": Reader._view,
}
#: Nodes by their kind, and the fields that hold one without it.
_NODES: dict[str, _Look] = {
    "SelectStmt": Reader._select,
    "larg": Reader._select,
    "rarg": Reader._select,
    "InsertStmt": Reader._change,
    "MergeStmt": Reader._merge,
    "UpdateStmt": Reader._change_chosen,
    "DeleteStmt": Reader._change_chosen,
    "intoClause": Reader._into,
    "RangeVar": Reader._range,
    "ColumnRef": Reader._column,
    "A_Indirection": Reader._indirection,
    "FuncCall": Reader._call,
    "funccall": Reader._call,
}
#: What names nothing that is looked for, and holds nothing that does.
_LEAVES = frozenset(
    {"A_Const", "ParamRef", "String", "Integer", "Float", "Boolean", "typeName", "name", "names", "alias"}
)
for _field in ("relation", "pktable", "view", "sequence"):
    _NODES[_field] = Reader._range
