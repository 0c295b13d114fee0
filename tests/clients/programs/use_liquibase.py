"""Liquibase: a changelog there and back on a ddl role, and what a role that reads may do with it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from tests.clients.programs.telling import does, refused, same, version

_HOME = Path(__file__).resolve().parent.parent / "node_modules" / "liquibase" / "dist" / "liquibase"
_MAIN = "liquibase.integration.commandline.LiquibaseCommandLine"
_CHANGES = """--liquibase formatted sql
--changeset shop:1
CREATE TABLE made (id serial PRIMARY KEY, name text);
--rollback DROP TABLE made;
--changeset shop:2 splitStatements:false
CREATE FUNCTION made_up() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
--rollback DROP FUNCTION made_up();
"""
_NOT_ALLOWED = """--liquibase formatted sql
--changeset shop:3
GRANT SELECT ON things TO PUBLIC;
"""


class Failed(Exception):
    """Liquibase said so."""


def liquibase(changes: str, *words: str) -> str:
    jars = [*_HOME.glob("internal/lib/liquibase-*.jar"), *_HOME.glob("internal/lib/*.jar")]
    jars = [jar for jar in jars if jar.name != "postgresql.jar"]
    path = ":".join(map(str, [*dict.fromkeys(jars), "/usr/share/java/postgresql.jar"]))
    address = f"jdbc:postgresql://{os.environ['PGHOST']}:{os.environ['PGPORT']}/{os.environ['PGDATABASE']}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "changes.sql").write_text(changes)
        options = [f"--url={address}", f"--username={os.environ['PGUSER']}", f"--password={os.environ['PGPASSWORD']}"]
        options += ["--changelog-file=changes.sql"]
        done = subprocess.run(
            [
                "java",
                "-Xshare:auto",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                path,
                _MAIN,
                f"--search-path={folder}",
                *words,
                *options,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if "ERROR" in line or "Unexpected" in line]
        raise Failed("\n".join(lines) or done.stderr[-1000:])
    return done.stdout + done.stderr


def main() -> None:
    version(re.findall(r"Changes in version (\S+)", (_HOME / "changelog.txt").read_text())[0])
    with does("connects", "status"):
        same("2 changesets" in liquibase(_CHANGES, "status"), True)
    with does("migration", "update, history, rollback-count"):
        liquibase(_CHANGES, "update")
        same("changes.sql" in liquibase(_CHANGES, "history"), True)
        liquibase(_CHANGES, "rollback-count", "--count=2")
    with refused("GRANT"):
        liquibase(_NOT_ALLOWED, "update")


if __name__ == "__main__":
    main()
