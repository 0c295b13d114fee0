"""`docker-compose.yml` and `Dockerfile` say nothing that does not exist; and the checks find it when they do."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import compose_file, dockerfile
from tests.deploy.compose_file import Stack

pytestmark = pytest.mark.django_db  # the path of the health check is really asked for

Change = Callable[[Any], object]


def test_the_compose_file_leads_nowhere_that_is_not_there() -> None:
    assert compose_file.problems_of(compose_file.load()) == []


def test_the_dockerfile_leads_nowhere_that_is_not_there() -> None:
    assert dockerfile.problems_of(dockerfile.load()) == []


def with_command(service: str, old: str, new: str) -> Change:
    def change(services: Any) -> None:
        command = services[service]["command"]
        assert any(old in word for word in command)
        services[service]["command"] = [word.replace(old, new) for word in command]

    return change


def with_health(service: str, old: str, new: str) -> Change:
    def change(services: Any) -> None:
        test = services[service]["healthcheck"]["test"]
        assert any(old in word for word in test)
        services[service]["healthcheck"]["test"] = [word.replace(old, new) for word in test]

    return change


def with_variable(service: str, old: str, new: str) -> Change:
    return lambda services: services[service]["environment"].update({new: services[service]["environment"].pop(old)})


def with_value(service: str, name: str, value: str) -> Change:
    return lambda services: services[service]["environment"].update({name: value})


def without(service: str, *path: str) -> Change:
    def change(services: Any) -> None:
        *way, last = [service, *path]
        for key in way:
            services = services[key]
        services.pop(last) if isinstance(services, dict) else services.remove(last)

    return change


BREAKS: list[tuple[str, Change, str]] = [
    ("a wrong module", with_command("web", "console.wsgi", "console.wsgy"), "web: no module 'console.wsgy'"),
    ("a wrong attribute", with_command("web", ":application", ":app"), "web: console.wsgi has no 'app'"),
    ("a program of nobody", with_command("web", "gunicorn", "gunicron"), "web: no program 'gunicron'"),
    ("a wrong option", with_command("web", "--threads", "--treads"), "web: gunicorn: .*--treads"),
    ("a port nobody is bound to", with_command("web", ":8000", ":8080"), "web: publishes port 8000.*bound to 8080"),
    ("a Celery app of nobody", with_command("worker", "=console", "=lockgate"), "worker: celery: no application"),
    ("a wrong option of Celery", with_command("beat", "--pidfile", "--pid-file"), "beat: celery beat: No such option"),
    ("a wrong level", with_command("worker", "=INFO", "=LOUD"), "worker: celery worker: .*LOUD"),
    (
        "a queue of nobody",
        with_command("worker", "clock,", "clocks,"),
        "worker: celery worker: nothing is sent .*'clocks'",
    ),
    ("a queue that waits for ever", with_command("worker", ",grants", ""), "services: no worker takes .*'grants'"),
    ("a wrong command", with_command("migrate", "migrate", "migrations"), "migrate: no command manage.py migrations"),
    ("a wrong argument", with_command("migrate", "--no-input", "--quietly"), "migrate: manage.py migrate: .*--quietly"),
    ("no command", without("beat", "command"), "beat: has no command"),
    ("a program the image lacks", with_command("redis", "redis-server", "valkey"), "redis: the image has no program"),
    ("a misspelt variable", with_variable("web", "LOCKGATE_BASE_URL", "LOCKGATE_BASEURL"), "nothing reads .*_BASEURL"),
    (
        "the same",
        with_variable("web", "LOCKGATE_BASE_URL", "LOCKGATE_BASEURL"),
        "do not start: .*LOCKGATE_BASE_URL is mis",
    ),
    ("a misspelt file", with_variable("web", "DATABASE_URL_FILE", "DATABASE_FILE"), "nothing reads .*DATABASE_FILE"),
    (
        "a variable too few",
        without("web", "environment", "LOCKGATE_SECRET_KEY_FILE"),
        "do not start: .*LOCKGATE_SECRET_KEY",
    ),
    ("an address without TLS", with_value("web", "LOCKGATE_BASE_URL", "http://a.example"), "do not start: .*https"),
    ("a variable of no image", with_variable("postgres", "POSTGRES_USER", "PGUSER"), "postgres: .* no variable PGUSER"),
    (
        "a host of nobody",
        with_value("worker", "REDIS_URL", "redis://queue:6379/0"),
        "worker: REDIS_URL names .*'queue'",
    ),
    ("a question without a default", with_value("web", "REDIS_URL", "${REDIS_URL}"), "web: REDIS_URL: .* no default"),
    (
        "the answer to another",
        with_value("web", "EMAIL_URL", "${MAIL_URL:-x}"),
        "web: EMAIL_URL is taken from MAIL_URL",
    ),
    (
        "a secret not given",
        without("web", "secrets", "secret_key"),
        "web: LOCKGATE_SECRET_KEY_FILE: .* not get the secret",
    ),
    ("no such probe", with_health("web", "/readyz", "/ready"), "web: health check: /ready answers 404"),
    ("a probe of another port", with_health("web", ":8000", ":80"), "web: health check: asks port 80,"),
    ("a probe that is no Python", with_health("web", "import ", "imprt "), "web: health check: .* is no Python"),
    (
        "a probe of no program",
        with_health("postgres", "pg_isready", "pg_ready"),
        "postgres: health check: .*'pg_ready'",
    ),
    ("a probe Celery lacks", with_health("worker", "inspect", "inspekt"), "worker: health check: celery: no command"),
    ("a probe in no language", with_health("redis", "CMD", "EXEC"), "redis: health check: begins with 'EXEC'"),
    (
        "no time",
        lambda s: s["web"]["healthcheck"].update(interval="often"),
        "web: health check: interval is no duration",
    ),
    ("an unknown key", lambda s: s["web"].update(healthchek={}), "web: no key 'healthchek'"),
    ("health nobody looks at", without("redis", "healthcheck"), "web: waits for redis to be healthy"),
    ("a dependency on nobody", without("redis"), "worker: depends on 'redis'"),
    ("a migration for ever", lambda s: s["migrate"].update(restart="always"), "web: waits for migrate to end"),
    (
        "a condition of no kind",
        lambda s: s["web"]["depends_on"]["redis"].update(condition="ready"),
        "no condition 'ready'",
    ),
    ("a profile in between", lambda s: s["redis"].update(profiles=["queue"]), "web: depends on redis, which a profile"),
    (
        "a volume of nobody",
        lambda s: s["postgres"].update(volumes=["data:/data"]),
        "postgres: there is no volume 'data'",
    ),
    ("a folder of nobody", lambda s: s["web"].update(volumes=["./mnt:/mnt"]), r"web: there is no './mnt'"),
    ("a secret of nobody", lambda s: s["web"].update(secrets=["key"]), "web: there is no secret 'key'"),
    (
        "variables from nowhere",
        lambda s: s["web"].update(env_file=[{"path": ".env"}]),
        "web: the file of variables '.env'",
    ),
    ("an unknown image", lambda s: s["redis"].update(image="redis"), "redis: the image 'redis' is not known"),
    (
        "a secret read by others",
        with_health("target-sqlserver", "target_password", "password"),
        "the secret 'password'",
    ),
    ("a secret in the open", lambda s: s["target-sqlserver"].pop("secrets"), "target-sqlserver: reads the secret"),
    ("capabilities kept", without("web", "cap_drop"), "web: keeps capabilities"),
    (
        "rights to be gained",
        without("redis", "security_opt"),
        "redis: keeps capabilities of the kernel, or may gain more",
    ),
    ("a disk to write to", without("worker", "read_only"), "worker: may write to its own disk"),
    (
        "secrets for beat",
        lambda s: s["beat"].update(secrets=["database_url"]),
        "beat: sends names of tasks, and is given",
    ),
    ("no worker", without("worker"), "services: there is no worker"),
    ("no beat", without("beat"), "services: there is no beat"),
    ("no SQL Server", without("target-sqlserver"), "services: there is no target SQL Server 2022 under the profile"),
    ("a target for everybody", without("target-mariadb", "profiles"), "services: there is no target MariaDB under"),
    (
        "an old SQL Server",
        lambda s: s["target-sqlserver"].update(image="mcr.microsoft.com/mssql/server:2019-x"),
        "Server 2022",
    ),
]


@pytest.mark.parametrize(("change", "problem"), [pytest.param(*rest, id=name) for name, *rest in BREAKS])
def test_what_is_wrong_in_the_compose_file_is_found(change: Change, problem: str) -> None:
    stack: Stack = copy.deepcopy(compose_file.load())
    change(stack["services"])
    assert any(re.search(problem, found) for found in compose_file.problems_of(stack)), compose_file.problems_of(stack)


def test_anchors_are_resolved_and_can_be_overridden() -> None:
    services = compose_file.load()["services"]
    assert services["worker"]["environment"]["REDIS_URL"] == services["web"]["environment"]["REDIS_URL"]
    assert set(services["migrate"]["depends_on"]) == {"postgres"}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("COPY people ./people", "COPY persons ./people", "COPY: there is no 'persons'"),
        ("COPY people ./people", "", "the package people is not copied"),
        ("COPY people ./people", "COPY people ./people\nCOPY docs ./docs", "COPY: .dockerignore keeps 'docs' out"),
        ("COPY people ./people", "COPY people ./people\nCOPY secrets/key ./", "COPY: there is no 'secrets/key'"),
        ("--from=packages", "--from=package", "COPY takes from the stage 'package'"),
        ("deploy.front_end", "deploy.frontend", "no module 'deploy.frontend'"),
        ("collectstatic", "collect_static", "no command manage.py collect_static"),
        ("LOCKGATE_STATIC_ROOT=", "LOCKGATE_STATICROOT=", "nothing reads the variable LOCKGATE_STATICROOT"),
        ("LOCKGATE_STATIC_HASHED=", "LOCKGATE_HASHED=", "nothing reads the variable LOCKGATE_HASHED"),
        ('"gunicorn", "console.wsgi:', '"gunicorn", "lockgate.wsgi:', "no module 'lockgate.wsgi'"),
        ("USER lockgate", "", "the image runs as root"),
        ("EXPOSE 8000", "EXPOSES 8000", "no instruction 'EXPOSES' is known"),
    ],
)
def test_what_is_wrong_in_the_dockerfile_is_found(tmp_path: Path, old: str, new: str, problem: str) -> None:
    text = (dockerfile.ROOT / "Dockerfile").read_text()
    assert old in text
    changed = tmp_path / "Dockerfile"
    changed.write_text(text.replace(old, new))
    found = dockerfile.problems_of(dockerfile.load(changed))
    assert any(problem in sentence for sentence in found), found
