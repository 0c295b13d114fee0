"""A modest part of a big company: plans use the indexes that were made for them, pages stay small, and the benchmark forgets
no page.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from access import clock
from access.models import AccessRequest, Grant
from access.queries.counting import count_of
from access.queries.grants import living_grants_of, living_grants_of_others, questioned_grants_for
from access.queries.requests import pending_of, waiting_for
from access.queries.status import status_for
from people.models import User
from tests.bench.console_pages import CHANGES, FILES, NOBODY, PAGES, SIGNING_IN, address_of, words_of
from tests.bench.console_world import MODEST, load
from tests.console.people_and_pages import signed_in

#: More than this and a page is slow on a telephone.
MOST_BYTES = 300_000


@pytest.fixture
def company(db: None) -> None:
    """Three hundred people, seven thousand requests, six hundred of them living and three hundred waiting."""
    earlier = importlib.import_module("access.migrations.0009_whom_a_request_waits_for")
    connection.ensure_connection()
    load(connection.connection, MODEST, now=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(earlier.TEAMS_OF_GRANTS)
        cursor.execute("UPDATE access_accessrequest SET waits_for = terms #>> '{steps,0,0}' WHERE state = 'pending'")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("access_grant", "access_accessrequest", "access_vote", "people_user", "people_membership"):
            cursor.execute(f"ANALYZE {table}")


def _plan(rows: QuerySet[Any, Any]) -> list[dict[str, Any]]:
    """Every node of the plan."""
    found: list[dict[str, Any]] = []

    def walk(node: dict[str, Any]) -> None:
        found.append(node)
        for below in node.get("Plans", ()):
            walk(below)

    walk(json.loads(rows.explain(format="json"))[0]["Plan"])
    return found


def _indexes(rows: QuerySet[Any, Any]) -> set[str]:
    return {node["Index Name"] for node in _plan(rows) if "Index Name" in node}


def _read_whole(rows: QuerySet[Any, Any]) -> set[str]:
    return {node["Relation Name"] for node in _plan(rows) if node["Node Type"] == "Seq Scan"}


def test_questions_of_state_never_read_a_whole_table(company: None) -> None:
    now, large = timezone.now(), {"access_grant", "access_accessrequest", "access_vote"}
    for name in ("asker", "approver", "administrator"):
        person = User.objects.get(email=f"{name}@example.com")
        for rows in (
            waiting_for(person, now=now)[:21],
            pending_of(person)[:21],
            living_grants_of(person)[:31],
            living_grants_of_others(person)[:31],
            questioned_grants_for(person)[:11],
            Grant.objects.filter(state="revoking", ending_since__lte=now).order_by()[:100],
            Grant.objects.filter(state="active", ends_at__lte=now).order_by()[:100],
        ):
            assert not _read_whole(rows) & large, rows.query


def test_each_question_has_an_index_of_its_own(company: None) -> None:
    now = timezone.now()
    approver = User.objects.get(email="approver@example.com")
    for name in ("asker", "approver", "auditor", "administrator"):
        person = User.objects.get(email=f"{name}@example.com")
        # Not the one of what lapses, in which everything that waits for anybody is still to come.
        assert _indexes(waiting_for(person, now=now).order_by().values("pk")[:100]) & {"access_request_waiting"}
    assert "access_grant_ending" in _indexes(Grant.objects.filter(state="revoking", ending_since__lte=now).order_by())
    late = Grant.objects.filter(state="active", ends_at__lte=now - timedelta(days=1)).order_by()
    assert "access_grant_living" in _indexes(late)
    assert "access_grant_questioned" in _indexes(questioned_grants_for(approver)[:11])
    assert _indexes(living_grants_of(approver)) & {"access_grant_mine_living", "access_grant_mine"}


def test_the_status_of_a_company_is_one_query(company: None, django_assert_num_queries: Any) -> None:
    approver = User.objects.get(email="approver@example.com")
    assert approver.team_slugs
    with django_assert_num_queries(1):
        status = status_for(approver, now=timezone.now())
    assert status.waiting_in_words == "99+"
    assert count_of(waiting_for(approver, now=timezone.now()).order_by()) == 100


def test_the_badge_counts_what_the_lists_show(company: None) -> None:
    now, gone = timezone.now(), User.objects.get(email="person20@example.com")
    gone.is_active = False
    alone = User(pk=0, email="nobody@example.com")
    asked = AccessRequest.objects.filter(state="pending").exclude(waits_for__in=["", "platform"]).earliest("id")
    others = User.objects.filter(teams__slug=asked.waits_for).exclude(teams__slug="platform")
    member, administrator = (
        others.exclude(pk=asked.requester_id)[0],
        User.objects.get(email="administrator@example.com"),
    )
    for person in (member, administrator, gone, alone):
        questioned = len(questioned_grants_for(person))
        shown = count_of(waiting_for(person, now=now)) + questioned
        assert status_for(person, now=now).waiting == shown
        # All has lapsed by then.
        assert status_for(person, now=now + timedelta(days=400)).waiting == questioned
    assert waiting_for(member, now=now).exists()
    assert questioned_grants_for(administrator).exists()


LISTS = [
    ("home", ""),
    ("approvals", ""),
    ("access", ""),
    ("request_new", ""),
    ("servers", "administrator"),
    ("settings", "administrator"),
    ("settings_people", "administrator"),
    ("settings_teams", "administrator"),
    ("settings_policies", "administrator"),
    ("settings_policy_add", "administrator"),
    ("settings_roles", "administrator"),
    ("settings_role_add", "administrator"),
]


@pytest.fixture
def _a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PASSWORD", "never used")


@pytest.mark.wide(one_in=0)
@pytest.mark.usefixtures("company", "_a_password")
def test_no_page_grows_with_the_company() -> None:
    sizes = {}
    for name, only in LISTS:
        for who in [only] if only else ["asker", "approver", "administrator"]:
            answer = signed_in(User.objects.get(email=f"{who}@example.com")).get(reverse(name))
            assert answer.status_code == 200
            sizes[name, who] = len(answer.content)
    assert {page: size for page, size in sizes.items() if size > MOST_BYTES} == {}


#: A page's own questions and those around it; one more is the server's: whether the connection still lives.
MOST_QUERIES = 12


@pytest.mark.usefixtures("company", "_a_password")
def test_no_page_asks_the_database_more_than_twelve_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "GOOD_FOR", timedelta(hours=1))
    words, asked = words_of(MODEST), {}
    for page in PAGES:
        for who in page.people:
            client = Client() if who == NOBODY else signed_in(User.objects.get(email=f"{who}@example.com"))
            path, headers = page.path.format(**words), {"HTTP_HX_REQUEST": "true"} if page.part else {}
            known = client.get(path, **headers).status_code  # type: ignore[arg-type]  # what is read once and kept
            assert known == (404 if page.name == "statement" else 200), page.name
            with CaptureQueriesContext(connection) as captured:
                client.get(path, **headers)  # type: ignore[arg-type]
            asked[page.name, who] = len(captured) + 1
    assert {page: queries for page, queries in asked.items() if queries > MOST_QUERIES} == {}


def _named(patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _named(pattern.url_patterns)
        elif pattern.name:
            yield pattern.name


def test_the_benchmark_forgets_no_page() -> None:
    measured = {address_of(page) for page in PAGES}
    assert set(_named(get_resolver().url_patterns)) == measured | CHANGES | FILES | SIGNING_IN
    assert not measured & CHANGES
    assert not measured & SIGNING_IN
