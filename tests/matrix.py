"""`make test-servers`: the suites that talk to a server under management, on every version that Lockgate supports.

Runs pytest once a version, each with servers of its own, and writes what passed, failed and was skipped into the table that
docs/engines/versions.md and the README carry. `--only postgresql-18 mariadb-11.8` runs some of them and leaves the other rows
as they are; `--suites connectors` runs one suite, and leaves the others' cells. Fails when anything failed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from connectors import registry
from deploy.local import processes, versions
from deploy.local.installed import ROOT
from deploy.local.progress import say

PAGE = ROOT / "docs" / "engines" / "versions.md"
README = ROOT / "README.md"
SUITES = ("connectors", "lifecycle", "gateway")
_BEGIN, _END = "<!-- versions -->", "<!-- end of versions -->"
_ROW = re.compile(r"^\| (?P<name>(PostgreSQL|MariaDB) [\d.]+) \|", re.MULTILINE)


@dataclass
class Row:
    """What one version did: how many of each suite passed, failed and were skipped, and why they were."""

    engine: str
    version: str
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {suite: Counter() for suite in SUITES})
    exact: str = ""

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{registry.ENGINE_LABELS[self.engine]} {self.version}"

    @property
    def failed(self) -> int:
        """In all suites."""
        return sum(counted["failed"] for counted in self.counts.values())

    def line(self, before: str = "") -> str:
        """The row of the table; a suite that was not run now keeps what it said before."""
        earlier = dict(zip(SUITES, before.strip("| ").split(" | ")[2:], strict=False))
        cells = [self.name, self.exact or "", *(_cell(self.counts[suite], earlier.get(suite, "–")) for suite in SUITES)]
        return f"| {' | '.join(cells)} |"


def _cell(counted: Counter[str], earlier: str) -> str:
    if not counted:
        return earlier
    words = [f"{counted['passed']} passed"]
    words += [f"**{counted['failed']} failed**"] if counted["failed"] else []
    words += [f"{counted['skipped']} skipped"] if counted["skipped"] else []
    return ", ".join(words)


def rows() -> list[Row]:
    """Every version, in the table's order."""
    postgresql = [Row("postgresql", major) for major in sorted(versions.postgresql_versions(), key=int)]
    mariadb = [Row("mariadb", version) for version in (versions.SYSTEM_MARIADB, *versions.MARIADB_SUITES)]
    return [*postgresql, *mariadb]


def run(row: Row, workers: int, wanted: Sequence[str]) -> None:
    """Run the suites that are wanted on this version, and count."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOCKGATE_TEST_")}
    if not (row.engine == "mariadb" and row.version == versions.SYSTEM_MARIADB):
        environment[f"LOCKGATE_TEST_{row.engine.upper()}_VERSION"] = row.version
    if (row.engine, row.version) in {("postgresql", major) for major in versions.UPGRADE_SUITES}:
        environment["LOCKGATE_TEST_POSTGRESQL_UPGRADE"] = environment["LOCKGATE_TEST_POSTGRESQL_RESTORE"] = row.version
    # The gateway speaks PostgreSQL's protocol alone, and none of its tests says so in its name.
    suites, words = (SUITES, "postgresql or gateway") if row.engine == "postgresql" else (SUITES[:2], row.engine)
    suites = tuple(suite for suite in suites if suite in wanted)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            f"--numprocesses={workers}",
            "--dist=loadgroup",
            "-q",
            # As where changes are judged: what comes late on a busy machine may come at the second attempt.
            "--reruns=1",
            "-rfER",
            f"--junit-xml={report}",
        ]
        subprocess.run(
            [*command, "-k", words, *(f"tests/{suite}" for suite in suites)], cwd=ROOT, env=environment, check=False
        )
        _count(row, report)


def _count(row: Row, report: Path) -> None:
    # One that was tried twice stands there twice; the second counts.
    cases = {(case.get("classname"), case.get("name")): case for case in ElementTree.parse(report).iter("testcase")}
    for case in cases.values():
        suite = case.get("classname", "").split(".")[1]
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        row.counts[suite][outcome] += 1


def exact_version(row: Row) -> str:
    """As the program itself tells it, fetched where it is not there yet: `18.4`."""
    if row.engine == "postgresql":
        program = versions.postgresql(row.version) / "postgres"
    elif row.version == versions.SYSTEM_MARIADB:
        program = Path(processes.program("mariadbd"))
    else:
        program = versions.mariadb(row.version) / "usr" / "sbin" / "mariadbd"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return next(iter(re.findall(r"\d+\.[\d.]*\d", said.removeprefix(str(program)))), "")


def write(done: list[Row]) -> None:
    """Put the rows that were run into the page and the README; the others stay as they were."""
    for path in (PAGE, README):
        text = path.read_text()
        head, _, rest = text.partition(_BEGIN)
        table, _, tail = rest.partition(_END)
        kept = {found["name"]: line for line in table.splitlines() if (found := _ROW.match(line))}
        kept |= {row.name: row.line(kept.get(row.name, "")) for row in done}
        order = [row.name for row in rows()]
        lines = [kept[name] for name in order if name in kept]
        title = f"| server | tried on | {' | '.join(SUITES)} |\n|---|---|{'---|' * len(SUITES)}"
        path.write_text(f"{head}{_BEGIN}\n{title}\n" + "\n".join(lines) + f"\n{_END}{tail}")


def main() -> int:
    """Run what was asked for; the number of versions on which something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="ENGINE-VERSION")
    parser.add_argument("--suites", nargs="+", default=SUITES, choices=SUITES)
    parser.add_argument("--workers", type=int, default=4)
    arguments = parser.parse_args()
    chosen = [row for row in rows() if not arguments.only or f"{row.engine}-{row.version}" in arguments.only]
    for row in chosen:
        row.exact = exact_version(row)
        say(f"\n{row.name}: {row.exact}")
        run(row, arguments.workers, arguments.suites)
        write([row])
    for row in chosen:
        say(row.line())
    return sum(1 for row in chosen if row.failed or not any(row.counts.values()))


if __name__ == "__main__":
    sys.exit(main())
