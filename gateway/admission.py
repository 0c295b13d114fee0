"""Who comes in: what a credential becomes once it is known, and the place where kinds of credential join.

A personal token is the first kind; tokens of services and JWTs of outside issuers are others behind the same `Identifier`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from access.gateway_rules import Rules
from connectors.base import Secret, Target


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a client shows to be let in."""

    user: str
    """The person's e-mail address, or the part before the @."""
    password: Secret
    wanted: str
    """What the client named as its database: an access role or a grant, with `/database` behind it where there are several, or
    one of the grant's databases by its own name."""
    client_ip: str
    client_port: int
    application: str
    """`application_name`, or what else the client says of itself; not to be trusted."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """One session that may be: for whom, through which grant, to where, until when and under which rules."""

    credential_kind: str
    """`personal_token`."""
    credential_id: str
    person_id: str
    person_label: str
    grant_id: int
    grant_reference: str
    role_slug: str
    role_name: str
    server_name: str
    upstream: Target
    """Host, port, database, TLS, and the grant's own principal with its password: never another account."""
    ends_at: datetime
    rules: Rules
    parsed_as: str
    """sqlglot's name of the engine's dialect, `postgres`."""
    ask_at: str = ""
    """The address in the console where access roles of this server are asked for."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a session that was admitted may no longer be."""

    reason: str
    """A sentence for the person: what ended, and when."""


class Identifier(Protocol):
    """Knows credentials. Both functions block (they ask the console's database); call them off the event loop."""

    def identify(self, attempt: Attempt) -> Admitted:
        """Who this is and where they may go. Records every refusal in the audit log, slows those who guess.

        Raises an error of `gateway.errors.Refused` with a sentence that tells an outsider nothing, and the owner of a token
        what is in the way.
        """
        ...

    def ended(self, sessions: Iterable[Admitted]) -> dict[tuple[str, int], tuple[datetime, Ended | None]]:
        """For each `(credential_id, grant_id)`: until when it may go on, and why not if it may not (any more).

        One query for all. Asked at least twice a second; an extended grant moves its end, a revoked token, an ended
        grant or a deactivated person is `Ended`.
        """
        ...
