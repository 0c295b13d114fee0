"""`make demo`: private servers, the demo world, and web, worker, beat and gateway, until Ctrl-C.

Lockgate's processes are started here rather than by a process manager: they follow the servers, are waited for until they
serve, and end before the servers do, in that order, also when this program is interrupted half way or killed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from deploy.local import installed
from deploy.local.errors import CommandFailed, PortTaken
from deploy.local.interruption import Interrupted, interruptible
from deploy.local.processes import end_children, spawn
from deploy.local.progress import say, step
from deploy.local.servers import port_is_free
from deploy.local.stack import Stack

#: A dozen interpreters begin at once, and the machine may be small and busy; one that ends is noticed at once.
READY_SECONDS = 120.0
STOP_SECONDS = 15.0
#: In the order in which they are started.
PROCESSES = ("provider", "web", "worker", "beat", "gateway")


def run(folder: Path, port: int) -> None:
    """Start everything, wait until somebody says stop, stop everything."""
    stack = Stack(folder)
    with stack.claimed():
        if not port_is_free(port):
            raise PortTaken(f"The console needs port {port}; LOCKGATE_PORT chooses another.")
        processes: list[subprocess.Popen[bytes]] = []
        try:
            with interruptible():
                _start_everything(stack, port, processes)
                _watch(processes, stack.logs)
        except Interrupted:
            say("")
        finally:
            with step("stopping everything"):
                stop(processes)
                stack.stop()
                end_children()


def reset(folder: Path) -> None:
    """Forget the demo's data, so that the next start is a fresh one."""
    if not folder.exists():
        say(f"  There is nothing in {folder}.")
        return
    stack = Stack(folder)
    with stack.claimed():
        stack.stop()
        stack.forget()
    say(f"  The demo's data in {folder} is gone.")


def environment_of(stack: Stack, port: int) -> dict[str, str]:
    """The environment of Lockgate's processes beside the stack."""
    return {
        **os.environ,
        **stack.environment(),
        "LOCKGATE_BASE_URL": f"http://127.0.0.1:{port}",
        "LOCKGATE_GATEWAY_LISTEN": f"127.0.0.1:{stack.gateway_port}",
        "LOCKGATE_GATEWAY_JOURNAL": str(stack.folder / "journal"),
        "LOCKGATE_SSO": "demo",
        "LOCKGATE_SSO_DEMO_NAME": "Demo SSO",
        "LOCKGATE_SSO_DEMO_ISSUER": f"http://127.0.0.1:{stack.provider_port}",
        "LOCKGATE_SSO_DEMO_CLIENT_ID": "lockgate",
        "LOCKGATE_SSO_DEMO_CLIENT_SECRET": "known to everybody",
        "LOCKGATE_SSO_DEMO_DOMAINS": "demo.example",
        "PYTHONUNBUFFERED": "1",
    }


def commands(port: int, environment: dict[str, str]) -> dict[str, list[str]]:
    """The demo's identity provider, and Lockgate's four kinds of process, by the commands that the compose file runs."""
    python = str(installed.PYTHON)
    provider_port = environment["LOCKGATE_SSO_DEMO_ISSUER"].rpartition(":")[2]
    return {
        "provider": [python, "manage.py", "demo_provider", f"--port={provider_port}"],
        "web": [
            *(python, "-m", "gunicorn", "console.wsgi:application", f"--bind=127.0.0.1:{port}"),
            *("--workers=2", "--threads=4", "--worker-tmp-dir=/dev/shm", "--log-level=warning", "--no-control-socket"),
        ],
        "worker": [
            *(python, "-m", "celery", "--app=console", "worker", "--queues=clock,grants", "--concurrency=4"),
            *("--loglevel=WARNING", "--without-gossip", "--without-mingle"),
        ],
        "beat": [python, "-m", "celery", "--app=console", "beat", "--loglevel=WARNING", "--pidfile="],
        "gateway": [python, "-m", "gateway"],
    }


def start_processes(
    port: int, environment: dict[str, str], folder: Path, processes: list[subprocess.Popen[bytes]] | None = None
) -> list[subprocess.Popen[bytes]]:
    """Start Lockgate's own processes and wait until the console can serve; their logs are in `folder`.

    Each is put into `processes` as soon as it runs, for a caller that may be interrupted.
    """
    processes = [] if processes is None else processes
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    try:
        for name, words in commands(port, environment).items():
            log = logs / f"{name}.log"
            processes.append(spawn(words, log=log, environment=environment, folder=installed.ROOT))
        _wait_until_ready(port, processes, logs)
        _wait_for_the_gateway(environment["LOCKGATE_GATEWAY_LISTEN"], processes, logs)
    except CommandFailed:
        stop(processes)
        raise
    return processes


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ask each process to end, which ends its children in order; insist after a while."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _start_everything(stack: Stack, port: int, processes: list[subprocess.Popen[bytes]]) -> None:
    with step("starting PostgreSQL (twice), MariaDB and Redis"):
        stack.start()
    environment = environment_of(stack, port)
    who = _load(stack, environment)
    with step("starting web, worker, beat, gateway and an identity provider"):
        start_processes(port, environment, stack.folder, processes)
    say(f"\n{who}")
    say(
        "  It gives access to a PostgreSQL and a MariaDB of its own. A SQL Server or an Azure SQL of yours can be added on the"
        " Servers page, which shows the SQL that it needs."
    )
    say(
        f"  The gateway listens on {environment['LOCKGATE_GATEWAY_LISTEN']}: the page of an active access says how to use it."
    )
    say(f"  Lockgate runs at http://127.0.0.1:{port}/ (logs in {stack.logs}). Ctrl-C ends it.\n")


def _load(stack: Stack, environment: dict[str, str]) -> str:
    """Bring the database up to date and load the demo world, unless it was done with the same files; who can sign in."""
    made_from = [*installed.ROOT.glob("*/migrations/*.py"), *(installed.ROOT / "access" / "demo").glob("*.*")]
    fingerprint = installed.fingerprint(*sorted(made_from))
    stamp = stack.state.folder / "loaded"
    known, _, who = stamp.read_text().partition("\n") if stamp.exists() else ("", "", "")
    if known != fingerprint:
        _manage(environment, "bringing the database up to date", "migrate", "--verbosity=0")
        who = _manage(environment, "loading the demo world", "load_demo")
        stamp.write_text(f"{fingerprint}\n{who}")
    return who


def _manage(environment: dict[str, str], words: str, *arguments: str) -> str:
    command = [str(installed.PYTHON), "manage.py", *arguments]
    with step(words):
        done = subprocess.run(command, cwd=installed.ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CommandFailed(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def _wait_until_ready(port: int, processes: list[subprocess.Popen[bytes]], logs: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        _check_running(processes, logs)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise CommandFailed(f"The web server does not get ready: see {logs / 'web.log'}.")


def _wait_for_the_gateway(listen: str, processes: list[subprocess.Popen[bytes]], logs: Path) -> None:
    host, _, port = listen.rpartition(":")
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        _check_running(processes, logs)
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise CommandFailed(f"The gateway does not listen: see {logs / 'gateway.log'}.")


def _watch(processes: list[subprocess.Popen[bytes]], logs: Path) -> None:
    while True:
        _check_running(processes, logs)
        time.sleep(0.5)


def _check_running(processes: list[subprocess.Popen[bytes]], logs: Path) -> None:
    for name, process in zip(PROCESSES, processes, strict=False):
        if process.poll() is not None:
            log = logs / f"{name}.log"
            last = log.read_text(errors="replace")[-2000:]
            raise CommandFailed(f"The {name} process ended with status {process.returncode}; {log} says:\n{last}")
