"""`make lock`: pins every package with its hashes, for every platform, without the address of any registry."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from deploy.local.clients import FOLDER as CLIENTS
from deploy.local.installed import ROOT, npm

#: An address, an option that has one, or a path from the root.
_ADDRESS = re.compile(r"https?://|file:|--index-url|--find-links|(?:^|[\s=@])/\w")
#: The lock → what goes into it.
_LOCKS = {
    "requirements.lock": ["pyproject.toml"],
    # With the clients of the secret stores, for an image of one's own.
    "requirements-stores.lock": ["--extra=vault", "--extra=aws", "--extra=azure", "pyproject.toml"],
    "requirements-compile.lock": ["--extra=compile", "pyproject.toml"],
    "requirements-dev.lock": ["--extra=dev", "pyproject.toml"],
    # What `make clients` connects with, and nothing of Lockgate.
    "requirements-clients.lock": ["--group=clients"],
}


class AddressInLock(Exception):
    """A lock file would carry the address of a registry or a path of this machine."""


def main() -> None:
    """Write the lock files."""
    # Whatever mirrors and local wheels this machine is set up with must not decide what is pinned.
    clean = {name: value for name, value in os.environ.items() if name not in ("UV_FIND_LINKS", "PIP_FIND_LINKS")}
    for lock, contents in _LOCKS.items():
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
        command += ["--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--upgrade"]
        command += ["--python-version=3.11", *contents, f"--output-file={lock}"]
        subprocess.run(command, cwd=ROOT, env=clean, check=True)
        _check(ROOT / lock)
    for folder in (ROOT, CLIENTS):
        options = ["--package-lock-only", "--ignore-scripts", "--omit-lockfile-registry-resolved", f"--prefix={folder}"]
        npm("install", *options)
        _strip_addresses(folder / "package-lock.json")


def _strip_addresses(lock: Path) -> None:
    data = json.loads(lock.read_text())
    for package in data["packages"].values():
        package.pop("resolved", None)
        package.pop("funding", None)
    lock.write_text(json.dumps(data, indent=2) + "\n")


def _check(lock: Path) -> None:
    for line in lock.read_text().splitlines():
        if _ADDRESS.search(line):
            raise AddressInLock(f"{lock.name}: {line}")


if __name__ == "__main__":
    main()
