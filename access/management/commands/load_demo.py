"""Loads the demo world, once; a second run changes nothing."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from access.demo import estates, history, people, world
from access.models import Server
from access.services import servers
from audit import verification


class Command(BaseCommand):
    """`manage.py load_demo [--who]`."""

    help = "Loads people, servers, access roles and some history to try Lockgate with. For development only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whether only to say who can sign in."""
        parser.add_argument("--who", action="store_true", help="only print who can sign in")

    def handle(self, *args: Any, **options: Any) -> None:
        """Load what is not there yet, and say who can sign in."""
        if not settings.DEVELOPMENT:
            raise CommandError(
                "The demo's passwords are known to everybody: it loads with LOCKGATE_ENV=development only."
            )
        if not options["who"] and not Server.objects.exists():
            self._load()
        self.stdout.write(people.who_can_sign_in())

    def _load(self) -> None:
        orders, stock = estates.orders(), estates.catalogue()
        everybody, teams = people.make_people()
        erin = everybody["erin"]
        orders_server, stock_server = world.make_servers(erin, orders, stock)
        policies = world.make_policies(erin, teams)
        roles = world.make_roles(erin, orders_server, stock_server, policies)
        servers.check_all(now=timezone.now())
        history.tell(everybody, roles)
        verification.verify(now=timezone.now())
