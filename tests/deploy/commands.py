"""Checks a command that runs in Lockgate's image, with the parsers of the programs themselves.

Nothing is started: gunicorn, Celery and Django each parse their own arguments, and what these name is looked up.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec

import click
from celery.app.utils import find_app
from celery.bin.base import CLIContext
from celery.bin.celery import celery
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandError
from gunicorn.config import Config

from deploy.local.installed import ROOT

#: What a Debian image with Python has, besides what the lock file puts into its virtual environment.
SYSTEM_PROGRAMS = frozenset({"python", "rm", "sh"})


def command_problems(words: list[str]) -> list[str]:
    """Why this command could not start; empty when it could."""
    program, arguments = words[0], words[1:]
    if program == "python":
        return _python_problems(arguments)
    if program in SYSTEM_PROGRAMS:
        return []
    if program not in programs_of_the_lock():
        return [f"no program {program!r}: nothing in requirements.lock brings it"]
    checks = {"gunicorn": _gunicorn_problems, "celery": _celery_problems}
    if program not in checks:
        return [f"{program!r} cannot be checked: say in tests/deploy/commands.py how"]
    return checks[program](arguments)


def queues_of(words: list[str]) -> set[str] | None:
    """The queues that a Celery worker takes from; None when the command is no worker."""
    if words[:1] != ["celery"] or "worker" not in words:
        return None
    named = [word.partition("=")[2] for word in words if word.startswith("--queues=")]
    return {queue for text in named for queue in text.split(",")}


def known_queues() -> set[str]:
    """The queues that our tasks are sent to."""
    conf = find_app("console").conf
    routed = {route["queue"] for route in conf.task_routes.values()}
    scheduled = {entry.get("options", {}).get("queue") for entry in conf.beat_schedule.values()} - {None}
    return {conf.task_default_queue} | routed | scheduled


def shell_words(line: str) -> list[str]:
    """A shell's line as a command: without the assignments in front."""
    words = shlex.split(line)
    while words and re.match(r"[A-Za-z_]\w*=", words[0]):
        words.pop(0)
    return words


@cache
def programs_of_the_lock() -> frozenset[str]:
    """Programs that come with a distribution of requirements.lock: the image has these, not those for development."""
    pinned = re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    scripts = metadata.entry_points(group="console_scripts")
    return frozenset(script.name for script in scripts if script.dist and _plain(script.dist.name) in pinned)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _python_problems(arguments: list[str]) -> list[str]:
    if arguments[:1] == ["-c"]:
        return _code_problems(arguments[1])
    if arguments[:1] == ["-m"]:
        module = arguments[1]
        return [] if _module_exists(module) else [f"no module {module!r}"]
    if arguments[:1] == ["manage.py"] and len(arguments) > 1:
        return _manage_problems(arguments[1], arguments[2:])
    return [f"python {shlex.join(arguments)}: no such program"]


def _module_exists(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _code_problems(code: str) -> list[str]:
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        return [f"{code!r} is no Python: {error.msg}"]
    named = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return [f"no module {name!r}" for name in named if not _module_exists(name)]


def _manage_problems(name: str, arguments: list[str]) -> list[str]:
    app = get_commands().get(name)
    if app is None:
        return [f"no command manage.py {name}"]
    command = app if isinstance(app, BaseCommand) else load_command_class(app, name)
    parser = command.create_parser("manage.py", name)
    try:
        parser.parse_args(arguments)
    except CommandError as error:
        return [f"manage.py {name}: {error}"]
    return []


def _gunicorn_problems(arguments: list[str]) -> list[str]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = Config().parser().parse_args(arguments)
    except SystemExit:
        return [f"gunicorn: {said.getvalue().strip().splitlines()[-1]}"]
    if len(parsed.args) != 1:
        return ["gunicorn: no application"]
    module, _, attribute = parsed.args[0].partition(":")
    if not _module_exists(module):
        return [f"no module {module!r}"]
    return [] if hasattr(import_module(module), attribute) else [f"{module} has no {attribute!r}"]


def _celery_problems(arguments: list[str]) -> list[str]:
    """The options are to be written `--name=value`, so that what is no option is the command."""
    general = {option for parameter in celery.params for option in parameter.opts}
    at = next((number for number, word in enumerate(arguments) if not word.startswith("-")), len(arguments))
    unknown = [f"celery: no option {word!r}" for word in arguments[:at] if word.partition("=")[0] not in general]
    apps = [word.removeprefix("--app=") for word in arguments[:at] if word.startswith("--app=")]
    if unknown or not apps or not _module_exists(apps[0]):
        return unknown or [f"celery: no application {', '.join(apps) or 'named'!r}"]
    name, *rest = [*arguments[at:], ""]
    if name not in celery.commands:
        return [f"celery: no command {name!r}"]
    parent = click.Context(celery, info_name="celery", obj=CLIContext(find_app(apps[0]), False, ".", True))
    try:
        celery.commands[name].make_context(name, [word for word in rest if word], parent=parent)
    except click.ClickException as error:
        return [f"celery {name}: {error.format_message()}"]
    queues = queues_of(["celery", *arguments])
    if queues is None:
        return []
    return [f"celery worker: nothing is sent to the queue {queue!r}" for queue in sorted(queues - known_queues())]
