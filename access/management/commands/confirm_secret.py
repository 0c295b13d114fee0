"""Lets a secret that is held back go to its server's address, where there is no second administrator to confirm it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.models import SecretUse
from access.services.catalogue import confirm_secret
from audit.log import Actor

_ACTOR = Actor("command", "confirm_secret", "manage.py confirm_secret")


class Command(BaseCommand):
    """`manage.py confirm_secret orders`."""

    help = "Confirms that the secret of a server may be sent to the server's address. For whoever runs this machine."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The server's short name."""
        parser.add_argument("server", help="short name of the server, e.g. orders")

    def handle(self, *args: Any, **options: Any) -> None:
        """Confirm, and say which addresses."""
        uses = list(SecretUse.objects.filter(server__slug=options["server"], confirmed_at=None))
        if not uses:
            raise CommandError(f"No secret of {options['server']} is held back. The Servers page lists the servers.")
        for use in uses:
            confirm_secret(actor=_ACTOR, person=None, use=use)
            self.stdout.write(f"The secret from {use.scheme} may be sent to {use.host}:{use.port}.")
