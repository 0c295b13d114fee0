"""Policies as sentences."""

from __future__ import annotations

from access.models import Environment, Policy
from console.durations import spoken


def sentences_of(policy: Policy) -> list[str]:
    """The policy as people say it, one sentence each: who may ask, who has to agree, what happens by itself."""
    asking = _listed([team.name for team in policy.requesters.all()]) or "Nobody"
    sentences = [f"{asking} may ask, for at most {spoken(policy.longest)}."]
    steps = [f"{_people(step.count)} of {step.team.name}" for step in policy.steps.all()]
    if policy.self_approved_environments:
        places = _listed([str(Environment(value).label).lower() for value in policy.self_approved_environments])
        sentences.append(f"Reads are approved automatically on {places}.")
    if steps:
        agreeing = ", then ".join(steps)
        agreeing = f"Otherwise {agreeing}" if policy.self_approved_environments else agreeing[0].upper() + agreeing[1:]
        sentences.append(f"{agreeing} must approve within {spoken(policy.lapses_after)}.")
    else:
        sentences.append("Nothing else is granted.")
    if policy.break_glass_team:
        sentences.append(f"{policy.break_glass_team.name} may take emergency access, which is reviewed afterwards.")
    return sentences


def _people(count: int) -> str:
    return "one" if count == 1 else str(count)


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
