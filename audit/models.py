"""The tables of the audit log. The database itself refuses to change or remove what is in them (migration 0002).

`Entry` is the log. `Head` holds the end of the chain and gives it one order. `Mention` finds entries by what they are
about; the database fills it. `Verification` keeps what each check of the chain found.

`Stream` and `StatementEntry` are the record of statements: a chain for each process of the gateway, written by the
gateway's shipper and by nothing else (migration 0003). The database lets a stream grow only by entries that follow.
`Checkpoint` and `CheckpointKey` hold the signatures over where all of them ended (`audit.checkpoints`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q

from audit.chain import GENESIS, VERSION, timestamp
from audit.events import Event

#: What a statement begins with in its stream.
BEGINS = Q(kind__in=["intent", "refused"])

#: Outcomes that somebody looks for among many.
UNUSUAL = Q(kind__in=["outcome", "refused"]) & ~Q(verdict="done")


_EVENTS: Mapping[str, str] = dict(Event.choices)


class Entry(models.Model):
    """One thing that happened. Written by `audit.log.record` and by nothing else."""

    seq = models.BigIntegerField(primary_key=True)
    v = models.SmallIntegerField(default=VERSION)
    at = models.DateTimeField()
    event = models.CharField(max_length=60)
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=200)
    actor_label = models.TextField()
    subject_kind = models.CharField(max_length=20)
    subject_id = models.CharField(max_length=200)
    subject_label = models.TextField()
    related = models.JSONField(default=list)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    reason = models.TextField(blank=True)
    channel = models.CharField(max_length=20, blank=True)
    ip = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=100, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        default_permissions = ("view",)
        ordering = ("-seq",)
        verbose_name_plural = "entries"
        constraints = [
            models.CheckConstraint(condition=Q(seq__gte=1), name="audit_entry_counts_from_one"),
            models.CheckConstraint(
                condition=Q(hash__regex=r"^[0-9a-f]{64}$", prev_hash__regex=r"^[0-9a-f]{64}$"),
                name="audit_entry_hashes_are_sha256",
            ),
        ]
        indexes = [
            # Time never runs backwards along the chain, so a span of time is looked up here once and becomes a span of
            # `seq`; every list is then a walk along an index that ends in `seq`.
            models.Index(fields=["at", "seq"], name="audit_entry_at"),
            models.Index(fields=["event", "-seq"], name="audit_entry_event"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.event}"

    @property
    def event_label(self) -> str:
        """The event in words; an event that this version does not know shows its value."""
        return _EVENTS.get(self.event, self.event)

    def content(self) -> dict[str, Any]:
        """What the hash is computed from; together with `hash` also what an export in JSON Lines holds."""
        return {
            "v": self.v,
            "seq": self.seq,
            "at": timestamp(self.at),
            "event": self.event,
            "actor": {"kind": self.actor_kind, "id": self.actor_id, "label": self.actor_label},
            "subject": {"kind": self.subject_kind, "id": self.subject_id, "label": self.subject_label},
            "related": self.related,
            "before": self.before,
            "after": self.after,
            "reason": self.reason,
            "origin": {
                "channel": self.channel,
                "ip": self.ip,
                "request_id": self.request_id,
                "user_agent": self.user_agent,
            },
            "prev_hash": self.prev_hash,
        }


class Head(models.Model):
    """The end of the chain: one row, whose lock gives all entries one order."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default=GENESIS)
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(id=1), name="audit_head_is_one_row")]

    def __str__(self) -> str:
        return f"{self.seq} {self.hash}"


class Mention(models.Model):
    """That an entry is about something: its actor, its subject and what is related, once each. Written by a trigger."""

    pk = models.CompositePrimaryKey("kind", "ident", "entry")
    kind = models.CharField(max_length=20)
    ident = models.CharField(max_length=200)
    entry = models.ForeignKey(Entry, on_delete=models.DO_NOTHING, related_name="mentions", db_index=False)

    class Meta:
        default_permissions = ()
        # Small, since rows are written in the order of entries: the check of the chain reads mentions by entry.
        indexes = [BrinIndex(fields=["entry"], name="audit_mention_entry", pages_per_range=16)]

    def __str__(self) -> str:
        return f"{self.kind} {self.ident} in {self.entry_id}"


class Verification(models.Model):
    """What one check of the chain found. Also evidence: an entry once verified must have the same hash for ever."""

    at = models.DateTimeField()
    from_seq = models.BigIntegerField()
    upto_seq = models.BigIntegerField()
    head_hash = models.CharField(max_length=64)
    checked = models.BigIntegerField()
    ok = models.BooleanField()
    faults = models.JSONField(default=list)

    class Meta:
        default_permissions = ("view",)
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{'verified' if self.ok else 'broken'} up to {self.upto_seq} at {self.at:%Y-%m-%d %H:%M:%S}"


class Stream(models.Model):
    """The chain of one process of the gateway, and how far it is here. The database moves it as entries come in."""

    id = models.UUIDField(primary_key=True)
    host = models.CharField(max_length=255)
    sealed_key = models.TextField(blank=True)
    """The key of the texts that its entries hold, encrypted with `LOCKGATE_ENCRYPTION_KEYS`; empty once destroyed."""
    seen_at = models.DateTimeField(auto_now_add=True)
    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default=GENESIS)
    at = models.DateTimeField(null=True)
    """Of its last entry."""
    ended_at = models.DateTimeField(null=True)
    """When its last entry is one that ends it: nothing follows any more."""
    checkpointed_seq = models.BigIntegerField(default=0)
    """The number that the last checkpoint that names it has of it."""
    verified_seq = models.BigIntegerField(default=0)
    """As far as a check found nothing wrong, with the hash of that entry; the next check may begin there."""
    verified_hash = models.CharField(max_length=64, default=GENESIS)

    class Meta:
        default_permissions = ()
        ordering = ("seen_at", "id")

    def __str__(self) -> str:
        return f"{self.id} at {self.seq}"


class StatementEntry(models.Model):
    """One entry of a stream, exactly as the gateway wrote it, with what it is searched by beside it."""

    pk = models.CompositePrimaryKey("stream", "seq", "at")
    stream = models.UUIDField()
    seq = models.BigIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=10)
    session = models.BigIntegerField()
    statement = models.BigIntegerField()
    """Of an outcome: the number of its intent."""
    person = models.CharField(max_length=64)
    grant_reference = models.CharField(max_length=12)
    role = models.CharField(max_length=100)
    server = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=16)
    verdict = models.CharField(max_length=10)
    hash = models.CharField(max_length=64)
    content = models.TextField()
    """The JSON text that the hash is computed from."""

    class Meta:
        db_table = "audit_statement_entry"
        default_permissions = ("view",)
        ordering = ("-at", "-stream", "-seq")
        verbose_name_plural = "statement entries"
        indexes = [
            # Statements are listed by their first entry, so only those are in the indexes that lists walk along.
            models.Index(fields=["at", "stream", "seq"], condition=BEGINS, name="audit_statement_at"),
            models.Index(fields=["person", "at"], condition=BEGINS, name="audit_statement_person"),
            models.Index(fields=["grant_reference", "at"], condition=BEGINS, name="audit_statement_grant"),
            models.Index(fields=["server", "at"], condition=BEGINS, name="audit_statement_server"),
            models.Index(fields=["fingerprint", "at"], condition=BEGINS, name="audit_statement_fingerprint"),
            models.Index(fields=["verdict", "at"], condition=UNUSUAL, name="audit_statement_verdict"),
            models.Index(fields=["stream", "statement"], condition=Q(kind="outcome"), name="audit_statement_outcome"),
            models.Index(fields=["stream", "session"], condition=Q(kind="opened"), name="audit_statement_session"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.seq} {self.kind}"


class CheckpointKey(models.Model):
    """A public key under which checkpoints are signed. Each but the first was signed by the one before it."""

    number = models.IntegerField(primary_key=True)
    key_id = models.CharField(max_length=16, unique=True)
    public_key = models.CharField(max_length=64)
    content = models.TextField()
    """The canonical JSON of the introduction."""
    signature = models.CharField(max_length=128, blank=True)
    """Of the introduction, by the key before; empty for the first."""

    class Meta:
        default_permissions = ()
        ordering = ("number",)

    def __str__(self) -> str:
        return f"{self.number} {self.key_id}"


class Checkpoint(models.Model):
    """Where the log and the streams ended at one moment, signed: what nobody can make fit afterwards without the key."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    key_id = models.CharField(max_length=16)
    content = models.TextField()
    """The canonical JSON that is hashed and signed."""
    hash = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)

    class Meta:
        default_permissions = ("view",)
        ordering = ("-number",)

    def __str__(self) -> str:
        return f"{self.number} at {self.at:%Y-%m-%d %H:%M:%S}"
