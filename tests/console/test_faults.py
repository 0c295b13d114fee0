"""What people see when the console's own database is away, or when something unforeseen happens."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.db import close_old_connections, connection
from django.test import Client
from pytest_django import Settings

from console.connections import look_at_the_kept_one
from console.settings import MIDDLEWARE
from tests.access.world import World
from tests.console.people_and_pages import signed_in


@pytest.fixture
def without_a_database(transactional_db: None) -> Iterator[None]:
    """Nobody listens at the address of the console's database; what was connected is gone."""
    port = connection.settings_dict["PORT"]
    connection.close()
    connection.settings_dict["PORT"] = 1
    yield
    connection.close()
    connection.settings_dict["PORT"] = port


@pytest.mark.parametrize("address", ["/", "/approvals/", "/accounts/login/?next=/approvals/"])
def test_a_page_says_that_the_database_is_away_and_comes_again_by_itself(
    transactional_db: None, request: pytest.FixtureRequest, address: str
) -> None:
    client = Client(raise_request_exception=False)
    client.cookies["sessionid"] = "somebody"
    request.getfixturevalue("without_a_database")
    from django.conf import settings

    client.cookies[settings.SESSION_COOKIE_NAME] = "a-session-of-somebody-who-was-signed-in"
    answer = client.get(address)
    assert answer.status_code == 503
    assert "Its own database does not answer" in answer.content.decode()
    assert (answer["Retry-After"], answer["Refresh"]) == ("5", "5")


def test_a_connection_that_the_server_has_ended_is_replaced_and_one_that_lives_is_asked_nothing(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    assert client.get("/accounts/login/").status_code == 200
    connection.ensure_connection()
    kept = connection.connection
    close_old_connections()  # as the first thing at each request; the test's client leaves it out
    look_at_the_kept_one()
    monkeypatch.setattr(connection, "is_usable", lambda: pytest.fail("The server was asked."))
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert connection.connection is kept
    monkeypatch.undo()

    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [kept.info.backend_pid])
    assert client.get("/accounts/login/").status_code == 200
    connection.ensure_connection()
    assert connection.connection is not kept


def test_what_was_sent_is_not_sent_again_by_itself(without_a_database: None) -> None:
    answer = Client(raise_request_exception=False).post("/accounts/login/", {"login": "a@example.com", "password": "x"})
    assert answer.status_code == 503
    assert "Refresh" not in answer.headers


def test_a_mistake_of_ours_is_no_database_that_is_away(db: None, settings: Settings) -> None:
    settings.MIDDLEWARE = [*MIDDLEWARE, "tests.console.test_faults.broken"]
    answer = Client(raise_request_exception=False).get("/")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.content.decode()


def broken(get_response: object) -> object:
    """A middleware with a mistake in it."""

    def middleware(request: object) -> object:
        raise ValueError("a mistake")

    return middleware


def test_pages_tell_browsers_what_they_may_not_use(world: World) -> None:
    policy = signed_in(world.alice).get("/").headers["Permissions-Policy"]
    assert "camera=()" in policy
    assert "publickey-credentials-get=(self)" in policy
    assert Client().get("/accounts/login/").headers["Permissions-Policy"] == policy
