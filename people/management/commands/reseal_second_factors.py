"""Part of changing the encryption keys: second factors live on, so what is sealed of them moves to the newest key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from people.second_factor import reseal


class Command(BaseCommand):
    """`manage.py reseal_second_factors`."""

    help = "Encrypts the secrets of authenticator apps and recovery codes under the newest of LOCKGATE_ENCRYPTION_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        """All of them, in one transaction."""
        self.stdout.write(f"{reseal()} second factors are sealed with the newest key.")
