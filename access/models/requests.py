"""Requests, the votes on them and the conversation about them."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from access.content import Content
from access.models.references import request_reference
from access.models.servers import AccessRole
from access.quorum import Verdict
from access.states import RequestState


class AccessRequest(models.Model):
    """One person's ask. `content` is what approvers vote on; `content_hash` names it."""

    reference = models.CharField(max_length=12, unique=True, default=request_reference, editable=False)
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="requests")
    role = models.ForeignKey(AccessRole, on_delete=models.PROTECT, related_name="requests")
    state = models.CharField(
        max_length=10, choices=[(state.value, state.value) for state in RequestState], default=RequestState.PENDING
    )
    duration = models.DurationField()
    reason = models.TextField()
    ticket = models.CharField(max_length=100, blank=True)
    wished_start = models.DateTimeField(null=True, blank=True)
    principal = models.CharField(max_length=128)
    """The account that this request will make, or (for an extension) already has."""
    content = models.JSONField()
    content_hash = models.CharField(max_length=64)
    terms = models.JSONField()
    """The policy as it applied at submission, `access.terms.Terms` as JSON."""
    waits_for = models.CharField(max_length=50, blank=True, default="")
    """Slug of the team whose votes it waits for now; empty once decided. Whatever changes that writes it in the same
    transaction: 'what waits for me' is asked by every page, and the votes of thousands cannot be counted for it."""
    extends = models.ForeignKey(
        "access.Grant", on_delete=models.PROTECT, null=True, blank=True, related_name="extensions"
    )
    granted_duration = models.DurationField(null=True, blank=True)
    """What was approved; shorter than `duration` when an approver cut it."""
    is_break_glass = models.BooleanField(default=False)
    submitted_at = models.DateTimeField()
    lapses_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["requester", "-id"], name="access_request_mine"),
            models.Index(fields=["lapses_at"], condition=Q(state="pending"), name="access_request_open"),
            # 'What waits for my teams', oldest first: by the team where few wait for it, along the ids where many do.
            models.Index(fields=["waits_for", "id"], condition=Q(state="pending"), name="access_request_waiting"),
            models.Index(fields=["id"], condition=Q(state="pending"), name="access_request_pending"),
            models.Index(fields=["requester", "id"], condition=Q(state="pending"), name="access_request_mine_open"),
            models.Index(fields=["role", "-id"], name="access_request_of_role"),
            # 'Which requests ask one of my teams' is a containment in the frozen terms.
            GinIndex(fields=["terms"], opclasses=["jsonb_path_ops"], name="access_request_terms"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(lapses_at__gt=F("submitted_at")), name="access_request_open_first"),
            models.CheckConstraint(
                condition=Q(granted_duration__isnull=True) | Q(granted_duration__lte=F("duration")),
                name="access_request_not_longer",
            ),
            models.CheckConstraint(
                condition=Q(state="pending") | Q(waits_for=""), name="access_request_decided_waits_for_nobody"
            ),
            models.UniqueConstraint(
                fields=["requester", "role"],
                condition=Q(state="pending", extends__isnull=True),
                name="access_request_open_once",
            ),
            models.UniqueConstraint(
                fields=["extends"], condition=Q(state="pending"), name="access_request_extension_open_once"
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def frozen(self) -> Content:
        """What was asked for, as it was frozen; raises `ValueError` when the row does not carry the hashed content."""
        return Content.from_json(self.content, self.content_hash)

    @property
    def is_open(self) -> bool:
        """Still waiting for votes."""
        return self.state == RequestState.PENDING


class Vote(models.Model):
    """One approver's verdict on one content. Immutable: triggers refuse changes, and any vote by the requester."""

    request = models.ForeignKey(AccessRequest, on_delete=models.PROTECT, related_name="votes")
    voter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="votes")
    verdict = models.CharField(max_length=10, choices=[(verdict.value, verdict.value) for verdict in Verdict])
    content_hash = models.CharField(max_length=64)
    team = models.CharField(max_length=50)
    """Slug of the team for which the voter spoke."""
    duration = models.DurationField(null=True, blank=True)
    """Set when the voter agrees to less time than asked for."""
    comment = models.TextField(blank=True)
    cast_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["request", "voter", "content_hash"], name="access_vote_once")
        ]

    def __str__(self) -> str:
        return f"{self.verdict} by {self.voter}"


class Comment(models.Model):
    """One line of the conversation on a request."""

    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="comments")
    text = models.TextField()
    written_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.text[:50]
