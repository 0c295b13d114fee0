"""Rights that wait for a second administrator."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from access.models.servers import AccessRole


class HeldBack(models.Model):
    """An administrator changed the rules so that they could take `role` without anybody's consent.

    Until another administrator confirms, they cannot: otherwise editing a policy would be approving oneself.
    """

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="held_back")
    role = models.ForeignKey(AccessRole, on_delete=models.CASCADE, related_name="held_back")
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["person", "role"], name="access_held_back_once")]

    def __str__(self) -> str:
        return f"{self.role} for {self.person}"
