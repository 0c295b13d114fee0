"""Passwords at rest, and the day that their key is changed."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from access.errors import UnsealFailed
from access.sealing import needs_an_older_key, seal, unseal
from connectors.base import Secret

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_what_is_stored_does_not_show_the_secret() -> None:
    stored = seal(Secret("correct horse"))
    assert "correct" not in stored
    assert unseal(stored).reveal() == "correct horse"


def test_a_new_key_seals_and_the_old_one_is_needed_until_nothing_is_sealed_with_it(settings: Settings) -> None:
    settings.LOCKGATE_ENCRYPTION_KEYS = [OLD]
    before = seal(Secret("before"))
    settings.LOCKGATE_ENCRYPTION_KEYS = [NEW, OLD]
    after = seal(Secret("after"))
    assert (unseal(before).reveal(), unseal(after).reveal()) == ("before", "after")
    assert (needs_an_older_key(before), needs_an_older_key(after)) == (True, False)
    settings.LOCKGATE_ENCRYPTION_KEYS = [NEW]
    assert unseal(after).reveal() == "after"
    for read in (unseal, needs_an_older_key):
        with pytest.raises(UnsealFailed):
            read(before)
