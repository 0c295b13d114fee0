"""The settings, started for real in a process of their own: what they refuse, and what they are in production."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from console.environment import DEVELOPMENT_ENCRYPTION_KEY, DEVELOPMENT_SECRET_KEY

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET_KEY = "3NqD8vXo0cJ5rL1tYw7aKz9bUe2mHf4gPi6sQxRy-TnVuBdEjGkMlOpCh"
PRODUCTION = {
    "LOCKGATE_ENV": "production",
    "LOCKGATE_SECRET_KEY": SECRET_KEY,
    # Fixed, since it is part of the names of tests, which have to be the same in every process.
    "LOCKGATE_ENCRYPTION_KEYS": base64.urlsafe_b64encode(hashlib.sha256(b"a key for tests").digest()).decode(),
    "LOCKGATE_BASE_URL": "https://lockgate.example.com",
    "LOCKGATE_ALLOWED_HOSTS": "lockgate.example.com",
    "DATABASE_URL": "postgresql://lockgate:pw@db:5432/lockgate",
    "REDIS_URL": "redis://queue:6379/0",
}


#: Reads the settings, and prints those asked for. What is made of them comes after that, and takes three times as long.
READ = """
import json, sys
from django.conf import settings
print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]} if settings.DATABASES else {}, default=str))
"""


def start(environment: dict[str, str], *names: str, code: str = READ) -> subprocess.CompletedProcess[str]:
    """A new process with nothing else in its environment."""
    return subprocess.run(
        [sys.executable, "-c", code, *names],
        env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "console.settings", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def values(environment: dict[str, str], *names: str) -> dict[str, Any]:
    done = start(environment, *names)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refusal(environment: dict[str, str]) -> str:
    """The sentence with which the start is refused."""
    done = start(environment)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("django.core.exceptions.ImproperlyConfigured: ")
    return last.partition(": ")[2]


def test_with_everything_set_production_starts() -> None:
    started = start(PRODUCTION, code="import django; django.setup()")
    assert (started.returncode, started.stderr) == (0, "")
    assert values(PRODUCTION, "DEBUG", "ALLOWED_HOSTS") == {"DEBUG": False, "ALLOWED_HOSTS": ["lockgate.example.com"]}


def test_what_is_not_said_is_production() -> None:
    assert "LOCKGATE_ENCRYPTION_KEYS" in refusal({})


@pytest.mark.parametrize("name", sorted(set(PRODUCTION) - {"LOCKGATE_ENV"}))
def test_production_does_not_start_without(name: str) -> None:
    sentence = refusal({key: value for key, value in PRODUCTION.items() if key != name})
    assert sentence.startswith(f"{name} is missing")
    assert f"{name}_FILE" in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOCKGATE_SECRET_KEY", "short"),
        ("LOCKGATE_SECRET_KEY", "a" * 64),
        ("LOCKGATE_SECRET_KEY", DEVELOPMENT_SECRET_KEY),
        ("LOCKGATE_ENCRYPTION_KEYS", "not-a-key"),
        ("LOCKGATE_ENCRYPTION_KEYS", DEVELOPMENT_ENCRYPTION_KEY),
        ("LOCKGATE_ENCRYPTION_KEYS", "A" * 43 + "="),
        ("LOCKGATE_ENCRYPTION_KEYS", f"{PRODUCTION['LOCKGATE_ENCRYPTION_KEYS']},{DEVELOPMENT_ENCRYPTION_KEY}"),
        ("LOCKGATE_BASE_URL", "http://lockgate.example.com"),
        ("LOCKGATE_ENV", "staging"),
        ("LOCKGATE_TICKET_URL", "http://tracker.example.com/{ticket}"),
        ("LOCKGATE_TICKET_URL", "https://tracker.example.com/browse"),
        ("LOCKGATE_TICKET_URL", "https://{ticket}.example.com/"),
        ("LOCKGATE_TICKET_URL", "https://{ticket}"),
        ("LOCKGATE_TICKET_URL", "javascript:alert(1)//{ticket}"),
        ("LOCKGATE_TRUSTED_PROXIES", "one"),
        ("LOCKGATE_TRUSTED_PROXIES", "-1"),
        ("DATABASE_URL", "mysql://lockgate:hidden-password@db/lockgate"),
    ],
)
def test_production_does_not_start_with_what_is_weak_or_wrong(name: str, value: str) -> None:
    sentence = refusal({**PRODUCTION, name: value})
    assert sentence.startswith(name)
    assert "hidden-password" not in sentence


@pytest.mark.parametrize("name", sorted(set(PRODUCTION) - {"LOCKGATE_ENV"}))
def test_every_value_can_come_from_a_file(name: str, tmp_path: Path) -> None:
    """A file that ends with a line break, as most files do."""
    path = tmp_path / "value"
    path.write_text(f"{PRODUCTION[name]}\n")
    rest = {key: value for key, value in PRODUCTION.items() if key != name}
    names = ("SECRET_KEY", "LOCKGATE_ENCRYPTION_KEYS", "LOCKGATE_BASE_URL", "ALLOWED_HOSTS", "DATABASES", "REDIS_URL")
    assert values({**rest, f"{name}_FILE": str(path)}, *names) == values(PRODUCTION, *names)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    rest = {key: value for key, value in PRODUCTION.items() if key != "LOCKGATE_SECRET_KEY"}
    sentence = refusal({**rest, "LOCKGATE_SECRET_KEY_FILE": str(tmp_path / "absent")})
    assert sentence.startswith("LOCKGATE_SECRET_KEY_FILE cannot be read")


def test_a_value_and_a_file_for_it_contradict_each_other(tmp_path: Path) -> None:
    sentence = refusal({**PRODUCTION, "LOCKGATE_SECRET_KEY_FILE": str(tmp_path / "key")})
    assert "both set" in sentence


def test_a_secret_may_begin_with_a_dollar_sign() -> None:
    """Which some readers of the environment take for the name of another variable."""
    key = f"${SECRET_KEY}"
    assert values({**PRODUCTION, "LOCKGATE_SECRET_KEY": key}, "SECRET_KEY") == {"SECRET_KEY": key}


def test_development_needs_nothing() -> None:
    assert values({"LOCKGATE_ENV": "development"}, "DEBUG") == {"DEBUG": False}


def test_debug_pages_are_for_development_only() -> None:
    assert values({**PRODUCTION, "LOCKGATE_DEBUG": "1"}, "DEBUG") == {"DEBUG": False}
    assert values({"LOCKGATE_ENV": "development", "LOCKGATE_DEBUG": "1"}, "DEBUG") == {"DEBUG": True}


def test_cookies_and_connections_are_for_https_only_in_production() -> None:
    found = values(
        PRODUCTION,
        *("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SECURE_SSL_REDIRECT"),
        *("SESSION_COOKIE_NAME", "SECURE_HSTS_SECONDS"),
    )
    assert found.pop("SESSION_COOKIE_NAME") == "__Host-lockgate"
    assert found.pop("SECURE_HSTS_SECONDS") >= 365 * 24 * 3600
    assert set(found.values()) == {True}


def test_the_header_that_says_https_is_believed_from_a_proxy_only() -> None:
    assert "AttributeError" in start(PRODUCTION, "SECURE_PROXY_SSL_HEADER").stderr or values(
        PRODUCTION, "SECURE_PROXY_SSL_HEADER"
    ) == {"SECURE_PROXY_SSL_HEADER": None}
    behind = values({**PRODUCTION, "LOCKGATE_TRUSTED_PROXIES": "1"}, "SECURE_PROXY_SSL_HEADER")
    assert behind == {"SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"]}


def test_behind_nobody_and_with_no_tracker_unless_somebody_says_so() -> None:
    names = ("LOCKGATE_TRUSTED_PROXIES", "LOCKGATE_TICKET_URL")
    nothing = {"LOCKGATE_TRUSTED_PROXIES": 0, "LOCKGATE_TICKET_URL": ""}
    assert values(PRODUCTION, *names) == nothing
    assert values({**PRODUCTION, "LOCKGATE_TRUSTED_PROXIES": "", "LOCKGATE_TICKET_URL": ""}, *names) == nothing


def test_a_tracker_is_an_address_with_a_place_for_the_number() -> None:
    url = "https://tracker.example.com/browse?id={ticket}"
    assert values({**PRODUCTION, "LOCKGATE_TICKET_URL": url}, "LOCKGATE_TICKET_URL") == {"LOCKGATE_TICKET_URL": url}


def test_two_consoles_on_one_machine_do_not_share_a_cookie() -> None:
    names = {
        values({"LOCKGATE_ENV": "development", "LOCKGATE_BASE_URL": url}, "SESSION_COOKIE_NAME")["SESSION_COOKIE_NAME"]
        for url in ("http://127.0.0.1:8000", "http://127.0.0.1:8001")
    }
    assert len(names) == 2


def test_a_task_is_never_delivered_again_while_it_may_still_run() -> None:
    found = values(
        PRODUCTION, "CELERY_TASK_TIME_LIMIT", "CELERY_BROKER_TRANSPORT_OPTIONS", "CELERY_TASK_SOFT_TIME_LIMIT"
    )
    assert found["CELERY_TASK_SOFT_TIME_LIMIT"] < found["CELERY_TASK_TIME_LIMIT"]
    assert found["CELERY_TASK_TIME_LIMIT"] < found["CELERY_BROKER_TRANSPORT_OPTIONS"]["visibility_timeout"]


def test_the_policy_for_browsers_allows_nothing_inline() -> None:
    directives = values(PRODUCTION, "CONTENT_SECURITY_POLICY")["CONTENT_SECURITY_POLICY"]["DIRECTIVES"]
    assert directives["default-src"] == ["'none'"]
    assert directives["script-src"] == directives["style-src"] == directives["connect-src"] == ["'self'"]
    assert "unsafe" not in json.dumps(directives)


def test_the_documentation_lists_exactly_the_variables_that_are_read() -> None:
    source = (ROOT / "console" / "settings.py").read_text() + (ROOT / "console" / "environment.py").read_text()
    read = set(re.findall(r"\.(?:text|required|bool|int|count|listen|networks|email_url)\(\s*\"([A-Z_]+)\"", source))
    assert len(read) > 8
    for_make = {"LOCKGATE_PORT", "LOCKGATE_DATA"}
    table = re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE)
    assert sorted(table) == sorted(read | for_make)
