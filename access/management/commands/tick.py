"""By hand what the clock does every second: find what is due, and do it here, without workers."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Q

from access import claims, clock, presence, provisioning
from access.models import Grant
from access.states import GrantState
from access.ticking import BATCH, beginning, ending


class Command(BaseCommand):
    """`manage.py tick`."""

    help = "Does everything that is due now: ends, extensions, beginnings. For the day the workers are gone."

    def handle(self, *args: Any, **options: Any) -> None:
        """Take what is due and work on it in this process."""
        presence.begin()
        presence.hold()
        now = clock.now()
        steps = (
            ("revoked", ending(now), provisioning.revoke),
            ("extended", Q(state=GrantState.ACTIVE, extend_to__isnull=False), provisioning.extend),
            ("provisioned", beginning(now), provisioning.provision),
        )
        for word, due, work in steps:
            for grant_id in claims.take_due(due, limit=BATCH, now=now):
                work(grant_id=grant_id, claimant="manage.py tick")
                grant = Grant.objects.get(pk=grant_id)
                self.stdout.write(f"{word}: {grant.reference} {grant.principal} is {grant.state} {grant.last_error}")
