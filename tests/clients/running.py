"""Runs a client's program on one level, and compares what it did with what is expected and with what is recorded."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import Any

from connectors.base import Level
from deploy.local.installed import ROOT
from tests.clients.catalogue import Client
from tests.clients.place import Place
from tests.gateway.wire.gateways import Ran

_PATIENCE_SECONDS = 180
_LONGEST_WORDS = 2000


@dataclass(frozen=True)
class Refused:
    """What the role does not allow, as the client shows it."""

    what: str
    sqlstate: str
    said: str


@dataclass
class Outcome:
    """What a client did on one level."""

    level: Level
    version: str = ""
    did: dict[str, str] = field(default_factory=dict)
    """What of the table → how."""
    failed: dict[str, str] = field(default_factory=dict)
    """What of the table → the client's own words."""
    refused: list[Refused] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    """A sentence each; empty where all is as expected."""


def run(client: Client, level: Level, place: Place) -> Outcome:
    """A gateway of its own, the program, and what the record has of it."""
    outcome = Outcome(level)
    with place.gateway(level) as gateway:
        environment = place.environment(gateway, level) | client.environment()
        try:
            done = subprocess.run(
                client.command(),
                env=environment,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=_PATIENCE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            outcome.surprises.append(f"did not end in {_PATIENCE_SECONDS} seconds: {error.stdout!r}")
            return outcome
        _read(outcome, done.stdout)
        if done.returncode:
            outcome.failed["ends"] = done.stderr.strip()[-_LONGEST_WORDS:]
        recorded = gateway.all_settled(patience=10)
    outcome.surprises += _surprises(client, outcome, recorded)
    return outcome


def _read(outcome: Outcome, output: str) -> None:
    for line in output.splitlines():
        if not line.startswith("{"):
            continue
        told: dict[str, Any] = json.loads(line)
        if "version" in told:
            outcome.version = told["version"]
        elif "does" in told:
            outcome.did[told["does"]] = told["how"]
        elif "fails" in told:
            outcome.failed[told["fails"]] = f"{told['sqlstate']} {told['said']}".strip()[:_LONGEST_WORDS]
        else:
            outcome.refused.append(Refused(told["refused"], told["sqlstate"], told["said"].strip()))


def _surprises(client: Client, outcome: Outcome, recorded: list[Ran]) -> list[str]:
    """Where what was done, what was expected and what is recorded differ."""
    found = [f"{what} failed: {said}" for what, said in outcome.failed.items()]
    if "ends" in outcome.failed:
        return found
    expected = client.expected(outcome.level)
    found += [f"{what} was not done" for what in sorted(expected - set(outcome.did) - set(outcome.failed))]
    found += [f"{what} was done, and is expected nowhere" for what in sorted(set(outcome.did) - expected)]
    wanted = client.refused.get(outcome.level, ())
    if (refused := tuple(one.what for one in outcome.refused)) != wanted:
        found.append(f"refused were {refused}, expected {wanted}")
    for one in outcome.refused:
        if one.sqlstate != client.sqlstate or client.words not in one.said:
            found.append(f"{one.what} was refused as {one.sqlstate!r}: {one.said}")
    # A driver may try something, be refused, and say nothing: that is a refusal too many.
    shapes = [f"{one.rule}: {one.shape}" for one in recorded if one.rule]
    if len(shapes) != len(outcome.refused):
        found.append(f"the record has {len(shapes)} refused statements: {shapes}")
    return found
