"""Ed25519 keys of checkpoints: what they are called, what they sign. Pure but for the settings."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings


class Signer:
    """One of the configured keys."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw().hex()
        self.key_id = key_id(self.public_key)

    def sign(self, content: bytes) -> str:
        """The signature, as 128 hexadecimal digits."""
        return self._key.sign(content).hex()


def configured() -> list[Signer]:
    """The keys of `LOCKGATE_CHECKPOINT_KEY`, newest first."""
    return [Signer(seed) for seed in settings.LOCKGATE_CHECKPOINT_KEYS]


def key_id(public_key: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the raw public key."""
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:16]


def is_signed_by(public_key: str, signature: str, content: bytes) -> bool:
    """Whether the signature is one of this key over this content."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True
