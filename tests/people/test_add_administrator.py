"""`manage.py add_administrator`: the first person of a new installation."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import global_settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from audit.models import Entry
from deploy.local.installed import ROOT
from people.models import Capability, Team, User

pytestmark = pytest.mark.django_db

PASSWORD = "correct-horse-battery"


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    return str(path)


def add(password_file: str, email: str = "erin@example.com", name: str = "Erin Example") -> str:
    out = io.StringIO()
    call_command("add_administrator", email, name, password_file=password_file, stdout=out)
    return out.getvalue()


def test_the_first_administrator_can_sign_in_and_reaches_the_pages_of_administrators(
    password_file: str, client: Client
) -> None:
    assert add(password_file) == "erin@example.com can sign in, and is an administrator.\n"
    assert User.objects.get().is_administrator
    client.post("/accounts/login/", {"login": "erin@example.com", "password": PASSWORD})
    assert client.get("/servers/").status_code == 200


def test_everything_is_in_the_trail_and_the_password_is_not(password_file: str) -> None:
    add(password_file)
    entries = Entry.objects.order_by("seq")
    assert [entry.event for entry in entries] == ["team.added", "person.added", "person.joined"]
    assert {(entry.actor_kind, entry.actor_id) for entry in entries} == {("command", "add_administrator")}
    assert PASSWORD not in str(list(Entry.objects.values()))


def test_a_second_one_joins_the_same_team(password_file: str) -> None:
    add(password_file)
    add(password_file, "olga@example.com", "Olga")
    assert Team.objects.get().people.count() == 2


def test_an_address_that_is_here_is_refused_whatever_its_case(password_file: str) -> None:
    add(password_file)
    with pytest.raises(CommandError, match=r"Somebody with this e-mail address is here already\. It is ERIN@example"):
        add(password_file, "ERIN@example.com")
    assert User.objects.count() == 1


def test_a_team_of_that_name_without_the_rights_is_refused_and_nobody_is_added(password_file: str) -> None:
    Team.objects.create(slug="administrators", name="Administrators", capability=Capability.NONE)
    with pytest.raises(CommandError, match="being in it makes nobody an administrator"):
        add(password_file)
    assert not User.objects.exists()
    assert not Entry.objects.exists()


@pytest.mark.parametrize(
    ("email", "name", "sentence"),
    [
        ("erin", "Erin", "Enter a valid email address"),
        ("erin@example.com", " ", "Say what the person is called"),
        ("erin@example.com", "E" * 101, "at most 100 characters"),
    ],
)
def test_what_cannot_be_is_refused_in_words(password_file: str, email: str, name: str, sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        add(password_file, email, name)
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("password", "sentence"), [("short", "too short"), ("qwertyqwerty", "too common"), ("", "too short")]
)
def test_a_weak_password_is_refused(tmp_path: Path, password: str, sentence: str) -> None:
    path = tmp_path / "password"
    path.write_text(password)
    with pytest.raises(CommandError, match=sentence):
        add(str(path))
    assert not User.objects.exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=f"cannot be read: No such file or directory: {tmp_path}/absent"):
        add(str(tmp_path / "absent"))


# -- As a process of its own: the terminal and standard input ------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", "add_administrator", "erin@example.com", "Erin Example", *arguments]


def environment() -> dict[str, str]:
    """With the test's own database, which is not the one that the settings name."""
    url = re.sub(r"/[^/]+$", f"/{connection.settings_dict['NAME']}", os.environ["DATABASE_URL"])
    return {**os.environ, "DATABASE_URL": url}


@pytest.fixture
def production_hashes(settings: Settings) -> None:
    """Another process hashes as production does, and this one has to understand it."""
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS


def typed(*lines: str) -> tuple[int, str]:
    """Run at a terminal, type a line at each question; the exit status and all that the terminal showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, command(), environment())
    shown, answers = "", list(lines)
    while True:
        try:
            shown += os.read(terminal, 1024).decode()
        except OSError:  # what reading from a terminal gives when its program has ended
            break
        if answers and shown.endswith(": "):
            os.write(terminal, f"{answers.pop(0)}\n".encode())
            shown += "\n"
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown


@pytest.mark.django_db(transaction=True)
def test_at_a_terminal_the_password_is_asked_twice_and_not_shown(production_hashes: None) -> None:
    status, shown = typed(PASSWORD, PASSWORD)
    assert (status, "is an administrator" in shown, PASSWORD in shown) == (0, True, False), shown
    assert User.objects.get().check_password(PASSWORD)
    assert set(Entry.objects.values_list("channel", flat=True)) == {"command"}


@pytest.mark.django_db(transaction=True)
def test_two_different_passwords_add_nobody() -> None:
    status, shown = typed(PASSWORD, "something else")
    assert (status, "The two passwords differ" in shown) == (1, True), shown
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_from_standard_input_where_there_is_no_terminal(production_hashes: None) -> None:
    run = {"cwd": ROOT, "env": environment(), "capture_output": True, "text": True}
    refused = subprocess.run(command(), input="", check=False, **run)  # type: ignore[call-overload]
    assert (refused.returncode, "give --password-file" in refused.stderr) == (1, True)
    subprocess.run(command("--password-file=-"), input=f"{PASSWORD}\n", check=True, **run)  # type: ignore[call-overload]
    assert User.objects.get().check_password(PASSWORD)
