"""`python3 -m deploy.local setup|demo|reset|run`: what the Makefile calls. Runs on a Python with nothing installed."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from deploy.local import clients, demo, installed, packages
from deploy.local.errors import NotAPort, SetupError
from deploy.local.interruption import Interrupted, interruptible
from deploy.local.processes import end, end_children
from deploy.local.progress import say
from deploy.local.servers import STOP_SECONDS
from deploy.local.stack import Stack


def main() -> int:
    """Do what the words say; 1 with a sentence when it cannot be done."""
    arguments = _parser().parse_args()
    try:
        if arguments.action == "setup":
            _set_up(browser=arguments.browser, clients=arguments.clients, bench=arguments.bench)
            if arguments.all_clients:
                with installed.one_at_a_time():
                    clients.install()
        elif arguments.action == "demo":
            demo.run(_folder(), _port())
        elif arguments.action == "reset":
            demo.reset(_folder())
        else:
            return _run_beside(_folder(), arguments.command)
    except SetupError as error:
        say(f"\n{error}")
        return 1
    except PermissionError as error:
        say(f"\n{error.filename}: this user may not. Was it made by another one? LOCKGATE_DATA chooses another folder.")
        return 1
    except (KeyboardInterrupt, Interrupted):
        say("")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m deploy.local", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    setup = actions.add_parser("setup", help="install what is missing")
    setup.add_argument("--browser", action="store_true", help="also what the browser tests need")
    setup.add_argument("--clients", action="store_true", help="also the clients that the tests of the gateway use")
    setup.add_argument("--all-clients", action="store_true", help="also every client that `make clients` tries")
    setup.add_argument("--bench", action="store_true", help="also what the gateway is measured beside")
    actions.add_parser("demo", help="run everything until Ctrl-C")
    actions.add_parser("reset", help="forget the demo's data")
    run = actions.add_parser("run", help="run a command beside the demo's servers, started when they are not running")
    run.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _folder() -> Path:
    return Path(os.environ.get("LOCKGATE_DATA") or installed.ROOT / ".lockgate").resolve()


def _port() -> int:
    text = os.environ.get("LOCKGATE_PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise NotAPort(f"It is {text!r}.")
    return int(text)


def _set_up(*, browser: bool, clients: bool, bench: bool) -> None:
    with installed.one_at_a_time():
        needed = packages.SERVERS | packages.COMPILER | packages.DRIVER
        for wanted, some in ((browser, packages.BROWSER), (clients, packages.CLIENTS), (bench, packages.BENCH)):
            needed |= some if wanted else {}
        packages.install(needed)
        installed.python_packages()
        installed.compiled()
        installed.front_end()


def _run_beside(folder: Path, command: list[str]) -> int:
    stack = Stack(folder)
    environment = {**os.environ, **stack.environment()}
    if all(server.pid for server in stack.servers):
        return _run(command, environment)
    with stack.claimed():
        try:
            with interruptible():
                stack.start()
                return _run(command, environment)
        finally:
            stack.stop()
            end_children()


def _run(command: list[str], environment: dict[str, str]) -> int:
    """The command's status; a signal to end ends it too."""
    with interruptible(), subprocess.Popen(command, env=environment) as process:
        try:
            return process.wait()
        except Interrupted:
            end(process.pid, signal.SIGTERM, STOP_SECONDS)
            raise


if __name__ == "__main__":
    sys.exit(main())
