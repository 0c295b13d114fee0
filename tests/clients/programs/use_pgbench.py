"""pgbench with a script of one's own, in each mode."""

from __future__ import annotations

import subprocess
import tempfile

from tests.clients.programs.telling import MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version


class Failed(Exception):
    """pgbench said so."""


def pgbench(script: str, *options: str) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        words = ["pgbench", "--no-vacuum", f"--file={file.name}", *options]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise Failed(done.stderr)
    return done.stdout


def main() -> None:
    version(subprocess.run(["pgbench", "--version"], capture_output=True, text=True, check=True).stdout.split()[2])
    reads = "\\set id random(1, 3)\nSELECT item FROM orders WHERE id = :id;\n"
    clients = ("--client=4", "--transactions=25")
    with does("connects", "--connect"):
        same("100/100" in pgbench(reads, "--connect", *clients), True)
    with does("prepared", "-M prepared"):
        same("100/100" in pgbench(reads, "-M", "prepared", *clients), True)
    with does("batch", "\\startpipeline"):
        pipeline = f"\\startpipeline\n{reads}{reads}\\endpipeline\n"
        same("100/100" in pgbench(pipeline, "-M", "extended", *clients), True)
    if MAY_WRITE:
        with does("transactions", "reads and writes"):
            insert = "INSERT INTO things (name) VALUES ('x') RETURNING id AS it \\gset"
            update = "UPDATE things SET name = 'y' WHERE id = :it"
            writes = f"BEGIN;\n{insert}\n{update};\nEND;\n"
            same("100/100" in pgbench(writes, *clients), True)
    with refused():
        pgbench(NOT_ALLOWED_SQL + ";\n", "--transactions=1")


if __name__ == "__main__":
    main()
