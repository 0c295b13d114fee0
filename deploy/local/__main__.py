"""`python3 -m deploy.local setup|demo|reset|run`: what the Makefile calls. Runs on a Python with nothing installed."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from deploy.local import demo, installed, packages
from deploy.local.errors import SetupError
from deploy.local.progress import say
from deploy.local.stack import Stack


def main() -> int:
    """Do what the words say; 1 with a sentence when it cannot be done."""
    arguments = _parser().parse_args()
    folder = Path(os.environ.get("LOCKGATE_DATA") or installed.ROOT / ".lockgate").resolve()
    try:
        if arguments.action == "setup":
            _set_up(browser=arguments.browser)
        elif arguments.action == "demo":
            demo.run(folder, int(os.environ.get("LOCKGATE_PORT") or 8000))
        elif arguments.action == "reset":
            demo.reset(folder)
        else:
            return _run_beside(folder, arguments.command)
    except SetupError as error:
        say(f"\n{error}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m deploy.local", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    setup = actions.add_parser("setup", help="install what is missing")
    setup.add_argument("--browser", action="store_true", help="also what the browser tests need")
    actions.add_parser("demo", help="run everything until Ctrl-C")
    actions.add_parser("reset", help="forget the demo's data")
    run = actions.add_parser("run", help="run a command beside the demo's servers, started when they are not running")
    run.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _set_up(*, browser: bool) -> None:
    packages.install(packages.SERVERS | packages.COMPILER | (packages.BROWSER if browser else {}))
    installed.python_packages()
    installed.front_end()


def _run_beside(folder: Path, command: list[str]) -> int:
    stack = Stack(folder)
    was_running = all(server.pid for server in stack.servers)
    stack.start()
    try:
        return subprocess.run(command, env={**os.environ, **stack.environment()}, check=False).returncode
    finally:
        if not was_running:
            stack.stop()


if __name__ == "__main__":
    sys.exit(main())
