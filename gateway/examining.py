"""What is known of a statement's text before it runs: understood once for all texts that differ in literals alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache

from access.gateway_rules import Rules
from gateway.policy import Refusal, decide
from gateway.recording import Examined
from gateway.statements.classifying import UNKNOWN, Statement, classify
from gateway.statements.skeleton import NoSkeleton, Skeleton, bare, skeleton_of

#: How many skeletons one set of rules remembers.
_MOST_SKELETONS = 4096
_MOST_RULES = 256


class Examiner:
    """Understands statements under one set of rules."""

    def __init__(self, rules: Rules, dialect: str) -> None:
        self._rules = rules
        self._dialect = dialect
        self._known: dict[str, tuple[str, tuple[str, ...], bool, str, str, str, str]] = {}

    def __call__(self, text: str) -> Examined:
        """What is known of the text."""
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        try:
            blanked = bare(text)
        except NoSkeleton:
            return Examined(digest, *self._unknown())
        known = self._known.get(blanked)
        if known is None:
            if len(self._known) >= _MOST_SKELETONS:
                self._known.clear()
            known = self._known[blanked] = self._understand(blanked)
        return Examined(digest, *known)

    def _understand(self, blanked: str) -> tuple[str, tuple[str, ...], bool, str, str, str, str]:
        try:
            skeleton = skeleton_of(blanked)
        except NoSkeleton:
            return self._unknown()
        statement = classify(skeleton, self._dialect)
        return _told(skeleton, statement, decide(self._rules, statement))

    def _unknown(self) -> tuple[str, tuple[str, ...], bool, str, str, str, str]:
        """A text that cannot even be taken apart: nothing of it may be shown, since anything in it may be a literal."""
        return _told(Skeleton("", "", "0" * 16, ()), UNKNOWN, decide(self._rules, UNKNOWN))


def _told(
    skeleton: Skeleton, statement: Statement, refusal: Refusal | None
) -> tuple[str, tuple[str, ...], bool, str, str, str, str]:
    said = (refusal.reason, refusal.hint, refusal.rule) if refusal else ("", "", "")
    classes = tuple(sorted(one.value for one in statement.classes))
    return (skeleton.fingerprint, classes, statement.is_parsed, skeleton.shape, *said)


@lru_cache(_MOST_RULES)
def examiner(rules: Rules, dialect: str) -> Callable[[str], Examined]:
    """The examiner for a role's rules; sessions with the same rules share what it has understood."""
    return Examiner(rules, dialect)
