"""What is wrong with a compose file, without a Docker engine: names that lead nowhere, commands that would not start.

`problems_of(stack)` takes the parsed file, with its anchors resolved, and returns sentences; none means that all is well.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography.fernet import Fernet
from django.test import Client

from deploy.local.installed import ROOT
from tests.deploy.commands import command_problems, known_queues, queues_of, shell_words
from tests.deploy.dockerfile import is_ignored
from tests.deploy.images import IMAGES, Image
from tests.deploy.variables import is_read, settings_variables

Service = dict[str, Any]
Stack = dict[str, Any]

SERVICE_KEYS = frozenset(
    [
        "build",
        "cap_add",
        "cap_drop",
        "command",
        "depends_on",
        "entrypoint",
        "env_file",
        "environment",
        "healthcheck",
        "image",
        "ports",
        "profiles",
        "read_only",
        "restart",
        "secrets",
        "security_opt",
        "stop_grace_period",
        "tmpfs",
        "user",
        "volumes",
    ]
)
HEALTH_KEYS = frozenset({"test", "interval", "timeout", "retries", "start_period"})
CONDITIONS = frozenset({"service_started", "service_healthy", "service_completed_successfully"})
SECRETS_FOLDER = "/run/secrets/"

_DURATION = re.compile(r"(\d+(h|m|s|ms))+")
_SUBSTITUTION = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")
_SECRET_VALUES: dict[str, Callable[[], str]] = {
    "secret_key": lambda: "3NqD8vXo0cJ5rL1tYw7aKz9bUe2mHf4gPi6sQxRy-TnVuBdEjGkMlOpCh",
    "encryption_keys": lambda: Fernet.generate_key().decode(),
    "database_url": lambda: "postgresql://lockgate:password@postgres:5432/lockgate",
    "checkpoint_key": lambda: "Yk3vS0qXr1J8uN5tZbE7pLwG2hDcA9mFxQ4iKoTsVnM=",
}


def load(path: Path = ROOT / "docker-compose.yml") -> Stack:
    """The file with its anchors and merges resolved."""
    stack: Stack = yaml.safe_load(path.read_text())
    return stack


def is_ours(service: Service) -> bool:
    """Whether the service runs Lockgate's own image."""
    return "build" in service


def problems_of(stack: Stack) -> list[str]:
    """Everything that is wrong, each with the name of its service in front."""
    found = [f"{kind}: {problem}" for kind, problem in _problems_of_the_whole(stack)]
    for name, service in stack["services"].items():
        for check in (_keys, _confinement, _image, _dependencies, _storage, _health, _command, _environment, _port):
            found += [f"{name}: {problem}" for problem in check(service, stack)]
    return found


def _problems_of_the_whole(stack: Stack) -> Iterator[tuple[str, str]]:
    services: dict[str, Service] = stack["services"]
    for kind, wanted, under in REQUIRED:
        if not any(wanted(service) and service.get("profiles", []) == under for service in services.values()):
            yield "services", f"there is no {kind}" + (f" under the profile {under[0]}" if under else "")
    served = set().union(*(queues_of(_words(service)) or set() for service in services.values()))
    for queue in sorted(known_queues() - served):
        yield "services", f"no worker takes from the queue {queue!r}"
    for kind in ("secrets", "volumes"):
        used = {_source(entry) for service in services.values() for entry in service.get(kind, [])}
        for name in sorted(set(stack.get(kind, {})) - used):
            yield kind, f"nobody uses {name!r}"
    for name, secret in stack.get("secrets", {}).items():
        if not str(secret.get("file", "")).startswith("./secrets/") or not is_ignored("secrets"):
            yield "secrets", f"{name!r} lies where git or the image would take it along"


def _runs(*words: str) -> Callable[[Service], bool]:
    return lambda service: is_ours(service) and set(words) <= set(_words(service))


def _uses(prefix: str) -> Callable[[Service], bool]:
    return lambda service: str(service.get("image", "")).startswith(prefix)


#: What the stack consists of: what it is called, how it is recognised, the profiles it is under.
REQUIRED: list[tuple[str, Callable[[Service], bool], list[str]]] = [
    ("PostgreSQL for the console", _uses("postgres:"), []),
    ("Redis", _uses("redis:"), []),
    ("step that migrates", _runs("manage.py", "migrate"), []),
    ("web server", _runs("gunicorn", "console.wsgi:application"), []),
    ("worker", _runs("celery", "worker"), []),
    ("beat", _runs("celery", "beat"), []),
    ("gateway", _runs("python", "gateway"), []),
    ("target PostgreSQL", _uses("postgres:"), ["targets"]),
    ("target MariaDB", _uses("mariadb:"), ["targets"]),
    ("target SQL Server 2022", _uses("mcr.microsoft.com/mssql/server:2022-"), ["targets"]),
]


def _keys(service: Service, stack: Stack) -> Iterator[str]:
    for key in sorted(set(service) - SERVICE_KEYS):
        yield f"no key {key!r} is known"


def _confinement(service: Service, stack: Stack) -> Iterator[str]:
    """Least privilege: what a process of ours, or the queue, has no use for."""
    if service.get("profiles"):
        return
    if service.get("cap_drop") != ["ALL"] or service.get("security_opt") != ["no-new-privileges:true"]:
        yield "keeps capabilities of the kernel, or may gain more"
    if is_ours(service) and not (service.get("read_only") is True and service.get("tmpfs") == ["/tmp"]):
        yield "may write to its own disk"
    if service.get("environment", {}).get("LOCKGATE_PROCESS") == "beat" and service.get("secrets"):
        yield "sends names of tasks, and is given secrets"


def _image(service: Service, stack: Stack) -> Iterator[str]:
    if is_ours(service):
        if not (ROOT / service["build"] / "Dockerfile").is_file():
            yield f"there is no Dockerfile in {service['build']!r}"
    elif _known_image(service) is None:
        yield f"the image {service.get('image')!r} is not known: say in tests/deploy/images.py what it has"


def _dependencies(service: Service, stack: Stack) -> Iterator[str]:
    for name, how in service.get("depends_on", {}).items():
        other = stack["services"].get(name)
        if other is None:
            yield f"depends on {name!r}, which is no service"
            continue
        if how["condition"] not in CONDITIONS:
            yield f"no condition {how['condition']!r} is known"
        if how["condition"] == "service_healthy" and "healthcheck" not in other:
            yield f"waits for {name} to be healthy, which has no health check"
        if how["condition"] == "service_completed_successfully" and other.get("restart") != "no":
            yield f"waits for {name} to end, which is started again when it does"
        if set(other.get("profiles", [])) - set(service.get("profiles", [])):
            yield f"depends on {name}, which a profile may leave out"


def _storage(service: Service, stack: Stack) -> Iterator[str]:
    for secret in service.get("secrets", []):
        if secret not in stack.get("secrets", {}):
            yield f"there is no secret {secret!r}"
    for entry in service.get("env_file", []):
        if entry.get("required", True) or not entry["path"].startswith("./secrets/"):
            yield f"the file of variables {entry['path']!r} may not be there, or be taken along by git or the image"
    for entry in service.get("volumes", []):
        source = _source(entry)
        if source.startswith("."):
            # What is below ./secrets/ is made by whoever runs the stack.
            if not source.startswith("./secrets/") and not (ROOT / source).exists():
                yield f"there is no {source!r} to mount"
        elif source not in stack.get("volumes", {}):
            yield f"there is no volume {source!r}"


def _health(service: Service, stack: Stack) -> Iterator[str]:
    check = service.get("healthcheck")
    if check is None:
        return
    for key in sorted(set(check) - HEALTH_KEYS):
        yield f"no key {key!r} is known in a health check"
    for key in {"interval", "timeout", "start_period"} & set(check):
        if not _DURATION.fullmatch(str(check[key])):
            yield f"health check: {key} is no duration: {check[key]!r}"
    kind, *rest = check["test"]
    if kind not in ("CMD", "CMD-SHELL"):
        yield f"health check: begins with {kind!r}, not with CMD or CMD-SHELL"
        return
    words = shell_words(_unescaped(rest[0])) if kind == "CMD-SHELL" else rest
    if is_ours(service):
        yield from (f"health check: {problem}" for problem in command_problems(words))
        for address in re.findall(r"https?://[^\s'\"]+", " ".join(words)):
            yield from _probe_problems(address, service)
    elif (image := _known_image(service)) and words[0] not in image.programs:
        yield f"health check: the image has no program {words[0]!r}"


def _probe_problems(address: str, service: Service) -> Iterator[str]:
    url = urlsplit(address)
    if url.port != (bound := _bound_port(service)):
        yield f"health check: asks port {url.port}, but the server is bound to {bound}"
    status = Client().get(url.path, headers={"host": url.netloc}).status_code
    if status != 200:
        yield f"health check: {url.path} answers {status}"


def _command(service: Service, stack: Stack) -> Iterator[str]:
    words = _words(service)
    if is_ours(service):
        yield from command_problems(words) if words else ["has no command"]
    elif words and (image := _known_image(service)):
        used = {words[0], *re.findall(r"/opt/\S+", " ".join(words))}
        yield from (f"the image has no program {name!r}" for name in sorted(used - image.programs))
    for secret in re.findall(rf"{SECRETS_FOLDER}(\w+)", " ".join([*words, *_probe(service)])):
        if secret not in service.get("secrets", []):
            yield f"reads the secret {secret!r}, which it does not get"


def _probe(service: Service) -> list[str]:
    words: list[str] = service.get("healthcheck", {}).get("test", [])
    return words


def _environment(service: Service, stack: Stack) -> Iterator[str]:
    environment: dict[str, str] = service.get("environment", {})
    image = _known_image(service)
    for name, value in environment.items():
        if is_ours(service) and not is_read(name, settings_variables()):
            yield f"nothing reads the variable {name}"
        elif image is not None and name not in image.variables:
            yield f"the image reads no variable {name}"
        yield from _value_problems(name, str(value), service, stack)
    if is_ours(service):
        yield from _start_problems(service)


def _value_problems(name: str, text: str, service: Service, stack: Stack) -> Iterator[str]:
    for found in _SUBSTITUTION.finditer(text):
        if found["default"] is None:
            yield f"{name}: ${{{found['name']}}} has no default"
        if found["name"] != name:
            yield f"{name} is taken from {found['name']}"
    value = _substituted(text)
    if value.startswith(SECRETS_FOLDER) and value.removeprefix(SECRETS_FOLDER) not in service.get("secrets", []):
        yield f"{name}: the service does not get the secret {value.removeprefix(SECRETS_FOLDER)!r}"
    host = urlsplit(value).hostname if "://" in value else None
    if host and "." not in host and host not in stack["services"]:
        yield f"{name} names the host {host!r}, which is no service"


def _start_problems(service: Service) -> Iterator[str]:
    """Whether the settings start with exactly this environment, and what they say if they do not."""
    sentence = refusal(substituted_environment(service))
    if sentence:
        yield f"the settings do not start: {sentence}"


def write_secrets(folder: Path) -> None:
    """Files as docs/deploy.md has them made, each with its line break."""
    for name, make in _SECRET_VALUES.items():
        (folder / name).write_text(f"{make()}\n")


def refusal(environment: dict[str, str]) -> str:
    """What the settings say when they do not start with this environment; empty when they do."""
    return _refusal(tuple(sorted(environment.items())))


@cache
def _refusal(environment: tuple[tuple[str, str], ...]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        write_secrets(Path(folder))
        moved = {name: value.replace(SECRETS_FOLDER, f"{folder}/") for name, value in environment}
        done = subprocess.run(
            [sys.executable, "-c", "import console.settings"],
            env={"PATH": os.environ["PATH"], **moved},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def substituted_environment(service: Service) -> dict[str, str]:
    """What the service's processes see when nothing is set around compose."""
    return {name: _substituted(str(value)) for name, value in service.get("environment", {}).items()}


def _port(service: Service, stack: Stack) -> Iterator[str]:
    for port in service.get("ports", []):
        inside = int(str(port).rpartition(":")[2])
        if is_ours(service) and inside != (bound := _bound_port(service)):
            yield f"publishes port {inside}, but the server is bound to {bound}"


def _known_image(service: Service) -> Image | None:
    name, _, tag = str(service.get("image", "")).partition(":")
    return None if is_ours(service) or not tag else IMAGES.get(name)


def _words(service: Service) -> list[str]:
    """What is run; our own image has no entrypoint, so that its command is all of it."""
    words = service.get("entrypoint", []) + service.get("command", [])
    return [_unescaped(word) for word in words]


def _bound_port(service: Service) -> int | None:
    told = str(service.get("environment", {}).get("LOCKGATE_GATEWAY_LISTEN", ""))
    words = [*_words(service), *([f"--bind={told}"] if told else [])]
    bound = [word.rpartition(":")[2] for word in words if word.startswith("--bind=")]
    return int(bound[0]) if bound else None


def _source(entry: str) -> str:
    return entry.partition(":")[0]


def _unescaped(text: str) -> str:
    """Compose writes a dollar sign that is meant as one twice."""
    return text.replace("$$", "$")


def _substituted(text: str) -> str:
    """The value when nothing is set around compose."""
    return _SUBSTITUTION.sub(lambda found: found["default"] or "", text)
