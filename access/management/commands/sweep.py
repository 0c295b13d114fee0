"""By hand what the sweep does on its schedule."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access import clock
from access.models import Server
from access.sweeping import SweepReport, sweep_server


class Command(BaseCommand):
    """`manage.py sweep [SERVER …]`."""

    help = "Compares servers with the grants; takes orphans away and names what differs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which servers."""
        parser.add_argument("servers", nargs="*", help="slugs of servers; all enabled ones without")

    def handle(self, *args: Any, **options: Any) -> None:
        """Sweep and print; exit status 1 when an orphan could not be removed or a server not be read."""
        servers = Server.objects.filter(is_enabled=True)
        if options["servers"]:
            servers = servers.filter(slug__in=options["servers"])
        reports = [sweep_server(server=server, now=clock.now()) for server in servers]
        for report in reports:
            self.stdout.write(_line(report))
        if any(report.error or report.orphans_left for report in reports):
            raise CommandError("Not everything is as it should be.")


def _line(report: SweepReport) -> str:
    if report.error:
        return f"{report.server}: not swept: {report.error}"
    parts = [f"{report.accounts} accounts of ours"]
    for word, names in (
        ("orphans removed", report.orphans_removed),
        ("orphans left", report.orphans_left),
        ("missing", report.missing),
        ("drift", report.drift),
    ):
        if names:
            parts.append(f"{word}: {', '.join(names)}")
    return f"{report.server}: {'; '.join(parts)}"
