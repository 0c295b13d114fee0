"""Loads the demo world, once; a second run changes nothing."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from access import clock
from access.demo import estates, history, people, world
from access.models import AccessRequest, AccessRole, Server
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
        if not options["who"]:
            if not Server.objects.exists():
                self._make_world()
            if not AccessRequest.objects.exists():
                self._tell_history()
        self.stdout.write(people.who_can_sign_in())

    def _make_world(self) -> None:
        try:
            orders, stock = estates.orders(), estates.catalogue()
        except (estates.DemoServerMissing, estates.DemoSqlFailed) as error:
            raise CommandError(str(error)) from error
        with transaction.atomic():
            everybody, teams = people.make_people()
            orders_server, stock_server = world.make_servers(everybody["erin"], orders, stock)
            policies = world.make_policies(everybody["erin"], teams)
            world.make_roles(everybody["erin"], orders_server, stock_server, policies)
        servers.check_all(now=clock.now())

    def _tell_history(self) -> None:
        history.tell(people.everybody(), {role.slug: role for role in AccessRole.objects.all()})
        verification.verify(now=clock.now())
