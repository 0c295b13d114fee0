"""Grants: what approved requests became, and what ran on the servers for them."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from access.models.references import grant_reference
from access.models.requests import AccessRequest
from access.models.servers import Server
from access.states import LIVING, GrantState
from access.window import Window

_LIVES = Q(state__in=sorted(LIVING))


class EndReason(models.TextChoices):
    """Why a grant ended."""

    EXPIRED = "expired", "The window ended"
    RETURNED = "returned", "Given back early"
    ENDED = "ended", "Ended by somebody in charge"
    FAILED = "failed", "The account could not be made"
    CANCELLED = "cancelled", "Cancelled before it began"


class Grant(models.Model):
    """Access for one window. The row holds all that its own revocation needs, whatever happens to its access role."""

    reference = models.CharField(max_length=12, unique=True, default=grant_reference, editable=False)
    request = models.OneToOneField(AccessRequest, on_delete=models.PROTECT, related_name="grant")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="grants")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="grants")
    address = models.JSONField()
    """Where the account was made: engine, host, port, database."""
    server_identity = models.CharField(max_length=300, blank=True)
    """What the server was on which the account was made; empty before that, and where the server could not tell."""
    principal = models.CharField(max_length=128, unique=True)
    identifier = models.CharField(max_length=200, blank=True)
    """What the server knows the account by whatever it is called later (an OID, a SID), in the connector's own words."""
    identity = models.CharField(max_length=128, blank=True)
    """Who comes in as themselves, as their directory names them; empty where an account is made."""
    scope = models.JSONField()
    limits = models.JSONField()
    gateway = models.JSONField(default=dict, blank=True)
    """What it may do at the gateway; empty for those from before there was one, which do not pass it."""
    heir = models.CharField(max_length=63)
    approving_teams = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    """Slugs of the teams that some step of its request asks, as frozen there: whose people may see it and end it."""
    state = models.CharField(
        max_length=12, choices=[(state.value, state.value) for state in GrantState], default=GrantState.SCHEDULED
    )
    duration = models.DurationField()
    starts_at = models.DateTimeField()
    """Planned until the account is usable; from then on the moment when it was proved to be."""
    ends_at = models.DateTimeField()
    extend_to = models.DateTimeField(null=True, blank=True)
    """A later end that was approved and that the server does not hold yet."""
    password = models.TextField(blank=True)
    """Encrypted, for the gateway, which logs in as the principal; emptied when the grant ends. Shown to its owner once."""
    password_shown_at = models.DateTimeField(null=True, blank=True)
    questioned_at = models.DateTimeField(null=True, blank=True)
    """Since when its owner is in no team any more that may have it, and nobody has decided what becomes of it."""
    is_break_glass = models.BooleanField(default=False)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="reviews"
    )
    review = models.TextField(blank=True)
    end_reason = models.CharField(max_length=10, choices=EndReason.choices, blank=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="ended_grants"
    )
    ending_since = models.DateTimeField(null=True, blank=True)
    """When the access should have been gone; the alarm counts from here."""
    activated_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    receipt = models.JSONField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    claimed_by = models.CharField(max_length=64, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    holder = models.IntegerField(null=True, blank=True)
    """The presence (`access.presence`) of the process that claimed it, with which the claim ends; empty where it has none."""
    queued_until = models.DateTimeField(null=True, blank=True)
    waits_for_server = models.BooleanField(default=False)
    """The server did not answer: the next attempt is due as soon as it does, whatever `next_attempt_at` says."""
    alarmed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["ends_at", "id"], condition=_LIVES, name="access_grant_living"),
            models.Index(fields=["person", "-id"], name="access_grant_mine"),
            models.Index(fields=["person", "ends_at", "id"], condition=_LIVES, name="access_grant_mine_living"),
            models.Index(fields=["server"], condition=_LIVES, name="access_grant_of_server"),
            GinIndex(fields=["approving_teams"], condition=_LIVES, name="access_grant_of_teams"),
            # What every page asks: is anything past its end, is anything in question? Most of the time these are empty.
            models.Index(fields=["ending_since"], condition=Q(state="revoking"), name="access_grant_ending"),
            models.Index(
                fields=["questioned_at", "id"],
                condition=Q(questioned_at__isnull=False, state__in=["active", "provisioning", "scheduled"]),
                name="access_grant_questioned",
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="access_grant_window"),
            models.CheckConstraint(
                condition=Q(extend_to__isnull=True) | Q(extend_to__gt=F("ends_at")), name="access_grant_extension"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=[GrantState.REVOKED, GrantState.FAILED])
                | Q(receipt__isnull=False, closed_at__isnull=False, password=""),
                name="access_grant_receipt",
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def window(self) -> Window:
        """The time in which the grant may be used."""
        return Window(self.starts_at, self.ends_at)

    @property
    def is_living(self) -> bool:
        """Whether something may still exist on the server."""
        return self.state in LIVING

    @property
    def needs_review(self) -> bool:
        """Taken by breaking the glass, and nobody has looked at it yet."""
        return self.is_break_glass and self.reviewed_at is None

    @property
    def time_taken_to_end(self) -> timedelta | None:
        """From the moment when the access should have been gone to the proof that it was."""
        if self.closed_at is None or self.ending_since is None:
            return None
        return self.closed_at - self.ending_since


class Direction(models.TextChoices):
    """Which way a statement worked."""

    PROVISION = "provision", "Provision"
    EXTEND = "extend", "Extend"
    REVOKE = "revoke", "Revoke"


class JournalLine(models.Model):
    """One statement that ran on a server for a grant, secrets out."""

    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="journal")
    direction = models.CharField(max_length=10, choices=Direction.choices)
    attempt = models.PositiveIntegerField(default=0)
    at = models.DateTimeField()
    database = models.CharField(max_length=128, blank=True)
    sql = models.TextField()
    note = models.TextField(blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.sql[:80]
