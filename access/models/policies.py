"""Policies: who may ask, who has to agree, and what happens by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.db import models

from access.audience import Rules
from access.quorum import Step
from people.models import Team


class Policy(models.Model):
    """The rules that guard access roles. A request freezes them at submission; later changes never touch it."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    requesters = models.ManyToManyField(Team, related_name="may_request", blank=True)
    self_approved_environments = models.JSONField(default=list, blank=True)
    """Environments in which read access approves itself; a list of `Environment` values."""
    break_glass_team = models.ForeignKey(
        Team, on_delete=models.PROTECT, null=True, blank=True, related_name="may_break_glass"
    )
    """Whose people may take access at once, with an alert to everybody concerned and a review afterwards."""
    longest = models.DurationField(default=timedelta(hours=8))
    lapses_after = models.DurationField(default=timedelta(days=1))
    """How long a request waits for votes."""
    revision = models.PositiveIntegerField(default=1)
    """Counts changes: a form says which one it was opened on."""

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name_plural = "policies"
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(longest__gt=timedelta(0)), name="access_policy_longest"),
            models.CheckConstraint(condition=models.Q(lapses_after__gt=timedelta(0)), name="access_policy_lapses"),
        ]

    def __str__(self) -> str:
        return self.name

    def quorum_steps(self) -> tuple[Step, ...]:
        """The ordered steps as plain values."""
        return tuple(Step(step.team.slug, step.count) for step in self.steps.all())

    def rules(self) -> Rules:
        """The whole policy as plain values."""
        return Rules(
            requesters=frozenset(team.slug for team in self.requesters.all()),
            steps=self.quorum_steps(),
            self_approved_environments=frozenset(self.self_approved_environments),
            break_glass_team=self.break_glass_team.slug if self.break_glass_team else "",
        )


class PolicyStep(models.Model):
    """One step of approval: `count` distinct people of `team`."""

    policy = models.ForeignKey(Policy, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="approves")
    count = models.PositiveSmallIntegerField(default=1)

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["policy", "position"], name="access_step_position"),
            models.CheckConstraint(condition=models.Q(count__gte=1), name="access_step_count"),
        ]

    def __str__(self) -> str:
        return f"{self.count} of {self.team}"
