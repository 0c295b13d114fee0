"""For somebody whose account at the identity provider was made anew: lets the new one take their account here."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit.log import Actor
from people.models import User
from people.sso.arrival import detach


class Command(BaseCommand):
    """`manage.py detach_identity EMAIL [--provider NAME]`."""

    help = (
        "Forgets which identity at a provider a person is, so that the next one that arrives with their verified address is"
        " them. Their sessions end; teams, requests and access stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose, and where."""
        parser.add_argument("email", help="e-mail address of the person")
        parser.add_argument(
            "--provider", help="short name of the provider, as in LOCKGATE_SSO; needed where there are several"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Detach, and say what was."""
        person = User.objects.filter(email__iexact=options["email"].strip()).first()
        if person is None:
            raise CommandError("Nobody has this e-mail address. Settings, People lists everybody.")
        provider = self._provider(options["provider"])
        gone = detach(
            person=person, provider=provider, actor=Actor("command", "detach_identity", "manage.py detach_identity")
        )
        if not gone:
            raise CommandError(f"{person.email} has no identity at {provider}: there is nothing to detach.")
        for key in gone:
            self.stdout.write(
                f"Detached {key}. Whoever next signs in at {provider} as {person.email} gets this account."
            )

    def _provider(self, named: str | None) -> str:
        known = list(settings.LOCKGATE_SSO)
        if named is None and len(known) == 1:
            return known[0]
        if named not in known:
            raise CommandError(f"Name the provider with --provider: {', '.join(known) or 'none is configured'}.")
        return named
