"""Which Lockgate this is, among others that may work on the same servers."""

from __future__ import annotations

from django.db import models


class Installation(models.Model):
    """The mark that this Lockgate leaves beside the accounts that it makes; see `access.installation`. One row at most."""

    mark = models.CharField(max_length=12)

    def __str__(self) -> str:
        return self.mark
