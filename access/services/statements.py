"""Reading what somebody ran, where an access role keeps the whole text: for auditors, and each reading is recorded."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction

from access.errors import UnsealFailed
from access.rules import may_read_statements
from access.sealing import needs_an_older_key
from access.services.door import actor_of
from access.statement_sealing import opened_text, sealed_key, unsealed_key
from audit.events import Event
from audit.log import Subject, record
from audit.models import Stream
from audit.statement_search import Statement
from people.models import User


def read_text(*, person: User, statement: Statement) -> tuple[str, bytes]:
    """The whole text and the parameters of a statement that holds them, for an auditor; the reading is recorded.

    Raises `PermissionDenied`, `UnsealFailed`.
    """
    if not may_read_statements(person):
        raise PermissionDenied
    with transaction.atomic():
        key = unsealed_key(_key_of(statement.stream))
        text = opened_text(key, stream=statement.stream.bytes, sealed=str(statement.begun["sealed"]))
        who = statement.opened.get("person", {})
        record(
            Event.AUDIT_STATEMENT_READ,
            actor=actor_of(person),
            subject=Subject(
                "statement", f"{statement.stream}:{statement.seq}", f"Statement of {who.get('label', '?')}"
            ),
            related=[
                Subject("person", str(who.get("id", "")), str(who.get("label", ""))),
                Subject("grant", str(statement.opened.get("grant", {}).get("reference", "")), "Access"),
            ],
        )
    return text


def seal_keys_anew() -> int:
    """Seal with the newest encryption key whatever stream's key needs an older one; how many there were.

    So that an old encryption key can go although texts are kept that were sealed while it was in use.
    """
    anew = 0
    for stream in Stream.objects.exclude(sealed_key=""):
        try:
            is_old = needs_an_older_key(stream.sealed_key)
        except UnsealFailed:
            continue  # doctor tells of it; nothing that is done here could bring it back.
        if is_old:
            fresh = sealed_key(unsealed_key(stream.sealed_key))
            anew += Stream.objects.filter(pk=stream.pk, sealed_key=stream.sealed_key).update(sealed_key=fresh)
    return anew


def _key_of(stream: UUID) -> str:
    return Stream.objects.values_list("sealed_key", flat=True).get(pk=stream)
