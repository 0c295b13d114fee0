"""By hand what a worker does at the end of a window: take one grant away now."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from access import clock, provisioning
from access.models import Grant
from access.models.grants import EndReason
from access.services.door import begin_end, lock_grant
from access.states import GrantState
from audit.log import Actor


class Command(BaseCommand):
    """`manage.py revoke G-…`."""

    help = "Ends a grant now and prints the receipt. Exit status 1 when the read-back is not clean."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The grant's reference."""
        parser.add_argument("grant", help="reference of the grant, e.g. G-7K2M9QXT")

    def handle(self, *args: Any, **options: Any) -> None:
        """End it, revoke it, print what the server says."""
        grant = Grant.objects.filter(reference=options["grant"]).first()
        if grant is None:
            raise CommandError(f"There is no grant {options['grant']}. The Access page lists them.")
        with transaction.atomic():
            locked = lock_grant(grant.pk)
            if locked.state in (GrantState.SCHEDULED, GrantState.PROVISIONING, GrantState.ACTIVE):
                actor = Actor("command", "revoke", "manage.py revoke")
                begin_end(locked, why=EndReason.ENDED, actor=actor, now=clock.now())
        provisioning.revoke(grant_id=grant.pk, claimant="manage.py revoke")
        grant.refresh_from_db()
        self.stdout.write(json.dumps(grant.receipt, indent=2, ensure_ascii=False))
        if grant.is_living:
            raise CommandError(
                f"{grant.reference} is {grant.state}: {grant.last_error or 'a worker has it; try again'}"
            )
