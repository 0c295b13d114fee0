"""How a statement's whole text is sealed at the gateway, and opened again.

AES-256-GCM under a key of the stream, which is itself sealed with `LOCKGATE_ENCRYPTION_KEYS` (`access.sealing`); the
stream's name is bound into it. What is sealed is the length of the text in eight bytes, the text, the parameters.
"""

from __future__ import annotations

import base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from access.errors import UnsealFailed
from access.sealing import seal, unseal
from connectors.base import Secret

#: Bytes of the length in front.
_LENGTH = 8


def sealed_key(key: bytes) -> str:
    """A stream's key, as it may lie on a disk and in the database."""
    return seal(Secret(base64.b64encode(key).decode()))


def unsealed_key(sealed: str) -> bytes:
    """The key behind it; raises `UnsealFailed`."""
    return base64.b64decode(unseal(sealed).reveal())


def sealed_text(box: AESGCM, *, nonce: bytes, stream: bytes, text: bytes, parameters: bytes) -> str:
    """What an entry holds. A nonce is used once under a key."""
    plain = len(text).to_bytes(_LENGTH, "big") + text + parameters
    return base64.b64encode(nonce + box.encrypt(nonce, plain, stream)).decode()


def opened_text(key: bytes, *, stream: bytes, sealed: str) -> tuple[str, bytes]:
    """The text and the parameters. Raises `UnsealFailed`."""
    raw = base64.b64decode(sealed)
    try:
        plain = AESGCM(key).decrypt(raw[:12], raw[12:], stream)
    except InvalidTag as error:
        raise UnsealFailed from error
    end = _LENGTH + int.from_bytes(plain[:_LENGTH], "big")
    return plain[_LENGTH:end].decode("utf-8", "backslashreplace"), plain[end:]
