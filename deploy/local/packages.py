"""Packages of the system: which are missing, and getting them through apt without starting or touching a server."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import CommandFailed, PackagesMissing
from deploy.local.processes import find
from deploy.local.progress import step

#: Debian's package → how to tell that it is there: a program, or a pattern of files.
SERVERS = {
    "postgresql": "/usr/lib/postgresql/*/bin/postgres",
    "mariadb-server": "mariadbd",
    "redis-server": "redis-server",
}
COMPILER = {
    "gcc": "gcc",
    "libc6-dev": "/usr/include/stdio.h",
    "pkg-config": "pkg-config",
    "libmariadb-dev": "/usr/include/mariadb/mysql.h",
    "python3-dev": str(Path(sysconfig.get_paths()["include"]) / "Python.h"),
    "python3-venv": str(Path(sysconfig.get_paths()["stdlib"]) / "ensurepip" / "__init__.py"),
}
#: What the wheels of the SQL Server driver, and of the one that mssql-django loads beside it, take from the system.
DRIVER = {
    "libodbc2": "/usr/lib/*/libodbc.so.2",
    "libltdl7": "/usr/lib/*/libltdl.so.7",
    "libgssapi-krb5-2": "/usr/lib/*/libgssapi_krb5.so.2",
}
BROWSER = {"chromium": "chromium"}
#: What tests need besides what stands among the Python packages: clients of the gateway (psql is with the server), clocks.
CLIENTS = {
    "default-jdk-headless": "javac",
    "libpostgresql-jdbc-java": "/usr/share/java/postgresql.jar",
    # A process with another clock than its neighbours.
    "faketime": "faketime",
}
#: What `make clients` tries besides those.
MORE_CLIENTS = {
    "patchelf": "patchelf",
    "ruby-activerecord": "/usr/share/rubygems-integration/all/gems/activerecord-*",
    "ruby-pg": "/usr/share/rubygems-integration/*/specifications/pg-*.gemspec",
    "libhikaricp-java": "/usr/share/java/HikariCP.jar",
    "libslf4j-java": "/usr/share/java/slf4j-nop.jar",
    "odbc-postgresql": "/usr/lib/*/odbc/psqlodbcw.so",
    "libdbd-pg-perl": "/usr/lib/*/perl5/*/DBD/Pg.pm",
    "golang-go": "go",
    "golang-github-jackc-pgx-v4-dev": "/usr/share/gocode/src/github.com/jackc/pgx/v4/conn.go",
    "php-cli": "php",
    "php-pgsql": "/usr/lib/php/*/pdo_pgsql.so",
}
#: What the gateway is measured beside, and what asks the service behind it.
BENCH = {"pgbouncer": "pgbouncer", "wrk": "wrk"}

_POLICY = Path("/usr/sbin/policy-rc.d")
_NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/lockgate-no-main-cluster.conf")


def missing(wanted: dict[str, str]) -> list[str]:
    """Packages of `wanted` that are not there."""
    return [package for package, sign in wanted.items() if not _is_there(sign)]


def install(wanted: dict[str, str]) -> None:
    """Get what is missing; as somebody who may not, say exactly what to install. Raises `PackagesMissing`."""
    packages = missing(wanted)
    if not packages:
        return
    command = "apt-get install --no-install-recommends " + " ".join(packages)
    if shutil.which("apt-get") is None:
        raise PackagesMissing(f"Install what your system calls these, then try again: {', '.join(packages)}")
    prefix = _root_prefix()
    if prefix is None:
        raise PackagesMissing(f"Have an administrator run: {command}")
    with step(f"installing {', '.join(packages)}"), _nothing_started(prefix):
        quiet = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
        _run([*quiet, "update"])
        _run([*quiet, "install", "--no-install-recommends", "--yes", *packages])


def _is_there(sign: str) -> bool:
    return bool(glob.glob(sign)) if "/" in sign else find(sign) is not None


def _root_prefix() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo]
    return None


@contextmanager
def _nothing_started(prefix: list[str]) -> Iterator[None]:
    """While packages are installed: no service starts, and PostgreSQL makes no cluster of its own.

    Both by the means that Debian has for it, and both undone afterwards; a file that was there before is left alone.
    """
    guards = {_POLICY: "#!/bin/sh\nexit 101\n", _NO_CLUSTER: "create_main_cluster = false\n"}
    ours = [path for path in guards if not path.exists()]
    for path in ours:
        _run([*prefix, "mkdir", "-p", str(path.parent)])
        _run([*prefix, "tee", str(path)], text=guards[path])
        _run([*prefix, "chmod", "755", str(path)])
    try:
        yield
    finally:
        for path in ours:
            _run([*prefix, "rm", "-f", str(path)])


def _run(command: Iterable[str], text: str = "") -> None:
    done = subprocess.run(list(command), input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
