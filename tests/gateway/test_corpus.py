"""Three thousand statements: every one is understood, none is of another class than it is, and a server takes each."""

from __future__ import annotations

import os
from types import SimpleNamespace

import psycopg
import pytest

from access.gateway_rules import Unparsed, rules_for
from connectors.base import Level
from gateway.examining import Examiner
from gateway.statements import understand
from gateway.statements.postgresql import grammar
from tests.gateway.corpus import corpus

#: More than anybody would look through.
LEAST = 3_000


def test_every_statement_is_of_the_class_that_it_is() -> None:
    wrong, seen = {}, set()
    for text, classes in corpus():
        seen.add(text)
        understood = understand(text, "postgres")
        if understood.statement.classes != classes or not understood.shape:
            wrong[text] = (sorted(understood.statement.classes), sorted(classes), understood.statement.fault)
    assert wrong == {}
    assert len(seen) >= LEAST


def test_what_is_known_of_a_text_is_what_is_known_of_one_with_other_literals() -> None:
    """Through everything that is remembered, in one examiner."""
    examine = Examiner(rules_for(Level.DDL), "postgres")
    for _ in range(2):
        for text, classes in corpus():
            assert set(examine(text).classes) == set(classes), text


def test_a_server_takes_each_of_them() -> None:
    """Its own parser says so: whatever else it says of a statement, none is a syntax error."""
    refused = []
    with psycopg.connect(os.environ["LOCKGATE_TEST_POSTGRESQL_URL"], autocommit=True) as connection:
        if connection.info.server_version < 150000:
            pytest.skip("could not be shown on this server: the corpus has what version 15 brought")
        for text, _ in corpus():
            if ";" not in text:
                result = connection.pgconn.prepare(b"", text.encode())
                if result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"42601":
                    refused.append((text, result.error_message))
    assert refused == []


def test_no_rule_refuses_one_because_it_is_not_understood() -> None:
    examine = Examiner(rules_for(Level.READ), "postgres")
    assert examine._rules.unparsed is Unparsed.REFUSE
    assert [text for text, _ in corpus() if examine(text).rule in ("syntax", "unparsed")] == []


def test_a_mistake_of_ours_costs_a_statement_and_not_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(tree: object) -> None:
        raise KeyError("relname")

    monkeypatch.setattr(grammar, "Reader", lambda: SimpleNamespace(read=mistaken, hangs_on_literals=False))
    examined = Examiner(rules_for(Level.READ), "postgres")("SELECT 1")
    assert (examined.rule, examined.classes, examined.shape) == ("unparsed", ("unknown",), "")
