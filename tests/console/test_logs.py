"""Logs are JSON, one object a line, and no secret is in them."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings

from console.logs import MASK, redact_text

SECRET = "correct-horse-battery"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the formatter of the settings makes of everything that is logged meanwhile."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.config.dictConfig({**settings.LOGGING, "root": {"handlers": ["stderr"], "level": "INFO"}})
    handler.setFormatter(logging.getLogger().handlers[0].formatter)
    logger = logging.getLogger("test.logs")
    monkeypatch.setattr(logger, "propagate", False)
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_an_object_with_time_level_and_logger(written: io.StringIO) -> None:
    logging.getLogger("test.logs").warning("the %s is %d", "answer", 42)
    [line] = lines(written)
    assert (line["event"], line["level"], line["logger"]) == ("the answer is 42", "warning", "test.logs")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("piece", ["x", "password", "password ", "secret='", "://a:", "token_", "IDENTIFIED BY "])
def test_a_long_address_does_not_keep_the_log_busy(piece: str) -> None:
    """Whoever is not even signed in may write one: looking through it has to take a time that grows with its length."""
    assert len(redact_text(piece * (300_000 // len(piece)))) > 0


def test_values_named_like_secrets_are_masked_at_any_depth(written: io.StringIO) -> None:
    log = structlog.get_logger("test.logs")
    log.info("made", password=SECRET, server={"admin_secret": SECRET, "tokens": [SECRET]}, path="/servers/")
    [line] = lines(written)
    assert SECRET not in written.getvalue()
    assert line["server"] == {"admin_secret": MASK, "tokens": MASK}
    assert line["path"] == "/servers/"


def test_the_traceback_of_an_exception_shows_no_secret(written: io.StringIO) -> None:
    try:
        raise ValueError(f"cannot connect to postgresql://lockgate:{SECRET}@db/orders with {{'password': '{SECRET}'}}")
    except ValueError:
        logging.getLogger("test.logs").exception("connecting failed")
    [line] = lines(written)
    assert "Traceback" in line["exception"]
    assert "postgresql://lockgate:" in line["exception"]
    assert SECRET not in written.getvalue()


def test_an_object_that_is_no_json_is_written_without_its_secrets(written: io.StringIO) -> None:
    structlog.get_logger("test.logs").info("odd", thing=ValueError(f"redis://:{SECRET}@127.0.0.1"))
    assert len(lines(written)) == 1
    assert SECRET not in written.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        f"mysql://root:{SECRET}@127.0.0.1:3306/",
        f"redis://:{SECRET}@redis/0",
        f"host=db user=lockgate password={SECRET} dbname=x",
        f"CREATE ROLE x PASSWORD '{SECRET}'",
        f"CREATE USER x IDENTIFIED BY '{SECRET}'",
        f"CREATE LOGIN [x] WITH PASSWORD = N'{SECRET}', CHECK_POLICY = OFF",
        f"Server=tcp:db,1433;UID=lockgate;PWD={SECRET};Encrypt=yes",
        f"ALTER USER x IDENTIFIED VIA mysql_native_password USING '{SECRET}'",
        f'{{"client_secret": "{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
    ],
)
def test_secrets_inside_texts_are_masked(text: str) -> None:
    assert SECRET not in redact_text(text)
    assert MASK in redact_text(text)


@pytest.mark.parametrize(
    "verifier",
    [
        "SCRAM-SHA-256$4096:c2FsdHNhbHQ=$c3RvcmVk:c2VydmVy",
        "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19",
        "0x0200" + "5ca1ab1e" + "0f" * 64,
    ],
)
def test_verifiers_are_masked(verifier: str) -> None:
    kept = [f"before {kind}{MASK} after" for kind in ("SCRAM-SHA-256$", "*", "0x0200")]
    assert redact_text(f"before {verifier} after") in kept


@pytest.mark.parametrize(
    "text", ["The password was shown.", "GET /accounts/password/ 200", "4 tokens, 2 secrets", "a*b"]
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert redact_text(text) == text


def test_a_worker_logs_in_the_same_form() -> None:
    """Celery would put handlers of its own in front, which redact nothing."""
    code = (
        "import logging; from console.celery import app; app.log.setup(loglevel='WARNING');"
        f"logging.getLogger('celery.worker').warning('lost redis://:{SECRET}@queue/0');"
        "logging.getLogger('celery.worker').info('not said')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, check=True, timeout=60
    )
    [line] = [json.loads(line) for line in done.stderr.splitlines()]
    assert line["event"] == f"lost redis://:{MASK}@queue/0"
