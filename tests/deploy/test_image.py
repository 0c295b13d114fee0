"""The image, put together without a Docker engine: its files, its steps, its command, and the probe that asks it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.demo import stop
from deploy.local.installed import COMPILED, ROOT, extensions_of
from deploy.local.processes import spawn
from deploy.local.servers import free_port
from tests.deploy import compose_file, dockerfile

START_SECONDS = 30
PROGRAMS = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the image has in /app, and nothing else of the project."""
    folder = tmp_path_factory.mktemp("app")
    image = dockerfile.load()[-1]
    for origin, sources, _ in dockerfile.copies(image):
        for source in [] if origin else sources:
            _copy(source, folder)
    (folder / "node_modules").symlink_to(ROOT / "node_modules")
    for step in dockerfile.steps(image):
        if "python" in step:
            done = subprocess.run(step, shell=True, cwd=folder, env=_fixed(folder), capture_output=True, check=False)
            assert done.returncode == 0, done.stderr.decode()
    (folder / "node_modules").unlink()
    return folder


def _copy(source: str, folder: Path) -> None:
    def ignored(path: str, names: list[str]) -> list[str]:
        inside = Path(path).relative_to(ROOT)
        return [name for name in names if dockerfile.is_ignored(str(inside / name))]

    if (ROOT / source).is_dir():
        shutil.copytree(ROOT / source, folder / source, ignore=ignored)
    else:
        shutil.copy(ROOT / source, folder / source)


def _fixed(folder: Path) -> dict[str, str]:
    return {"PATH": PROGRAMS, "PYTHONDONTWRITEBYTECODE": "1", "LOCKGATE_STATIC_ROOT": f"{folder}/staticfiles"}


def _environment(folder: Path, secrets: Path) -> dict[str, str]:
    """The web service's, with the tests' servers behind it."""
    secrets.mkdir()
    compose_file.write_secrets(secrets)
    (secrets / "database_url").write_text(os.environ["DATABASE_URL"])
    asked = compose_file.substituted_environment(compose_file.load()["services"]["web"])
    moved = {name: value.replace(compose_file.SECRETS_FOLDER, f"{secrets}/") for name, value in asked.items()}
    return {**_fixed(folder), **moved, "REDIS_URL": os.environ["REDIS_URL"]}


@pytest.fixture(scope="module")
def port(app: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the image's web server serves, with the command of the compose file."""
    port, folder = free_port(), tmp_path_factory.mktemp("run")
    web = compose_file.load()["services"]["web"]
    command = [re.sub(r"^--bind=.*", f"--bind=127.0.0.1:{port}", word) for word in web["command"]]
    environment = _environment(app, folder / "secrets")
    process = spawn([shutil.which(command[0], path=PROGRAMS) or "", *command[1:]], log=folder / "log",
                    environment=environment, folder=app)  # fmt: skip
    try:
        _wait_for_the_probe(web["healthcheck"]["test"], port, process, folder / "log")
        yield port
    finally:
        stop([process])


def _wait_for_the_probe(test: list[str], port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    words = [sys.executable, *(word.replace(":8000/", f":{port}/") for word in test[2:])]
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run(words, capture_output=True, check=False).returncode:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()


def _page(port: int, path: str) -> str:
    """As the proxy in front asks for it."""
    headers = {"Host": "lockgate.localhost", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)) as answer:
        text: str = answer.read().decode()
        return text


def test_the_image_serves_its_pages_and_their_files(port: int) -> None:
    """The probe of the compose file has succeeded by then."""
    page = _page(port, "/accounts/login/")
    sheets = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
    assert sheets
    assert all(re.search(r"\.[0-9a-f]{12}\.css$", sheet) for sheet in sheets), "names that carry their hash"
    assert all(_page(port, sheet) for sheet in sheets)


def test_the_workers_of_the_image_know_their_tasks(app: Path, tmp_path: Path) -> None:
    """From its own files alone: a package that was not copied would be missed here."""
    environment = _environment(app, tmp_path / "secrets")
    code = "from console.celery import app; app.loader.import_default_modules(); print(*sorted(app.tasks))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=app, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {"access.tick", "access.revoke", "access.sweep"} <= set(done.stdout.split())


def test_the_gateway_of_the_image_runs_what_was_compiled(app: Path, tmp_path: Path) -> None:
    """The stage that compiles is run by `make setup` as well; here are its files, put where COPY puts them."""
    compiled = dockerfile.load()[-2]
    assert ("compiled", ["/extensions"], "./") in list(dockerfile.copies(dockerfile.load()[-1]))
    assert "/venv/bin/python -m deploy.compiling /extensions" in dockerfile.steps(compiled)
    for extension in [
        *ROOT.glob("lockgate__mypyc.*.so"),
        *(one for source in COMPILED for one in extensions_of(source)),
    ]:
        shutil.copy(extension, app / extension.relative_to(ROOT))
    code = "from gateway.wire.postgresql import relay; from audit import statement_lines as lines"
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); {code}; print(relay.__file__, lines.__file__)"],
        cwd=app,
        env={**_environment(app, tmp_path / "secrets"), "DJANGO_SETTINGS_MODULE": "console.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [Path(path).suffix for path in done.stdout.split()] == [".so", ".so"]
