"""Says what is wrong and what to do: keys, broker, workers, servers, overdue grants, audit chain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import redis
from django.conf import settings
from django.core.mail import get_connection
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from access import clock
from access.errors import SecretUnavailable, UnsealFailed
from access.models import Grant, Server, SweepFinding
from access.queueing import IMPATIENT
from access.sealing import needs_an_older_key
from access.services import servers
from access.services.clocks import living, told, wrong_clocks
from access.ticking import overdue
from audit import checkpoints
from audit.models import Stream
from connectors.errors import ConnectorError
from people.second_factor import sealed_secrets

Finding = tuple[bool, str]


class Command(BaseCommand):
    """`manage.py doctor`."""

    help = "Checks everything that Lockgate needs and prints one line each. Exit status 1 when something is wrong."

    def handle(self, *args: Any, **options: Any) -> None:
        """Look at everything, then fail if anything was wrong."""
        findings = [*_keys(), *_mail(), *_broker(), *_workers(), *_clocks(), *_servers(), *_grants(), *_checkpoints()]
        for ok, line in findings:
            self.stdout.write(f"{'ok  ' if ok else 'BAD '} {line}")
        call_command("verify_audit", "--new", stdout=self.stdout)
        if not all(ok for ok, _ in findings):
            raise CommandError("Something is wrong: see the lines marked BAD.")


def _keys() -> Iterator[Finding]:
    older = lost = 0
    passwords = Grant.objects.exclude(password="").values_list("password", flat=True)
    streams = Stream.objects.exclude(sealed_key="").values_list("sealed_key", flat=True)
    sealed = [*passwords, *streams, *sealed_secrets()]
    for password in sealed:
        try:
            older += needs_an_older_key(password)
        except UnsealFailed:
            lost += 1
    if lost:
        yield False, f"{lost} stored secrets cannot be read. Put their key back into LOCKGATE_ENCRYPTION_KEYS."
    needed = f"{older} of them need an older key, which has to stay" if older else "the newest key reads them all"
    yield True, f"{len(sealed) - lost} stored secrets can be read; {needed}."


def _mail() -> Iterator[Finding]:
    """Goes as far as a mail would before it is said whom it is for."""
    through = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    if settings.EMAIL_BACKEND.endswith((".console.EmailBackend", ".dummy.EmailBackend")):
        yield (
            settings.DEVELOPMENT,
            "Mails are printed to the log and reach nobody, alarms included. Set EMAIL_URL.",
        )
        return
    try:
        with get_connection():
            yield True, f"Mails leave through {through}."
    except OSError as error:  # what smtplib raises is of this kind, too
        yield False, f"Mails cannot leave through {through}: {error}. Start it, or correct EMAIL_URL."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _checkpoints() -> Iterator[Finding]:
    state = checkpoints.state()
    made = f"The last is {state.last}." if state.last else "None was made yet."
    yield not state.problem, f"Checkpoints of the audit log: {state.problem or 'signed.'} {made}"


def _broker() -> Iterator[Finding]:
    try:
        redis.Redis.from_url(settings.CELERY_BROKER_URL, **IMPATIENT).set("lockgate-asked", "", ex=60)
    except redis.ResponseError as error:
        yield False, f"Redis answers and takes nothing: {error}. Give it memory, or name the one that may be written."
    except redis.RedisError as error:
        yield False, f"Redis does not answer: {error}. Start it, or correct REDIS_URL."
    else:
        yield True, "Redis answers."


def _workers() -> Iterator[Finding]:
    alive = [worker.worker for worker in living(clock.now())]
    if alive:
        yield True, f"Workers alive: {', '.join(alive)}."
    else:
        yield False, "No worker has ticked in the last ten seconds. Start a worker, or run `manage.py tick`."


def _clocks() -> Iterator[Finding]:
    """The machine that this runs on, and each worker's, against the console's database."""
    workers = dict(living(clock.now()).values_list("worker", "skew"))
    wrong = dict(wrong_clocks(workers))
    for name, skew in wrong.items():
        yield False, f"{told(name, skew)} Set it right; access goes by the database's clock."
    if not wrong:
        yield True, f"The clocks of this machine and of {_counted(len(workers), 'worker')} agree with the database's."


def _servers() -> Iterator[Finding]:
    for server in Server.objects.filter(is_enabled=True):
        try:
            report = servers.check(server=server, now=clock.now())
        except (ConnectorError, SecretUnavailable) as error:
            yield False, f"{server.slug}: {error}"
            continue
        yield report.ok, f"{server.slug}: {report.version}"
        for remedy in report.remedies:
            yield not remedy.blocking, f"{server.slug}: {remedy.problem} {remedy.what_to_do}"


def _grants() -> Iterator[Finding]:
    for grant in Grant.objects.filter(overdue(clock.now())):
        yield False, f"{grant.reference} ({grant.principal}) is past its end: {grant.last_error or 'not tried yet'}"
    for finding in SweepFinding.objects.filter(settled_at=None).select_related("server"):
        yield False, f"{finding.server.slug}: {finding.get_kind_display()}: {finding.principal}. {finding.detail}"
