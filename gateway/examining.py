"""What is known of a statement's text before it runs: understood once for all texts that differ in constants alone.

Short texts are understood at once. Long ones are not, since everybody else would wait: `Examiner.glance` says None for them,
and `gateway.reading` understands them elsewhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache
from typing import Final

from access.gateway_rules import Rules
from gateway.policy import decide
from gateway.reading import understand
from gateway.recording import Examined
from gateway.statements import POSTGRESQL, Statement, Understood
from gateway.statements.postgresql.shape import blanked, read_only

#: Texts up to this many characters are understood at once: three milliseconds at the most.
SHORT: Final = 2_000
#: Up to this many, it is worth to look whether only constants are new.
_BLANKED: Final = 16_000
#: How much one set of rules remembers: texts, and characters of them and of their shapes.
_MOST_KNOWN: Final = 4_096
_MOST_CHARACTERS: Final = 8_000_000
_MOST_RULES: Final = 256
#: Of `Examined.encoding`: the one that the session began with.
DEFAULT_ENCODING: Final = "*"


class Examiner:
    """Understands statements under one set of rules."""

    def __init__(self, rules: Rules, dialect: str) -> None:
        self.dialect = dialect
        self._rules = rules
        self._known: dict[str, Examined] = {}
        self._characters = 0

    def __call__(self, text: str) -> Examined:
        """What is known of the text, however long that takes."""
        return self.glance(text) or self.examined(text, understand(text, self.dialect))

    def glance(self, text: str) -> Examined | None:
        """What is known of the text; None where it would take long to know."""
        digest = digest_of(text)
        key = self._key(text, digest)
        known = self._known.get(key)
        if known is not None:
            # What is sent instead has a hash of its own.
            return known if known.instead or known.text_sha256 == digest else replace(known, text_sha256=digest)
        if len(text) > SHORT:
            return None
        # Where it is no hash, it is the text with its constants blanked, which is half of its shape.
        bare = "" if key == digest else key
        return self._keep(key, text, digest, understand(text, self.dialect, bare=bare))

    def examined(self, text: str, understood: Understood) -> Examined:
        """What the rules say of a text that was understood elsewhere."""
        digest = digest_of(text)
        return self._keep(self._key(text, digest), text, digest, understood)

    def _key(self, text: str, digest: str) -> str:
        if self.dialect == POSTGRESQL and len(text) <= _BLANKED:
            return blanked(text) or digest
        return digest

    def _keep(self, key: str, text: str, digest: str, understood: Understood) -> Examined:
        examined = self._decide(text, digest, understood)
        if understood.statement.fault is not None:
            # Where it stumbles, and whether the reading process was lost with it, is said of this text alone.
            return examined
        if understood.hangs_on_literals or examined.instead:
            key = digest
        self._characters += len(key) + len(examined.shape)
        if len(self._known) >= _MOST_KNOWN or self._characters > _MOST_CHARACTERS:
            self._known.clear()
            self._characters = len(key) + len(examined.shape)
        self._known[key] = examined
        return examined

    def _decide(self, text: str, digest: str, understood: Understood) -> Examined:
        statement = understood.statement
        refusal = decide(self._rules, statement)
        if refusal is not None and refusal.rule == "read_only" and statement.count == 1:
            # It stays read-only, and whoever asked goes on: drivers put back what they found, and break where they may not.
            tamed = self._tamed(text)
            if tamed is not None:
                return tamed
        fault = statement.fault if refusal is not None and refusal.rule == "syntax" else None
        return Examined(
            digest,
            understood.fingerprint,
            tuple(sorted(one.value for one in statement.classes)),
            statement.is_parsed,
            understood.shape,
            refusal=refusal.reason if refusal else "",
            hint=refusal.hint if refusal else "",
            rule=refusal.rule if refusal else "",
            account=refusal.account if refusal else "",
            sqlstate=fault.sqlstate if fault else "",
            position=fault.position if fault else 0,
            names=statement.names,
            is_single=statement.count == 1,
            encoding=_encoding_of(statement),
        )

    def _tamed(self, text: str) -> Examined | None:
        """The same text that asks for read-only, where that is what it then says: a BEGIN, a SET."""
        instead = read_only(text)
        if instead == text:
            return None
        examined = self(instead)
        return None if examined.refusal else replace(examined, instead=instead)


def _encoding_of(statement: Statement) -> str:
    if statement.resets_settings:
        return DEFAULT_ENCODING
    return next((one.value or "" for one in statement.settings if one.name == "client_encoding"), "")


def digest_of(text: str) -> str:
    """SHA-256 of a text, as the record has it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(_MOST_RULES)
def examiner(rules: Rules, dialect: str) -> Examiner:
    """The examiner for a role's rules; sessions with the same rules share what it has understood."""
    return Examiner(rules, dialect)
