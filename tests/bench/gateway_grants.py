"""Grants for the gateway's benchmark, made by the services that the console calls; prints where they lead, as JSON.

Run beside the demo's servers, with the environment of Lockgate's processes. There is one access role for each kind of
durability, on the demo's orders server, over the tables of the benchmark.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from datetime import timedelta

import django

STATEMENT_SECONDS = 600


def main() -> None:
    """Ask, approve, make the account, make a token, for each of the two."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    json.dump({durability: _made(durability) for durability in ("batched", "strict")}, sys.stdout)


def _made(durability: str) -> dict[str, str]:
    from django.utils import timezone

    from access import provisioning
    from access.gateway_rules import Durability, rules_for, rules_to_json
    from access.models import AccessRole, Grant
    from access.services import grants, requests, tokens, votes
    from connectors.base import Level
    from people.models import User

    like = AccessRole.objects.get(slug="orders-read")
    rules = replace(
        rules_for(Level.READ), durability=Durability(durability), longest_statement=timedelta(seconds=STATEMENT_SECONDS)
    )
    role = AccessRole.objects.create(
        slug=f"bench-{durability}",
        name=f"Benchmark, {durability}",
        server=like.server,
        policy=like.policy,
        level=Level.READ,
        databases=["bench"],
        connections=None,
        gateway=rules_to_json(rules),
    )
    alice, bob = (User.objects.get(email=f"{who}@demo.example") for who in ("alice", "bob"))
    now = timezone.now()
    request = requests.submit(
        person=alice, role=role, duration=timedelta(hours=1), reason="Measured by the benchmark", now=now
    )
    request.refresh_from_db()
    if request.state == "pending":
        votes.approve(person=bob, request=request, content_hash=request.content_hash, now=now, authenticated_at=now)
    grant = Grant.objects.get(request=request)
    provisioning.provision(grant_id=grant.pk, claimant="bench")
    grant.refresh_from_db()
    password = grants.reveal_password(person=alice, grant=grant, now=timezone.now())
    _, token = tokens.make_token(person=alice, grant=grant, name="benchmark", now=timezone.now())
    return {"role": role.slug, "token": token, "principal": grant.principal, "password": password}


if __name__ == "__main__":
    main()
