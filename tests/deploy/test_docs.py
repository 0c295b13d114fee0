"""The documentation names nothing that does not exist: commands, targets, modules, variables, files, log events."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.installed import ROOT
from tests.deploy import compose_file
from tests.deploy.commands import command_problems
from tests.deploy.variables import all_variables, is_read

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")])

#: Placeholders in examples of how a command is written.
_PLACEHOLDERS = re.compile(r"[A-Z]+:[A-Z]+|…|\.\.\.|\$\(")
_PACKAGES = "access|audit|connectors|console|deploy|people|tests"


def problems_of(text: str, folder: Path) -> Iterator[str]:
    """What a page, which lies in `folder`, names in vain."""
    yield from _commands(text)
    yield from _targets(text)
    yield from _modules(text)
    yield from _files(text)
    yield from _links(text, folder)
    for name in sorted(
        set(re.findall(r"\b(?:LOCKGATE_[A-Z0-9_]*[A-Z0-9]|(?:DATABASE|REDIS|EMAIL)_URL(?:_FILE)?)\b", text))
    ):
        if not is_read(name, all_variables()):
            yield f"nothing reads {name}"


def _commands(text: str) -> Iterator[str]:
    """`manage.py …`, `gunicorn …` and `celery …`, with their options, in running text and in blocks."""
    quoted = re.findall(r"`([^`\n]+)`", text)
    lines = [line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    for piece in [*quoted, *lines]:
        found = re.search(r"(?:^|\s)(python )?(manage\.py|gunicorn|celery) (\S.*)", piece.partition("   ")[0])
        if found is None or _PLACEHOLDERS.search(piece):
            # Of a command with placeholders only the name can be checked.
            found = re.search(r"()(manage\.py) (\w+)", piece)
        if found and found[2] == "manage.py":
            yield from _only_unknown(["python", "manage.py", *shlex.split(found[3])], piece)
        elif found:
            yield from command_problems([found[2], *shlex.split(found[3])])


def _only_unknown(words: list[str], piece: str) -> list[str]:
    """In running text a command is often named without what it needs."""
    missing = "the following arguments are required"
    return [problem for problem in command_problems(words) if missing not in problem]


def _targets(text: str) -> Iterator[str]:
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"`make ([a-z-]+)`", text) + re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)
    yield from (f"there is no make {name}" for name in named if name not in there)


def _modules(text: str) -> Iterator[str]:
    """`access.services.votes`, or a name in it: `connectors.base.Connector`."""
    for name in re.findall(rf"`((?:{_PACKAGES})(?:\.\w+)+)`", text):
        path = ROOT / name.replace(".", "/")
        owner = path.parent if path.parent.is_dir() else path.parent.with_suffix(".py")
        is_module = path.with_suffix(".py").is_file() or path.is_dir()
        is_inside = owner.is_file() and re.search(
            rf"\b(class|def) {path.name}\b|^{path.name}\b.* = ", owner.read_text(), re.MULTILINE
        )
        if not is_module and not is_inside and name not in _events():
            yield f"there is no module {name}"


def _events() -> set[str]:
    return set(re.findall(r'= "([a-z_]+\.[a-z_]+)", "', (ROOT / "audit" / "events.py").read_text()))


def _files(text: str) -> Iterator[str]:
    """`docs/audit.md`, `tests/connectors/`: paths that begin with one of our folders; not those of a pattern."""
    for name in re.findall(rf"`((?:{_PACKAGES}|docs|static|templates)/[\w./-]*)`", text):
        if not (ROOT / name).exists():
            yield f"there is no file {name}"


def _links(text: str, folder: Path) -> Iterator[str]:
    for address in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", address):
            continue
        path, _, heading = address.partition("#")
        target = (folder / path) if path else None
        if target is not None and not target.exists():
            yield f"a link leads nowhere: {address}"
        elif heading and heading not in _anchors(target.read_text() if target else text):
            yield f"a link leads to no heading: {address}"


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [str(page.relative_to(ROOT)) for page in PAGES])
def test_a_page_names_nothing_that_does_not_exist(path: str) -> None:
    assert list(problems_of((ROOT / path).read_text(), (ROOT / path).parent)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("run `manage.py sweeep`", "no command manage.py sweeep"),
        ("```\nmanage.py verify_audit --form 3      check\n```", "unrecognized arguments: --form"),
        ("```\nmanage.py verify_audit --expect SEQ:HASH    check\nmanage.py gone SEQ:HASH\n```", "manage.py gone"),
        ("```sh\ndocker compose exec web python manage.py add_admin a@b.c\n```", "no command manage.py add_admin"),
        ("`celery --app=console worker --queues=clocks`", "nothing is sent to the queue 'clocks'"),
        ("`gunicorn console.wsgi:app`", "console.wsgi has no 'app'"),
        ("`make tests`", "there is no make tests"),
        ("```\nmake tests\n```", "there is no make tests"),
        ("`access.services.votez`", "there is no module access.services.votez"),
        ("`connectors.base.Connecter`", "there is no module connectors.base.Connecter"),
        ("`LOCKGATE_SECRETKEY`", "nothing reads LOCKGATE_SECRETKEY"),
        ("`REDIS_URL` and `LOCKGATE_PORT_FILE`", "nothing reads LOCKGATE_PORT_FILE"),
        ("`tests/connecters/`", "there is no file tests/connecters/"),
        ("[x](docs/nothing.md)", "a link leads nowhere: docs/nothing.md"),
        ("[x](README.md#no-such-heading)", "a link leads to no heading: README.md#no-such-heading"),
    ],
)
def test_what_does_not_exist_is_found(text: str, problem: str) -> None:
    found = list(problems_of(text, ROOT))
    assert len(found) == 1
    assert problem in found[0]


def test_what_exists_is_not_found_fault_with() -> None:
    text = "`manage.py revoke G-…`, `make demo`, `access.quorum.decide`, `LOCKGATE_SECRET_KEY_FILE`, `audit.exported`"
    assert list(problems_of(text, ROOT)) == []


# -- docs/deploy.md -----------------------------------------------------------------------------------------------------

DEPLOY = (ROOT / "docs" / "deploy.md").read_text()


def test_the_secrets_are_made_as_the_page_says_and_the_settings_take_them(tmp_path: Path) -> None:
    blocks = [block for block in re.findall(r"```sh\n(.*?)```", DEPLOY, re.DOTALL) if "secrets/secret_key" in block]
    subprocess.run(["bash", "-euc", blocks[0]], cwd=tmp_path, check=True)
    web = compose_file.load()["services"]["web"]
    environment = compose_file.substituted_environment(web)
    files = {name: value for name, value in environment.items() if name.endswith("_FILE")}
    assert len(files) == 3
    moved = {name: value.replace("/run/", f"{tmp_path}/") for name, value in files.items()}
    assert compose_file.refusal({**environment, **moved}) == ""


def test_every_secret_of_the_compose_file_is_on_the_page() -> None:
    secrets = {secret["file"].removeprefix("./") for secret in compose_file.load()["secrets"].values()}
    assert secrets <= set(re.findall(r"secrets/[\w/.]+", DEPLOY))


def test_every_service_the_page_speaks_to_exists() -> None:
    named = re.findall(
        r"docker compose (?:exec(?: --no-TTY)?|stop|restart|up --detach --scale) ([a-z =0-9-]+?)"
        r"(?: python| pg_\w+| dropdb| createdb|`|\n|,)",
        DEPLOY,
    )
    services = {word.partition("=")[0] for words in named for word in words.split()}
    assert {"web", "worker", "postgres"} <= services <= set(compose_file.load()["services"])


def test_every_event_to_alarm_on_is_logged() -> None:
    table = DEPLOY.partition("## What to alarm on")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", table))
    code = "".join(path.read_text() for path in [*(ROOT / "access").rglob("*.py"), *(ROOT / "audit").rglob("*.py")])
    logged = set(re.findall(r'log\.(?:warning|error)\(\s*"([\w.]+)"', code))
    assert named
    assert named <= logged


def test_the_links_of_the_changelog_and_of_the_findings_lead_somewhere() -> None:
    """What a changelog names may be gone since; where it leads may not."""
    for path in (ROOT / "CHANGELOG.md", ROOT / "findings" / "README.md"):
        assert list(_links(path.read_text(), path.parent)) == []


def test_the_table_of_the_providers_variables_is_the_one_that_is_read() -> None:
    code = (ROOT / "people" / "sso" / "providers.py").read_text()
    read = set(re.findall(r'required\("([A-Z_]+)"', code)) | set(re.findall(r'\{prefix\}([A-Z_]+)"', code))
    table = set(
        re.findall(r"^\| `LOCKGATE_SSO_<NAME>_([A-Z_]+)`", (ROOT / "docs" / "sign-in.md").read_text(), re.MULTILINE)
    )
    assert table == read
