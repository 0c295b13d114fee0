"""From a skeleton to what the statement does. Pure.

The first words tell what kind of statement it is; for those that read and change rows the parser (sqlglot) finds tables,
functions, conditions and what hides in a WITH. Where the parser fails, the statement is unknown: it is for the rules to say
what becomes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from access.gateway_rules import StatementClass as Class
from gateway.statements.other.skeleton import Skeleton
from gateway.statements.statement import Setting, Statement

#: Longer ones are not parsed: the parser is slow, and whoever waits for it holds up his neighbours.
LONGEST_PARSED = 64 * 1024

_TRANSACTION = frozenset({"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "lock"})
_SESSION = frozenset(
    {
        *("set", "reset", "show", "discard", "listen", "unlisten", "notify", "deallocate", "execute", "close", "fetch"),
        *("move", "checkpoint"),
    }
) - {"checkpoint"}
_ADMIN = frozenset(
    {
        *("grant", "revoke", "vacuum", "analyze", "analyse", "cluster", "reindex", "checkpoint", "load", "reassign"),
        *("security", "import", "replicate"),
    }
)
_DDL = frozenset({"create", "alter", "drop", "comment", "refresh"})
_CALL = frozenset({"call", "do"})
#: CREATE, ALTER or DROP of these is about the server, not about tables.
_OF_THE_SERVER = frozenset(
    {
        *("role", "user", "group", "database", "tablespace", "extension", "server", "subscription", "publication"),
        *("system", "language", "foreign", "event", "access", "policy", "default", "large"),
    }
)
_PARSED = frozenset({"select", "insert", "update", "delete", "merge", "with", "values", "table", "("})
_BEFORE_PARENTHESIS = frozenset(
    {
        *(
            "in",
            "values",
            "and",
            "or",
            "not",
            "exists",
            "any",
            "all",
            "some",
            "as",
            "on",
            "using",
            "over",
            "filter",
            "by",
        ),
        *(
            "where",
            "having",
            "select",
            "from",
            "join",
            "lateral",
            "set",
            "when",
            "then",
            "else",
            "case",
            "between",
            "like",
        ),
        *(
            "ilike",
            "is",
            "union",
            "except",
            "intersect",
            "with",
            "into",
            "table",
            "key",
            "check",
            "default",
            "returning",
        ),
        *(
            "materialized",
            "group",
            "limit",
            "offset",
            "explain",
            "copy",
            "array",
            "row",
            "interval",
            "numeric",
            "varchar",
        ),
        *("char", "decimal", "timestamp", "time", "do", "update", "nothing", "conflict", "sets", "distinct"),
    }
)


@dataclass(slots=True)
class _Found:
    classes: set[Class] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    settings: set[Setting] = field(default_factory=set)
    changes_every_row: bool = False
    asks_to_write: bool = False
    is_parsed: bool = True


def classify(skeleton: Skeleton, dialect: str) -> Statement:
    """What the statements of a text do. `dialect` is sqlglot's name of the engine's language."""
    found = _Found()
    for words in skeleton.words:
        _classify_one(found, words, dialect)
    return Statement(
        classes=frozenset(found.classes),
        tables=frozenset(found.tables),
        functions=frozenset(found.functions),
        changes_every_row=found.changes_every_row,
        settings=frozenset(found.settings),
        asks_to_write=found.asks_to_write,
        is_parsed=found.is_parsed,
        count=len(skeleton.words),
    )


def _classify_one(found: _Found, words: tuple[str, ...], dialect: str) -> None:
    first = words[0]
    found.functions |= set(_functions(words))
    if first in _PARSED:
        _parse(found, words, dialect)
    elif first in _TRANSACTION:
        found.classes.add(Class.TRANSACTION)
        found.asks_to_write |= _has(words, "read", "write")
    elif first in _SESSION:
        _session(found, words)
    elif first in _DDL:
        _define(found, words, dialect)
    elif first in _CALL:
        found.classes.add(Class.CALL)
    elif first in _ADMIN:
        found.classes.add(Class.ADMIN)
    else:
        _wrapped(found, words, dialect)


def _wrapped(found: _Found, words: tuple[str, ...], dialect: str) -> None:
    """A statement around another one, and the few that are left."""
    first = words[0]
    if first == "explain":
        _explain(found, words, dialect)
    elif first in ("declare", "prepare"):
        _named(found, words, dialect)
    elif first == "copy":
        _copy(found, words, dialect)
    elif first == "truncate":
        found.classes.add(Class.WRITE)
        found.changes_every_row = True
        found.tables |= set(_names_behind(words, {"truncate", "table", "only"}))
    else:
        found.classes.add(Class.UNKNOWN)
        found.is_parsed = False


def _session(found: _Found, words: tuple[str, ...]) -> None:
    found.classes.add(Class.SESSION)
    rest = [word for word in words[1:] if word not in ("session", "local")]
    if words[0] == "set" and rest:
        name = rest[0].strip('"').lower()
        found.settings.add(Setting("role" if name == "authorization" else name, None, is_known=False))
        found.asks_to_write |= _has(words, "read", "write")


def _explain(found: _Found, words: tuple[str, ...], dialect: str) -> None:
    rest, runs = words[1:], False
    if rest[:1] == ("(",) and rest[1:2] != ("select",):
        end = rest.index(")") if ")" in rest else len(rest)
        runs, rest = bool({"analyze", "analyse"} & set(rest[:end])), rest[end + 1 :]
    while rest[:1] and rest[0] in ("analyze", "analyse", "verbose"):
        runs, rest = runs or rest[0] != "verbose", rest[1:]
    if not rest:
        _unparsed(found)
        return
    inner = _Found()
    _classify_one(inner, rest, dialect)
    if not runs:
        # It is planned and not run.
        inner.classes = {Class.READ} if Class.UNKNOWN not in inner.classes else inner.classes
        inner.changes_every_row = False
    _add(found, inner)


def _named(found: _Found, words: tuple[str, ...], dialect: str) -> None:
    """DECLARE c CURSOR … FOR query; PREPARE n (…) AS statement; PREPARE TRANSACTION."""
    if words[:2] == ("prepare", "transaction"):
        found.classes.add(Class.TRANSACTION)
        return
    found.classes.add(Class.SESSION)
    before = "for" if words[0] == "declare" else "as"
    if before not in words[2:]:
        _unparsed(found)
        return
    inner = words[words.index(before, 2) + 1 :]
    if inner:
        _classify_one(found, inner, dialect)


def _copy(found: _Found, words: tuple[str, ...], dialect: str) -> None:
    depth = 0
    for at, word in enumerate(words):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0 and word in ("from", "to") and at > 1:
            break
    else:
        _unparsed(found)
        return
    if words[at + 1 : at + 2] not in (("stdin",), ("stdout",)):
        # A file, or a program, of the server.
        found.classes.add(Class.ADMIN)
    elif words[1] == "(":
        _parse(found, words[2 : _closing(words, 1)], dialect)
    else:
        found.classes.add(Class.WRITE if word == "from" else Class.READ)
        found.tables.add(_name(words[1:at]))


def _define(found: _Found, words: tuple[str, ...], dialect: str) -> None:
    kind = next((word for word in words[1:] if word not in ("or", "replace", "temp", "temporary", "unlogged")), "")
    found.classes.add(Class.ADMIN if kind in _OF_THE_SERVER else Class.DDL)
    if kind in ("table", "view", "materialized", "index", "unique") and words[0] != "comment":
        for tree in _trees(words, dialect) or ():
            _look_through(found, tree, is_definition=True)


def _parse(found: _Found, words: tuple[str, ...], dialect: str) -> None:
    trees = _trees(words, dialect)
    if trees is None:
        _unparsed(found)
        return
    for tree in trees:
        _look_through(found, tree)


def _unparsed(found: _Found) -> None:
    found.classes.add(Class.UNKNOWN)
    found.is_parsed = False


def _trees(words: tuple[str, ...], dialect: str) -> list[exp.Expr] | None:
    """The statement as a tree; None where the parser does not understand it."""
    sql = " ".join(words)
    if len(sql) > LONGEST_PARSED:
        return None
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
    except (SqlglotError, RecursionError, ValueError):
        return None
    if not trees or any(isinstance(tree, exp.Command) for tree in trees):
        return None
    return trees


_CHANGES = (exp.Insert, exp.Update, exp.Delete, exp.Merge)


def _look_through(found: _Found, tree: exp.Expr, *, is_definition: bool = False) -> None:
    """What reads, changes, is called and is named anywhere in the tree."""
    if not is_definition:
        found.classes.add(Class.READ if isinstance(tree, (exp.Query, exp.Values, exp.Table)) else Class.WRITE)
    names_of_ctes = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    for node in tree.walk():
        if isinstance(node, _CHANGES):
            found.classes.add(Class.WRITE)
            # What MERGE changes, its ON has chosen.
            chosen = isinstance(node.parent, exp.When)
            if isinstance(node, (exp.Update, exp.Delete)) and not chosen and not _has_condition(node):
                found.changes_every_row = True
        elif isinstance(node, exp.Into):
            found.classes.add(Class.DDL)
        elif isinstance(node, exp.Lock):
            found.classes.add(Class.WRITE)
        elif isinstance(node, exp.Table):
            found.tables |= set(_table(node, names_of_ctes))


def _has_condition(node: exp.Expr) -> bool:
    """Whether its WHERE names a column outside a subquery, or a cursor; `WHERE true` and `WHERE 0 = 0` do not count."""
    where = node.args.get("where")
    if where is None:
        return False
    return where.find(exp.Column, exp.CurrentTimestamp) is not None or "current of" in where.sql().lower()


def _table(node: exp.Table, ctes: set[str]) -> Iterator[str]:
    if isinstance(node.this, exp.Func):
        return
    name = node.name if isinstance(node.this, exp.Identifier) and node.this.quoted else node.name.lower()
    if not name or (not node.db and name.lower() in ctes):
        return
    yield f"{node.db.lower()}.{name}" if node.db else name


def _functions(words: tuple[str, ...]) -> Iterator[str]:
    """Whatever stands before a parenthesis and is no word of SQL: every function that is called, and a few names besides."""
    for word, following in pairwise(words):
        if following == "(" and word not in _BEFORE_PARENTHESIS and _NAME.fullmatch(word):
            yield word.strip('"').lower()


def _add(found: _Found, inner: _Found) -> None:
    found.classes |= inner.classes
    found.tables |= inner.tables
    found.functions |= inner.functions
    found.settings |= inner.settings
    found.changes_every_row |= inner.changes_every_row
    found.asks_to_write |= inner.asks_to_write
    found.is_parsed &= inner.is_parsed


def _has(words: tuple[str, ...], *sought: str) -> bool:
    size = len(sought)
    return any(words[at : at + size] == sought for at in range(len(words) - size + 1))


def _closing(words: tuple[str, ...], opening: int) -> int:
    depth = 0
    for at in range(opening, len(words)):
        depth += {"(": 1, ")": -1}.get(words[at], 0)
        if depth == 0:
            return at
    return len(words)


_NAME = re.compile(r'[^\W\d][\w$]*|"(?:[^"]|"")*"')


def _name(words: tuple[str, ...]) -> str:
    """`("shop", ".", "item", "(", …)` → `shop.item`."""
    taken: list[str] = []
    for word in words:
        if word == "." or (_NAME.fullmatch(word) and (not taken or taken[-1] == ".")):
            taken.append(word.strip('"'))
        else:
            break
    return "".join(taken)


def _names_behind(words: tuple[str, ...], skipped: set[str]) -> Iterator[str]:
    rest = words
    while rest:
        if rest[0] in skipped or rest[0] == ",":
            rest = rest[1:]
            continue
        name = _name(rest)
        if not name:
            return
        yield name
        rest = rest[name.count(".") * 2 + 1 :]
