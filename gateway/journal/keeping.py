"""What of a statement's text goes into its entry, as the role's rules say; whole texts only sealed.

A sealed text is AES-256-GCM under a key of its stream. The key lies beside the journal and in the console's database,
itself encrypted with `LOCKGATE_ENCRYPTION_KEYS`, and is in no entry: so it can be encrypted anew when those keys are
rotated, and destroyed, without touching the record.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from access.gateway_rules import Keep
from access.statement_sealing import sealed_text
from audit.redaction import without_tokens
from gateway.recording import Examined


class Keeper:
    """Makes what is kept, for one stream."""

    def __init__(self, *, longest: int, seal: Callable[[bytes], str]) -> None:
        key = AESGCM.generate_key(256)
        self.sealed_key = seal(key)
        self._box = AESGCM(key)
        self._stream = b""
        self._longest = longest
        # No number is used twice under one key, also when the entry it was for is never written.
        self._used = int.from_bytes(os.urandom(4), "big") << 64

    def bind(self, stream: bytes) -> None:
        """From now on each text is sealed for this stream."""
        self._stream = stream

    def kept(self, keep: Keep, examined: Examined, text: str, parameters: bytes) -> dict[str, Any]:
        """Members for the entry; empty when nothing of the text is kept."""
        if keep is Keep.SHAPE:
            # A literal is in no shape; a token that somebody wrote as a name would be.
            shape = without_tokens(examined.shape)
            if len(shape) <= self._longest:
                return {"shape": shape}
            return {"shape": shape[: self._longest], "shortened": True}
        if keep is Keep.TEXT:
            return self._sealed(text, parameters)
        return {}

    def _sealed(self, text: str, parameters: bytes) -> dict[str, Any]:
        encoded = text.encode("utf-8", "surrogateescape")
        shortened = len(encoded) + len(parameters) > self._longest
        encoded = encoded[: self._longest]
        parameters = parameters[: self._longest - len(encoded)]
        self._used += 1
        nonce = self._used.to_bytes(12, "big")
        sealed = sealed_text(self._box, nonce=nonce, stream=self._stream, text=encoded, parameters=parameters)
        return {"sealed": sealed, "shortened": True} if shortened else {"sealed": sealed}
