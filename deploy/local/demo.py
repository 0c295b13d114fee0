"""`make demo`: private servers, the demo world, and web, worker and beat, until Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

from deploy.local import installed
from deploy.local.errors import CommandFailed, PortTaken
from deploy.local.progress import say, step
from deploy.local.servers import port_is_free
from deploy.local.stack import Stack

READY_SECONDS = 60.0


class Interrupted(Exception):
    """Somebody asked the demo to end."""


def run(folder: Path, port: int) -> None:
    """Start everything, wait until somebody says stop, stop everything."""
    if not port_is_free(port):
        raise PortTaken(f"Port {port}: choose another with LOCKGATE_PORT.")
    stack = Stack(folder)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        with step("starting PostgreSQL (twice), MariaDB and Redis"):
            stack.start()
        environment = environment_of(stack, port)
        _manage(environment, "bringing the database up to date", "migrate", "--verbosity=0")
        _manage(environment, "loading the demo world", "load_demo")
        with step("starting web, worker and beat"):
            processes += start_processes(port, environment, folder)
        _manage(environment, "", "load_demo", "--who")
        say(f"\n  Lockgate runs at http://127.0.0.1:{port}/ (logs in {folder / 'logs'}). Ctrl-C ends it.\n")
        _watch(processes)
    except Interrupted:
        say("")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with step("stopping everything"):
            stop(processes)
            stack.stop()


def reset(folder: Path) -> None:
    """Forget the demo's data, so that the next start is a fresh one."""
    stack = Stack(folder)
    stack.stop()
    for path in stack.folders():
        shutil.rmtree(path, ignore_errors=True)
    say(f"  {folder} is gone.")


def environment_of(stack: Stack, port: int) -> dict[str, str]:
    """The environment of Lockgate's processes beside the stack."""
    return {
        **os.environ,
        **stack.environment(),
        "LOCKGATE_BASE_URL": f"http://127.0.0.1:{port}",
        "PYTHONUNBUFFERED": "1",
    }


def commands(port: int) -> dict[str, list[str]]:
    """Lockgate's three kinds of process; the same commands that the compose file runs."""
    python = str(installed.PYTHON)
    return {
        "web": [
            *(python, "-m", "gunicorn", "console.wsgi:application", f"--bind=127.0.0.1:{port}"),
            *("--workers=2", "--threads=4", "--worker-tmp-dir=/dev/shm", "--log-level=warning"),
        ],
        "worker": [
            *(python, "-m", "celery", "--app=console", "worker", "--queues=clock,grants", "--concurrency=4"),
            *("--loglevel=WARNING", "--without-gossip", "--without-mingle"),
        ],
        "beat": [python, "-m", "celery", "--app=console", "beat", "--loglevel=WARNING", "--pidfile="],
    }


def start_processes(port: int, environment: dict[str, str], folder: Path) -> list[subprocess.Popen[bytes]]:
    """Start Lockgate's own processes and wait until the console can serve; their logs are in `folder`."""
    processes = [_spawn(name, words, environment, folder) for name, words in commands(port).items()]
    try:
        _wait_until_ready(port, processes)
    except CommandFailed:
        stop(processes)
        raise
    return processes


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ask each process to end, together with what it started; insist after a while."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        # SIGTERM to the parent, which ends its children in order; SIGKILL to all of them.
        (os.kill if number == signal.SIGTERM else os.killpg)(process.pid, number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


def _spawn(name: str, words: list[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    with (logs / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            words,
            cwd=installed.ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )


def _manage(environment: dict[str, str], words: str, *arguments: str) -> None:
    command = [str(installed.PYTHON), "manage.py", *arguments]
    if not words:
        subprocess.run(command, cwd=installed.ROOT, env=environment, stdout=sys.stderr, check=True)
        return
    with step(words):
        done = subprocess.run(command, cwd=installed.ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CommandFailed(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def _wait_until_ready(port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        _check_running(processes)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise CommandFailed("The web server does not get ready: see its log.")


def _watch(processes: list[subprocess.Popen[bytes]]) -> None:
    while True:
        _check_running(processes)
        time.sleep(0.5)


def _check_running(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is not None:
            raise CommandFailed(f"{process.args!r} ended with status {process.returncode}: see its log.")
