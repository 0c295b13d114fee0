"""pg_dump, the one that PG_DUMP names: the schema, the data, one table; into a file that pg_restore reads."""

from __future__ import annotations

import os
import subprocess
import tempfile

from tests.clients.programs.telling import does, same, version

PG_DUMP = os.environ["PG_DUMP"]


def pg_dump(*options: str) -> str:
    done = subprocess.run([PG_DUMP, *options], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode or done.stderr:
        raise AssertionError(done.stderr)
    return done.stdout


def main() -> None:
    version(pg_dump("--version").split()[2])
    with does("connects", "--schema-only"):
        same("CREATE TABLE public.orders" in pg_dump("--schema-only"), True)
    with does("bulk", "data by COPY"):
        same("milk" in pg_dump("--data-only"), True)
    with does("batch", "--inserts --rows-per-insert"):
        same("INSERT INTO public.orders" in pg_dump("--inserts", "--rows-per-insert=100"), True)
    with does("one table", "--table, --serializable-deferrable"):
        same("milk" in pg_dump("--table=orders", "--serializable-deferrable"), True)
    with tempfile.TemporaryDirectory() as folder, does("in parallel", "--format=directory --jobs=3"):
        pg_dump("--format=directory", "--jobs=3", f"--file={folder}/dump")
        listed = subprocess.run(
            [PG_DUMP.replace("pg_dump", "pg_restore"), "--list", f"{folder}/dump"], capture_output=True
        )
        same(b"TABLE DATA public orders" in listed.stdout, True)


if __name__ == "__main__":
    main()
