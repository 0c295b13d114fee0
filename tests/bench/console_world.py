"""A big company, written into the console's database in bulk: people, teams, policies, access roles, requests, grants, votes,
the audit log and the record of statements.

What is written is what the services would have left behind, down to the hash of each request's content; only the audit
log's chain is left out, which nothing on a page computes. The schema may be an earlier one, which migrations then bring
forward with everything in it: so one world serves two builds.
"""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from access.content import hash_of

#: The state of the migrations for which it is written: whatever came later is applied to the loaded world.
WRITTEN_FOR = (("people", "0003_mapping_made_by"), ("audit", "0004_checkpoints"), ("access", "0006_gateway"))

#: Who looks at the pages. The approver's team decides on most of what is asked for.
PERSONAS = ("asker", "approver", "auditor", "administrator")
_EVERYBODY, _PLATFORM, _AUDITORS, _ADMINISTRATORS = 1, 2, 3, 4

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many there are of everything."""

    people: int = 3_000
    teams: int = 300
    servers: int = 150
    policies: int = 200
    roles: int = 2_000
    ended: int = 96_000
    living: int = 4_000
    waiting: int = 2_000
    denied: int = 3_000
    questioned: int = 60
    events: int = 1_000_000
    statements: int = 50_000

    @property
    def requests(self) -> int:
        """Of every state."""
        return self.ended + self.living + self.waiting + self.denied


MODEST = Sizes(
    people=300, teams=30, servers=10, policies=20, roles=200, ended=6_000, living=600, waiting=300, denied=100,
    questioned=10, events=0, statements=0,
)  # fmt: skip


def reference(letter: str, number: int) -> str:
    """Of a request (`R`), a grant (`G`)."""
    return f"{letter}-{number:08d}"


def load(connection: psycopg.Connection[Any], sizes: Sizes, *, now: datetime, password: str = "") -> None:
    """Write it into an empty database; `password` is the hash that the personas sign in with. The caller commits."""
    with connection.cursor() as cursor:
        # No foreign keys and no chain are checked: some millions of rows are written, and all fit.
        cursor.execute("SET LOCAL session_replication_role = replica")
        writer = _Writer(cursor)
        world = _World(sizes, now, random.Random(4711))
        for table, columns, rows in world.tables(password):
            writer.copy(table, columns, rows)
        if sizes.events:
            cursor.execute(_EVENTS, {"events": sizes.events, "now": now, **_bounds(sizes)})
            cursor.execute(_MENTIONS)
        cursor.execute("SET LOCAL session_replication_role = origin")
        for table in _COUNTED:
            cursor.execute(
                sql.SQL(
                    "SELECT setval(pg_get_serial_sequence({0}, 'id'), (SELECT COALESCE(max(id), 1) FROM {1}))"
                ).format(sql.Literal(table), sql.Identifier(table))
            )


def _bounds(sizes: Sizes) -> dict[str, int]:
    return {"requests": sizes.requests, "people": sizes.people, "roles": sizes.roles, "servers": sizes.servers}


_COUNTED = (
    "people_user", "people_team", "people_membership", "people_groupmapping", "access_server", "access_policy",
    "access_policystep", "access_policy_requesters", "access_accessrole", "access_accessrequest", "access_grant",
    "access_vote", "access_comment", "access_journalline", "access_sweepfinding", "access_heldback", "audit_verification",
)  # fmt: skip

_EVENTS = """
    INSERT INTO audit_entry (seq, v, at, event, actor_kind, actor_id, actor_label, subject_kind, subject_id, subject_label,
                             related, before, after, reason, channel, ip, request_id, user_agent, prev_hash, hash)
    SELECT n, 1, %(now)s - (%(events)s - n) * interval '60 seconds',
           (ARRAY['request.submitted', 'vote.approved', 'request.approved', 'grant.scheduled', 'grant.provisioning',
                  'grant.active', 'grant.password_revealed', 'grant.revoking', 'grant.revoked', 'person.signed_in'])[n %% 10 + 1],
           'person', p.id, p.email, 'request', 'R-' || lpad((n / 10 %% %(requests)s + 1)::text, 8, '0'), 'Role ' || n %% %(roles)s,
           jsonb_build_array(
               jsonb_build_object('kind', 'role', 'id', 'role-' || n %% %(roles)s + 1, 'label', 'Role'),
               jsonb_build_object('kind', 'server', 'id', 'server-' || n %% %(servers)s + 1, 'label', 'Server'),
               jsonb_build_object('kind', 'person', 'id', (n * 7 %% %(people)s + 1)::text, 'label', 'person')),
           NULL, '{"state": "approved", "duration_s": 3600}', 'Ticket OPS-' || n %% 9999 || ': something is stuck', 'web',
           '192.0.2.' || n %% 250, md5(n::text), 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0',
           encode(sha256((n - 1)::text::bytea), 'hex'), encode(sha256(n::text::bytea), 'hex')
      FROM generate_series(1, %(events)s) AS n
      JOIN LATERAL (SELECT (n * 13 %% %(people)s + 1)::text AS id, 'person' || n * 13 %% %(people)s + 1 || '@example.com' AS email) AS p
        ON true
"""

_MENTIONS = """
    ALTER TABLE audit_mention DROP CONSTRAINT audit_mention_pkey;
    INSERT INTO audit_mention (kind, ident, entry_id)
        SELECT DISTINCT kind, ident, seq
          FROM audit_entry
          JOIN LATERAL (
               SELECT actor_kind, actor_id UNION ALL SELECT subject_kind, subject_id
                UNION ALL SELECT other ->> 'kind', other ->> 'id' FROM jsonb_array_elements(related) AS other
               ) AS about (kind, ident) ON true
         ORDER BY seq;
    ALTER TABLE audit_mention ADD PRIMARY KEY (kind, ident, entry_id);
    UPDATE audit_head SET seq = e.seq, hash = e.hash, at = e.at FROM (SELECT * FROM audit_entry ORDER BY seq DESC LIMIT 1) AS e;
"""

Table = tuple[str, Sequence[str], Iterable[Sequence[Any]]]


class _Writer:
    """COPY, with something in the columns that later versions of the schema have and insist on."""

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor

    def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        lacking = dict(self._lacking(table, columns))
        names = sql.SQL(", ").join(map(sql.Identifier, (*columns, *lacking)))
        with self._cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)) as copy:
            for row in rows:
                plain = (json.dumps(value) if isinstance(value, dict | list) else value for value in row)
                copy.write_row((*plain, *lacking.values()))

    def _lacking(self, table: str, columns: Sequence[str]) -> Iterator[tuple[str, Any]]:
        self._cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND table_name = %s AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'",
            [table],
        )
        numbers = dict.fromkeys(("integer", "smallint", "bigint", "double precision", "numeric", "interval"), 0)
        empty = {**numbers, "jsonb": "[]", "ARRAY": "{}", "boolean": False, "timestamp with time zone": "now"}
        for name, kind in self._cursor.fetchall():
            if name not in columns:
                yield name, empty.get(kind, "")


class _World:
    """The rows, table by table; numbers count from one."""

    def __init__(self, sizes: Sizes, now: datetime, chance: random.Random) -> None:
        self._sizes = sizes
        self._now = now
        self._chance = chance
        self._members: dict[int, list[int]] = {_EVERYBODY: list(range(1, sizes.people + 1))}
        self._asked: list[tuple[int, dict[str, Any], str]] = []

    def tables(self, password: str) -> Iterator[Table]:
        yield from self._directory(password)
        yield from self._catalogue()
        yield from self._workflow()
        if self._sizes.statements:
            yield from self._record()

    def _directory(self, password: str) -> Iterator[Table]:
        people, now = self._sizes.people, self._now
        columns = ("id", "password", "email", "display_name", "is_active", "joined_at")
        rows = []
        for n in range(1, people + 1):
            name = PERSONAS[n - 1] if n <= len(PERSONAS) else f"person{n}"
            rows.append(
                (
                    n,
                    password or "!",
                    f"{name}@example.com",
                    f"{name.title()} Of-The-Company",
                    n % 97 != 96,
                    now - 400 * DAY,
                )
            )
        yield "people_user", columns, rows
        special = {_AUDITORS: "auditor", _ADMINISTRATORS: "administrator"}
        names = {
            _EVERYBODY: "everybody",
            _PLATFORM: "platform",
            _AUDITORS: "auditors",
            _ADMINISTRATORS: "administrators",
        }
        teams = range(1, self._sizes.teams + 1)
        yield "people_team", ("id", "slug", "name", "capability"), [
            (t, names.get(t, f"team-{t}"), names.get(t, f"Team {t}").title(), special.get(t, "")) for t in teams
        ]  # fmt: skip
        pairs = {(n, _EVERYBODY) for n in range(1, people + 1)}
        pairs |= {(2, _PLATFORM), (3, _AUDITORS), (4, _ADMINISTRATORS)}
        pairs |= {(n, _PLATFORM) for n in range(10, 50)} | {(n, _AUDITORS) for n in range(50, 55)}
        pairs |= {(n, self._chance.randint(5, self._sizes.teams)) for n in range(1, people + 1) for _ in range(2)}
        for person, team in sorted(pairs):
            self._members.setdefault(team, []).append(person)
        yield "people_membership", ("id", "since", "user_id", "team_id", "source"), [
            (i, now - 300 * DAY, person, team, "") for i, (person, team) in enumerate(sorted(pairs), start=1)
        ]  # fmt: skip
        yield "people_groupmapping", ("id", "provider", "group", "team_id"), [
            (t, "corp", f"group-{t}", t) for t in teams if t > 5
        ]  # fmt: skip

    def _catalogue(self) -> Iterator[Table]:
        sizes, now = self._sizes, self._now
        environments = ("production", "staging", "development")
        columns = (
            "id", "slug", "name", "engine", "environment", "host", "port", "database", "tls", "tls_ca_file", "admin_user",
            "admin_secret", "heir", "is_enabled", "check_message", "version", "revision", "checked_at", "check_ok",
        )  # fmt: skip
        yield "access_server", columns, [
            (s, f"server-{s}", f"Server {s:03d}", "postgresql", environments[s % 3], f"db{s}.example.com", 5432, "", "verify-full",
             "", "lockgate", "env:BENCH_PASSWORD", "lockgate_heir", True, "", "PostgreSQL 17.6", 1, now, True)
            for s in range(1, sizes.servers + 1)
        ]  # fmt: skip
        policies = range(1, sizes.policies + 1)
        yield "access_policy", (
            "id", "slug", "name", "self_approved_environments", "longest", "lapses_after", "break_glass_team_id", "revision",
        ), [
            (p, f"policy-{p}", f"Policy {p:03d}", ["development"] if p % 4 == 0 else [], 8 * HOUR, DAY, _PLATFORM if p % 5 == 0 else None, 1)
            for p in policies
        ]  # fmt: skip
        yield (
            "access_policy_requesters",
            ("id", "policy_id", "team_id"),
            [(p, p, self._requesters(p)) for p in policies],
        )
        yield "access_policystep", ("id", "position", "count", "policy_id", "team_id"), [
            (p * 2 + at, at, count, p, team) for p in policies for at, (team, count) in enumerate(self._steps(p))
        ]  # fmt: skip
        yield "access_accessrole", (
            "id", "slug", "name", "description", "level", "databases", "schemas", "tables", "database_roles", "longest",
            "connections", "statement_timeout", "idle_in_transaction_timeout", "is_enabled", "policy_id", "server_id",
            "revision", "own_identity", "gateway",
        ), [
            (r, f"role-{r}", f"Role {r:04d}", "What is needed for the work", self._level(r), ["orders"], [], [], [], 8 * HOUR, 5,
             HOUR, HOUR, True, r % sizes.policies + 1, self._server(r), 1, False, {})
            for r in range(1, sizes.roles + 1)
        ]  # fmt: skip
        yield "access_heldback", ("id", "since", "person_id", "role_id"), [(i, now, 4, i) for i in range(1, 6)]
        yield "access_heartbeat", ("worker", "seen_at"), [("bench", now + 3650 * DAY)]
        yield "audit_verification", ("id", "at", "from_seq", "upto_seq", "head_hash", "checked", "ok", "faults"), [
            (1, now, 1, max(sizes.events, 1), "0" * 64, sizes.events, True, [])
        ]  # fmt: skip
        yield "access_sweepfinding", ("id", "kind", "principal", "detail", "found_at", "settled_at", "server_id"), [
            (i, "drift", f"lg_{i}", "It differs", now - i * HOUR, None if i <= 20 else now - HOUR, i % sizes.servers + 1)
            for i in range(1, 2_020)
        ]  # fmt: skip

    def _requesters(self, policy: int) -> int:
        return _EVERYBODY if policy % 3 == 0 else policy % (self._sizes.teams - 4) + 5

    def _steps(self, policy: int) -> list[tuple[int, int]]:
        """Most of them the platform team decides on."""
        if policy % 4 != 1:
            return [(_PLATFORM, 1 + policy % 2), (policy % (self._sizes.teams - 4) + 5, 1)][: 1 + (policy % 10 == 2)]
        return [(policy % (self._sizes.teams - 4) + 5, 1)]

    def _server(self, role: int) -> int:
        """The first has a tenth of all roles."""
        return 1 if role % 10 == 0 else role % self._sizes.servers + 1

    @staticmethod
    def _level(role: int) -> str:
        return ("read", "write", "ddl")[role % 3]

    def _workflow(self) -> Iterator[Table]:
        sizes = self._sizes
        requests, grants, votes = [], [], []
        for n in range(1, sizes.requests + 1):
            request = self._request(n)
            requests.append(request)
            if self._state(n) in ("approved", "denied"):
                votes.append(
                    (
                        n,
                        "approve" if n <= sizes.ended + sizes.living else "deny",
                        request[9],
                        "platform",
                        "",
                        request[15],
                        n,
                        self._voter(n),
                    )
                )
            if self._state(n) == "approved":
                grants.append(self._grant(n, request))
        yield "access_accessrequest", (
            "id", "reference", "state", "duration", "reason", "ticket", "principal", "requester_id", "content", "content_hash",
            "terms", "granted_duration", "is_break_glass", "submitted_at", "lapses_at", "decided_at", "role_id",
        ), requests  # fmt: skip
        yield "access_grant", (
            "id", "reference", "address", "principal", "scope", "limits", "heir", "state", "duration", "starts_at", "ends_at",
            "password", "is_break_glass", "review", "end_reason", "ending_since", "activated_at", "closed_at", "receipt",
            "attempts", "last_error", "claimed_by", "person_id", "request_id", "server_id", "questioned_at", "identity", "gateway",
        ), grants  # fmt: skip
        yield (
            "access_vote",
            ("id", "verdict", "content_hash", "team", "comment", "cast_at", "request_id", "voter_id"),
            votes,
        )
        yield "access_journalline", ("id", "direction", "attempt", "at", "database", "sql", "note", "error", "grant_id"), [
            (i, "provision" if i % 6 < 4 else "revoke", 1, self._now, "orders", f'GRANT "lockgate_role" TO "lg_{i}"', "", "", i // 6 + 1)
            for i in range(1, 6 * min(len(grants), 20_000))
        ]  # fmt: skip
        yield "access_comment", ("id", "text", "written_at", "author_id", "request_id"), [
            (i, "What is this for?", self._now, i % sizes.people + 1, i // 3 + 1) for i in range(1, min(sizes.requests, 20_000))
        ]  # fmt: skip

    def _state(self, n: int) -> str:
        if n <= self._sizes.ended + self._sizes.living:
            return "approved"
        return "denied" if n <= self._sizes.ended + self._sizes.living + self._sizes.denied else "pending"

    def _person(self, n: int) -> int:
        """The one persona who asks has a share like everybody else's, and some that are open."""
        return 1 if n % 1_000 == 8 else n * 7_919 % (self._sizes.people - 4) + 5

    def _voter(self, n: int) -> int:
        return 2 if n % 40 == 0 else n % 40 + 10

    def _request(self, n: int) -> tuple[Any, ...]:
        role, person = n % self._sizes.roles + 1, self._person(n)
        if self._state(n) == "pending":
            # One open request a person and role.
            person = 1 if n == self._sizes.requests else 5 + n % (self._sizes.people - 4)
        policy = role % self._sizes.policies + 1
        terms = {
            "policy": f"policy-{policy}",
            "steps": [[self._team(team), count] for team, count in self._steps(policy)],
            "approves_itself": False,
            "break_glass": False,
            "longest_s": 28_800,
            "lapses_after_s": 86_400,
            "through": [self._team(self._requesters(policy))],
        }
        principal = f"lg_{n:08d}_person"
        content = {
            "reference": reference("R", n),
            "requester": person,
            "principal": principal,
            "server": f"server-{self._server(role)}",
            "address": self._address(role),
            "heir": "lockgate_heir",
            "role": f"role-{role}",
            "scope": self._scope(role),
            "limits": {"connections": 5, "statement_timeout_s": 300, "idle_in_transaction_timeout_s": 300},
            "duration_s": 3_600,
            "reason": f"Ticket OPS-{n}: an order is stuck and has to be looked at",
            "ticket": f"OPS-{n}",
            "wished_start": "",
            "terms_hash": hash_of(terms),
            "extends": "",
            "identity": "",
        }
        pending = self._state(n) == "pending"
        asked = self._now - (HOUR if pending else (self._sizes.requests - n) * timedelta(minutes=7) + 2 * HOUR)
        state = self._state(n)
        return (
            n, reference("R", n), state, HOUR, content["reason"], content["ticket"], principal, person, content, hash_of(content),
            terms, HOUR if state == "approved" else None, False, asked, asked + 30 * DAY if pending else asked + DAY,
            None if pending else asked + timedelta(minutes=5), role,
        )  # fmt: skip

    def _grant(self, n: int, request: tuple[Any, ...]) -> tuple[Any, ...]:
        role, content, decided = request[16], request[8], request[15]
        is_over = n <= self._sizes.ended
        ends = decided + HOUR if is_over else self._now + 30 * DAY + n % 1_000 * timedelta(minutes=1)
        questioned = not is_over and n > self._sizes.ended + self._sizes.living - self._sizes.questioned
        receipt = {
            "principal": request[6], "server_time": ends.isoformat(), "handed_over": [], "unreadable": [], "errors": [],
            "findings": [{"question": "the account", "sql": "SELECT 1", "found": [], "database": ""}],
            "sessions_ended": 0, "is_clean": True,
        }  # fmt: skip
        return (
            n, reference("G", n), content["address"], request[6], content["scope"], content["limits"], "lockgate_heir",
            "revoked" if is_over else "active", HOUR, decided, ends, "", False, "", "expired" if is_over else "",
            ends if is_over else None, decided, ends if is_over else None, receipt if is_over else None, 1 if is_over else 0, "", "",
            request[7], n, self._server(role), self._now if questioned else None, "", {},
        )  # fmt: skip

    def _team(self, team: int) -> str:
        names = {
            _EVERYBODY: "everybody",
            _PLATFORM: "platform",
            _AUDITORS: "auditors",
            _ADMINISTRATORS: "administrators",
        }
        return names.get(team, f"team-{team}")

    def _address(self, role: int) -> dict[str, Any]:
        return {"engine": "postgresql", "host": f"db{self._server(role)}.example.com", "port": 5432, "database": ""}

    def _scope(self, role: int) -> dict[str, Any]:
        return {
            "level": self._level(role), "databases": ["orders"], "schemas": [], "tables": [], "database_roles": [],
            "group": f"lockgate_role_{role}",
        }  # fmt: skip

    def _record(self) -> Iterator[Table]:
        """One stream of a gateway: sessions of ten statements, each with its outcome."""
        stream, rows = "00000000-0000-4000-8000-000000000001", []
        for n in range(self._sizes.statements):
            session, at = n // 10 * 21 + 1, self._now - (self._sizes.statements - n) * timedelta(seconds=30)
            living = self._sizes.ended + n // 10 % self._sizes.living + 1
            person, role = self._person(living), living % self._sizes.roles + 1
            if n % 10 == 0:
                opened = {
                    "kind": "opened", "session": session, "person": {"id": str(person), "label": f"person{person}@example.com"},
                    "grant": {"id": living, "reference": reference("G", living)}, "server": f"Server {self._server(role):03d}",
                    "role": {"slug": f"role-{role}", "name": f"Role {role:04d}"}, "client_ip": "192.0.2.1", "application": "psql",
                }  # fmt: skip
                rows.append(self._entry(stream, len(rows) + 1, at, opened, living, session))
            begun = {
                "kind": "intent", "session": session, "fingerprint": f"{n % 500:016x}", "sha256": "ab" * 32, "classes": ["read"],
                "parsed": True, "shape": "SELECT o.id, o.state FROM orders AS o WHERE o.customer = ? ORDER BY o.id LIMIT ?",
            }  # fmt: skip
            seq = len(rows) + 1
            rows.append(self._entry(stream, seq, at, begun, living, session))
            done = {
                "kind": "outcome", "session": session, "statement": seq, "rows": 2, "bytes": 80, "took": 1_500,
                "verdict": "done" if n % 50 else "failed",
            }  # fmt: skip
            rows.append(self._entry(stream, seq + 1, at, done, living, session, statement=seq))
        yield "audit_stream", (
            "id", "host", "sealed_key", "seen_at", "seq", "hash", "at", "checkpointed_seq", "verified_seq", "verified_hash",
        ), [(stream, "gateway-1", "", self._now, len(rows), "1" * 64, self._now, 0, 0, "0" * 64)]  # fmt: skip
        yield "audit_statement_entry", (
            "stream", "seq", "at", "kind", "session", "statement", "person", "grant_reference", "role", "server", "fingerprint",
            "verdict", "hash", "content",
        ), rows  # fmt: skip

    def _entry(
        self,
        stream: str,
        seq: int,
        at: datetime,
        content: dict[str, Any],
        living: int,
        session: int,
        statement: int = 0,
    ) -> tuple[Any, ...]:
        role = living % self._sizes.roles + 1
        whole = {
            "v": 1,
            "stream": stream,
            "seq": seq,
            "at": int(at.timestamp() * 1_000_000),
            **content,
            "prev": "1" * 64,
        }
        return (
            stream, seq, at, content["kind"], session, statement, str(self._person(living)), reference("G", living),
            f"role-{role}", f"Server {self._server(role):03d}", content.get("fingerprint", ""), content.get("verdict", ""),
            "1" * 64, json.dumps(whole, separators=(",", ":")),
        )  # fmt: skip
