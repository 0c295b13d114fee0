"""What every test needs to know of the audit log. `tests/conftest.py` loads it.

* Tests that commit are cleaned up by `TRUNCATE`, which the log refuses. The fixture here lets the clean-up, and nothing
  else, empty the log: a `TRUNCATE` by a test itself is still refused. It is done as the owner of a database that the
  test run made, so there is nothing in the product that could be switched off.
* A field that reaches the log without a declared redaction fails the test in which it happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from audit import redaction

if TYPE_CHECKING:
    from django.db.backends.postgresql.operations import DatabaseOperations

#: Whatever refuses TRUNCATE, on partitions too, which come and go.
_GUARDS = """
    DO $$
    DECLARE
        guard record;
    BEGIN
        FOR guard IN
            SELECT tgrelid::regclass AS place, tgname AS name FROM pg_trigger
             WHERE NOT tgisinternal AND tgfoid = 'audit_refuse'::regproc
        LOOP
            EXECUTE format('ALTER TABLE %s {} TRIGGER %I', guard.place, guard.name);
        END LOOP;
    END $$
"""

_FRESH_HEAD = "INSERT INTO audit_head (id, seq, hash, at) VALUES (1, 0, repeat('0', 64), 'epoch')"


@pytest.fixture(scope="session", autouse=True)
def _the_clean_up_may_empty_the_log() -> Iterator[None]:
    # Plugins are loaded before Django is set up.
    from django.db.backends.postgresql.operations import DatabaseOperations

    flush = DatabaseOperations.execute_sql_flush

    def execute_sql_flush(operations: DatabaseOperations, sql_list: Iterable[str]) -> Any:
        lift, put_back = _GUARDS.replace("{}", "DISABLE"), _GUARDS.replace("{}", "ENABLE ALWAYS")
        # One transaction: when anything in it fails, the guards were never away.
        return flush(operations, [lift, *sql_list, _FRESH_HEAD, put_back])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", execute_sql_flush)
        yield


@pytest.fixture(autouse=True)
def _undeclared_fields_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise AssertionError(f"Declare the field {name!r} in audit/redaction.py: it reached the audit log.")

    monkeypatch.setattr(redaction, "report_undeclared", fail)
