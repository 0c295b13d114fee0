"""Where the secrets of Lockgate's own accounts may be sent: each is bound to the addresses that it was first used for."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from access.models.servers import Server
from connectors.base import Tls


class SecretUse(models.Model):
    """One secret, and one address that it may be sent to, or may once another administrator has confirmed it.

    A secret goes to whatever listens at the address beside it, so whoever may write both could have the password of another
    server sent to themself.
    """

    place = models.CharField(max_length=700)
    """Which secret, as `access.credentials.places` names it; never the secret itself."""
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField()
    tls = models.CharField(max_length=20, default=Tls.VERIFY_FULL.value)
    """The encryption with which it was asked for; more than that takes nobody's word."""
    tls_ca_file = models.CharField(max_length=500, blank=True)
    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="secret_uses")
    """For which entry it was asked for."""
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="secret_uses"
    )
    since = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    """Empty: it is held back. The first address of a secret needs nobody's word."""

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["place", "host", "port", "tls", "tls_ca_file"], name="access_secret_use_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.place} at {self.host}:{self.port}"

    @property
    def scheme(self) -> str:
        """All of it that a page or the audit trail tells."""
        return f"{self.place.partition(':')[0]}:"
