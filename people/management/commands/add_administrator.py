"""Lets the first person in on a new installation, or another one on the day that no administrator can sign in."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import password_validators_help_texts, validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from audit.log import Actor
from people.administrators import add_administrator
from people.errors import PeopleError
from people.local_sign_in import BREAK_GLASS
from people.models import User

ACTOR = Actor("command", "add_administrator", "manage.py add_administrator")


class Command(BaseCommand):
    """`manage.py add_administrator EMAIL NAME [--password-file PATH]`."""

    help = "Adds a person who signs in with a password and is an administrator. Asks for the password twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who, and where the password comes from."""
        parser.add_argument("email", help="e-mail address, the name to sign in with")
        parser.add_argument("name", help="what others see, e.g. 'Erin Example'")
        parser.add_argument(
            "--password-file",
            metavar="PATH",
            help="read the password from this file instead of asking; - is standard input",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check everything that was typed, then add the person."""
        person = User(email=options["email"].strip(), display_name=options["name"].strip())
        try:
            person.clean_fields(exclude=["password"])
        except ValidationError as error:
            raise CommandError(_sentences(error)) from error
        if not person.display_name:
            raise CommandError("Say what the person is called.")
        password = _asked() if options["password_file"] is None else _read(options["password_file"])
        try:
            validate_password(password, person)
            add_administrator(email=person.email, display_name=person.display_name, password=password, actor=ACTOR)
        except ValidationError as error:
            raise CommandError(_sentences(error)) from error
        except PeopleError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{person.email} can sign in, and is an administrator.")
        if settings.LOCKGATE_LOCAL_SIGN_IN == BREAK_GLASS:
            # Here a password is of no use without a second factor, and the first cannot be set up in the browser.
            call_command("enrol_second_factor", person.email, stdout=self.stdout)


def _asked() -> str:
    if not sys.stdin.isatty():
        raise CommandError("There is no terminal to ask for the password; give --password-file.")
    sys.stderr.write("".join(f"{rule}\n" for rule in password_validators_help_texts()))
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise CommandError("The two passwords differ. Nobody was added.")
    return password


def _read(path: str) -> str:
    """The file's text; a line break at its end is not part of the password."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"The password's file cannot be read: {error.strerror}: {path}") from error
    return text.rstrip("\r\n")


def _sentences(error: ValidationError) -> str:
    return " ".join(error.messages)
