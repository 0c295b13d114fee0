"""Passwords at rest: encrypted with the newest of the configured keys, readable with any of them.

To rotate, put a new key in front of `LOCKGATE_ENCRYPTION_KEYS`; the old one can go when the last grant that was made
under it has ended. `manage.py doctor` says when.
"""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from access.errors import UnsealFailed
from connectors.base import Secret


def seal(secret: Secret) -> str:
    """Ciphertext, as URL-safe text."""
    return _box().encrypt(secret.reveal().encode()).decode()


def unseal(ciphertext: str) -> Secret:
    """The secret behind `ciphertext`; raises `UnsealFailed`."""
    try:
        return Secret(_box().decrypt(ciphertext.encode()).decode())
    except InvalidToken as error:
        raise UnsealFailed from error


def needs_an_older_key(ciphertext: str) -> bool:
    """Whether the newest key cannot open it, so that another has to stay; raises `UnsealFailed` when none can."""
    unseal(ciphertext)
    try:
        Fernet(settings.LOCKGATE_ENCRYPTION_KEYS[0]).decrypt(ciphertext.encode())
    except InvalidToken:
        return True
    return False


def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.LOCKGATE_ENCRYPTION_KEYS])
