"""Statements of the engines whose own grammar cannot be had here, read by sqlglot."""

from __future__ import annotations

import logging

from gateway.statements.other.classifying import classify
from gateway.statements.other.skeleton import NoSkeleton, bare, skeleton_of
from gateway.statements.statement import UNKNOWN, Understood

# Its warnings hold the texts that it does not understand, and no log may.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


def understand(text: str, dialect: str) -> Understood:
    """What a text does; a text that cannot even be taken apart shows nothing of itself."""
    try:
        skeleton = skeleton_of(bare(text))
    except NoSkeleton:
        return Understood(UNKNOWN)
    return Understood(classify(skeleton, dialect), skeleton.shape, skeleton.fingerprint)
