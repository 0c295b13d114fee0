"""What the sweep found on servers that no grant explains."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from access.models.servers import Server


class FindingKind(models.TextChoices):
    """What is wrong."""

    ORPHAN = "orphan", "An account of ours without a living grant"
    MISSING = "missing", "A living grant without its account"
    DRIFT = "drift", "An account that differs from its grant"
    COPY = "copy", "A copy of an account that lives on another server"


class SweepFinding(models.Model):
    """One difference between the grants and a server; open until a later sweep no longer sees it."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=10, choices=FindingKind.choices)
    principal = models.CharField(max_length=128)
    detail = models.TextField()
    found_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    receipt = models.JSONField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(
                fields=["server", "-settled_at"], condition=Q(settled_at__isnull=False), name="access_finding_settled"
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["server", "kind", "principal"],
                condition=Q(settled_at__isnull=True),
                name="access_finding_open_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.principal}"
