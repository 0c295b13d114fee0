"""Gives somebody an authenticator app: before an administrator's first sign-in, or when theirs is lost."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import qrcode  # type: ignore[import-untyped]
from django.core.management.base import BaseCommand, CommandError

from people.models import User
from people.second_factor import enrol


class Command(BaseCommand):
    """`manage.py enrol_second_factor EMAIL`."""

    help = "Sets up an authenticator app for a person in place of the one they had, and prints its secret once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whom."""
        parser.add_argument("email", help="e-mail address that the person signs in with")

    def handle(self, *args: Any, **options: Any) -> None:
        """Enrol them, and print what they have to keep."""
        person = User.objects.filter(email__iexact=options["email"].strip(), is_active=True).first()
        if person is None:
            raise CommandError("No active person has this e-mail address.")
        enrolment = enrol(person=person)
        picture = qrcode.QRCode()
        picture.add_data(enrolment.address)
        picture.print_ascii(out=self.stdout)
        self.stdout.write("Scan this with an authenticator app, or type the secret into it. It is not shown again.")
        self.stdout.write(f"Secret: {enrolment.secret}")
        self.stdout.write(f"Recovery codes, each for one sign-in: {' '.join(enrolment.recovery_codes)}")
