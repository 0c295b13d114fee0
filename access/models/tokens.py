"""Personal tokens: what a person shows at the gateway to use one grant."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from access.models.grants import Grant
from access.models.references import make_reference


def token_reference() -> str:
    """A name for a token, which is none of its secret."""
    return make_reference("T")


class GatewayToken(models.Model):
    """A token of one grant. It opens nothing but that grant, and nothing after it."""

    reference = models.CharField(max_length=12, unique=True, default=token_reference, editable=False)
    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=60, blank=True)
    """What it is for, in its owner's words."""
    digest = models.CharField(max_length=64, unique=True)
    """SHA-256 of the token, which is 256 random bits: nothing that could be guessed needs a slower hash."""
    made_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    """When it last opened a session."""
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return self.reference
