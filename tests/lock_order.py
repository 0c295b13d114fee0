"""Fails a test in which a transaction of the product takes its locks in another order than all others do.

Two transactions that lock the same rows in different orders wait for each other, once in a while, under load: no test
that runs one thing at a time would see it. So every statement on the console's database is looked at here, whatever the
test is about, and from whichever thread it comes:

* Rows are locked in the order of `_ORDER`: people, requests, grants, and the end of the audit chain last.
* `FOR UPDATE` is not used on rows that others point at: it holds up whoever writes such a row, who may hold the chain.
  `FOR NO KEY UPDATE` does the same work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

_ORDER = ("people_user", "access_accessrequest", "access_grant", "audit_head")
_RANK = {table: rank for rank, table in enumerate(_ORDER)}

_LOCKS = re.compile(r"\bFOR (NO KEY )?UPDATE\b(?: OF ([^;)]*))?")
_CHANGES = re.compile(r'\s*(?:UPDATE|DELETE FROM) "(\w+)"')
_ADDS = re.compile(r'\s*INSERT INTO "(\w+)"')
_READS = re.compile(r'\bFROM "?(\w+)"?')

Execute = Callable[[str, Any, bool, dict[str, Any]], Any]


@dataclass
class _Transaction:
    """What one transaction of the product has locked until now."""

    block: object
    held: set[str] = field(default_factory=set)
    added_to: set[str] = field(default_factory=set)
    """Nobody waits for a row that nobody else can see yet."""


class LockOrder:
    """Looks at the statements of one connection."""

    def __init__(self, violations: list[str]) -> None:
        self._violations = violations
        self._now: _Transaction | None = None

    def __call__(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        transaction = self._transaction(context["connection"])
        if transaction is not None:
            self._look(transaction, str(sql))
        return execute(sql, params, many, context)

    def _transaction(self, connection: BaseDatabaseWrapper) -> _Transaction | None:
        # The block that pytest-django wraps around a test is not the product's.
        blocks = [block for block in connection.atomic_blocks if not block._from_testcase]
        if not blocks:
            self._now = None
        elif self._now is None or self._now.block is not blocks[0]:
            self._now = _Transaction(blocks[0])
        return self._now

    def _look(self, transaction: _Transaction, sql: str) -> None:
        added = _ADDS.match(sql)
        if added and added[1] in _RANK:
            transaction.added_to.add(added[1])
        for table in _locked_by(sql):
            later = [other for other in transaction.held if _RANK[other] > _RANK.get(table, -1)]
            if table in _RANK and later and table not in transaction.held | transaction.added_to:
                self._violations.append(f"{table} after {', '.join(sorted(later))}: {sql[:300]}")
            if table in _RANK:
                transaction.held.add(table)
        match = _LOCKS.search(sql)
        if match and not match[1] and set(_tables_locked(sql, match)) & set(_ORDER):
            self._violations.append(f"FOR UPDATE where FOR NO KEY UPDATE is meant: {sql[:300]}")


def _locked_by(sql: str) -> list[str]:
    change = _CHANGES.match(sql)
    if change:
        return [change[1]]
    match = _LOCKS.search(sql)
    return _tables_locked(sql, match) if match else []


def _tables_locked(sql: str, match: re.Match[str]) -> list[str]:
    if match[2]:
        return re.findall(r"\w+", match[2].replace("SKIP LOCKED", "").replace("NOWAIT", ""))
    read = _READS.search(sql)
    joined = re.findall(r'\bJOIN "(\w+)"', sql)
    return [read[1], *joined] if read else []


@pytest.fixture(scope="session", autouse=True)
def _lock_order() -> Iterator[list[str]]:
    violations: list[str] = []

    def watch(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
        if connection.alias == "default" and not any(isinstance(one, LockOrder) for one in connection.execute_wrappers):
            connection.execute_wrappers.append(LockOrder(violations))

    connection_created.connect(watch, weak=False, dispatch_uid="tests.lock_order")
    yield violations
    connection_created.disconnect(dispatch_uid="tests.lock_order")


@pytest.fixture(autouse=True)
def _locks_in_order(_lock_order: list[str]) -> Iterator[None]:
    _lock_order.clear()
    yield
    assert not _lock_order, "Locks out of order:\n" + "\n".join(_lock_order)
