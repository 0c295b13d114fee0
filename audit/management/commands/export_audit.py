"""Writes what a search of the audit log finds to a file or to standard output."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, CommandError

from audit.errors import BadFilter
from audit.evidence import evidence
from audit.export import Format, export
from audit.log import Actor
from audit.search import Filters


class Command(BaseCommand):
    """`manage.py export_audit`."""

    help = "Exports the audit log, oldest entry first. The export is itself recorded in the log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The same filters as the Audit page has in its address."""
        parser.add_argument("--format", choices=[form.value for form in Format], default=Format.JSONL.value)
        parser.add_argument(
            "--evidence",
            action="store_true",
            help="everything instead: log, statements, checkpoints and their keys, for lockgate_verify.py; no filters",
        )
        parser.add_argument("--output", metavar="FILE", help="instead of standard output; must not exist yet")
        parser.add_argument("--person", default="", help="e-mail or id: what they did and what has to do with them")
        parser.add_argument("--actor", default="", metavar="KIND:ID", help="only what they did")
        parser.add_argument("--subject", default="", metavar="KIND:ID", help="for example request:R-12")
        parser.add_argument("--server", default="", metavar="SLUG")
        parser.add_argument("--event", default="", help="for example request.approved,grant.*")
        parser.add_argument("--from", default="", metavar="TIME", help="a day or a time, UTC unless it has a zone")
        parser.add_argument("--to", default="", metavar="TIME", help="a time, excluded, or a day, included")
        parser.add_argument("--text", default="", help="part of a reason, a label, an address or a request id")

    def handle(self, *args: Any, **options: Any) -> None:
        """Record, then write."""
        query = {name: value for name, value in options.items() if isinstance(value, str)}
        try:
            filters = Filters.from_query({**query, "person": _person_id(options["person"])})
        except BadFilter as error:
            raise CommandError(str(error)) from error
        actor = Actor("command", "export_audit", f"manage.py export_audit by {getpass.getuser()}")
        if options["evidence"] and filters:
            raise CommandError("Evidence is whole or it is none: leave the filters away.")
        if options["output"] is None:
            self.stdout.ending = ""
            for line in _lines(filters, options, actor):
                self.stdout.write(line)
            return
        try:
            # Newlines as the writer made them: CSV has its own.
            target = open(options["output"], "x", encoding="utf-8", newline="")  # noqa: SIM115 - closed below
        except OSError as error:
            raise CommandError(f"Cannot write to {options['output']}: {error.strerror}.") from error
        with target:
            target.writelines(_lines(filters, options, actor))
        sys.stderr.write(f"Written to {options['output']}.\n")


def _lines(filters: Filters, options: dict[str, Any], actor: Actor) -> Iterator[str]:
    return evidence(actor=actor) if options["evidence"] else export(filters, Format(options["format"]), actor=actor)


def _person_id(text: str) -> str:
    if "@" not in text:
        return text
    try:
        return str(get_user_model()._default_manager.get_by_natural_key(text.strip()).pk)
    except ObjectDoesNotExist:
        raise CommandError(f"Nobody has the e-mail {text}.") from None
