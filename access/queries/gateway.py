"""What the page of a grant shows of the gateway: the tokens, and how to connect with one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from django.conf import settings
from django.core.exceptions import PermissionDenied

from access.models import GatewayToken, Grant
from access.queries.certificates import file_name
from access.rules import may_end, may_see_grant
from access.services.tokens import why_not_through_the_gateway
from connectors.base import ConnectionHint, Secret, Target, Tls
from connectors.registry import open_connector
from people.models import User


@dataclass(frozen=True, slots=True)
class ThroughTheGateway:
    """What one person sees of one grant at the gateway."""

    why_not: str
    """A sentence where it does not pass the gateway, else empty."""
    tokens: Sequence[GatewayToken]
    """Those that are not revoked."""
    may_make: bool
    may_revoke: bool
    hints: Sequence[ConnectionHint]
    """`{password}` stands where the token belongs."""


def gateway_of(person: User, grant: Grant) -> ThroughTheGateway:
    """For whoever may see the grant; only its owner is told how to connect."""
    if not may_see_grant(person, grant):
        raise PermissionDenied
    why_not = why_not_through_the_gateway(grant)
    is_owner = grant.person_id == person.pk
    return ThroughTheGateway(
        why_not=why_not,
        tokens=list(grant.tokens.filter(revoked_at=None)),
        may_make=is_owner and not why_not,
        may_revoke=may_end(person, grant),
        hints=_hints(grant) if is_owner and not why_not else (),
    )


def token_of(grant: Grant, reference: str) -> GatewayToken | None:
    """One of the grant's tokens."""
    return grant.tokens.select_related("grant").filter(reference=reference).first()


def _hints(grant: Grant) -> Sequence[ConnectionHint]:
    """As for the server itself, but to the gateway: with the person's own name, and the role in the place of a database."""
    host, _, port = settings.LOCKGATE_GATEWAY_ADDRESS.rpartition(":")
    host = host.strip("[]")
    target = Target(
        grant.address["engine"],
        host,
        int(port),
        grant.person.email,
        Secret(""),
        tls=_tls_to(host),
        tls_ca_file=file_name(settings.LOCKGATE_GATEWAY_CA),
    )
    with open_connector(target) as connector:
        return connector.connection_hints(grant.person.email, grant.request.role.slug)


def _tls_to(host: str) -> Tls:
    """A token goes as it is, so it is given to a gateway whose certificate was checked.

    Without a certificate a gateway takes connections from its own machine alone, and the console may be told of none where
    the gateway runs elsewhere: what counts is the address that people type.
    """
    on_this_machine = host == "localhost" or _is_loopback(host)
    knows_of_one = settings.LOCKGATE_GATEWAY_CERTIFICATE or settings.LOCKGATE_GATEWAY_CA
    return Tls.DISABLE if on_this_machine and not knows_of_one else Tls.VERIFY_FULL


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
