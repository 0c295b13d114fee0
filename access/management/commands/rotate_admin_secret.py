"""A new password for Lockgate's own account on one server, for a schedule of one's own."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.errors import AccessError
from access.models import Server
from access.services.rotation import rotate_as
from audit.log import Actor
from connectors.errors import ConnectorError

_ACTOR = Actor("command", "rotate_admin_secret", "manage.py rotate_admin_secret")


class Command(BaseCommand):
    """`manage.py rotate_admin_secret orders`."""

    help = "Makes a new password for Lockgate's account on a server, proves it by a login, then forgets the old one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The server's short name."""
        parser.add_argument("server", help="short name of the server, e.g. orders")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate, or say in words why not."""
        server = Server.objects.filter(slug=options["server"]).first()
        if server is None:
            raise CommandError(f"There is no server {options['server']}. The Servers page lists them.")
        try:
            rotate_as(actor=_ACTOR, server=server)
        except (AccessError, ConnectorError) as error:
            raise CommandError(f"{error} Lockgate still gets in as before.") from error
        self.stdout.write(f"{server.slug}: {server.admin_user} has a new password; the old one gets in no more.")
