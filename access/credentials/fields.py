"""Secrets that are JSON objects with several fields, of which a reference's `#key` names one. Pure.

What is wrong is told without what was read, and without the parser's exception, which keeps it.
"""

from __future__ import annotations

import json

from access.credentials.errors import SecretNotThere


def field_of(text: str, key: str) -> str:
    """The field, or the whole text without a key. Raises `SecretNotThere`."""
    value = _object(text).get(key) if key else text
    if not isinstance(value, str) or not value:
        raise SecretNotThere(f"It has no field {key!r} with text in it." if key else "It is empty.")
    return value


def with_field(text: str, key: str, value: str) -> str:
    """The same secret with another value; other fields stay."""
    return json.dumps({**_object(text), key: value}) if key else value


def _object(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SecretNotThere("The reference has a #key, and the secret is no JSON object.")
    return found
