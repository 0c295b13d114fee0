"""Users and teams: who somebody is, and which capabilities their teams give them.

Rights are never set on a person. A team may carry a capability (auditor, administrator); policies name teams. So one
table says why somebody may do a thing, and group sync has one place to write to.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import OuterRef, QuerySet
from django.db.models.functions import JSONObject, Lower


class Capability(models.TextChoices):
    """What membership in a team allows besides what policies say."""

    NONE = "", "Nothing by itself"
    AUDITOR = "auditor", "Reads everything, changes nothing"
    ADMINISTRATOR = "administrator", "Manages servers, access roles and policies"


class UserManager(BaseUserManager["User"]):
    """Makes users; the e-mail address is the login name."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A user with `email` in lower case; without a password nobody can sign in with one."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=email.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def with_teams(self) -> QuerySet[User]:
        """People whose teams are read in the same query."""
        teams = Membership.objects.filter(user=OuterRef("pk"))
        pair = JSONObject(slug="team__slug", capability="team__capability")
        return self.annotate(teams_read=ArraySubquery(teams.annotate(pair=pair).values("pair")))

    def get_by_natural_key(self, username: str | None) -> User:
        """The user with this e-mail address, whatever its case."""
        return self.get(email__iexact=username)


class Team(models.Model):
    """A named set of people: policies and capabilities speak of teams, never of persons."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    capability = models.CharField(max_length=20, choices=Capability.choices, default=Capability.NONE, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class User(AbstractBaseUser):
    """A person who signs in to the console."""

    email = models.EmailField(unique=True)
    display_name = models.CharField(max_length=100, blank=True)
    is_active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(auto_now_add=True)
    teams = models.ManyToManyField(Team, through="Membership", related_name="people")

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(Lower("email"), name="people_user_email_ci")]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """What others see: the display name, else the e-mail address."""
        return self.display_name or self.email

    @property
    def label_and_email(self) -> str:
        """`Alice (alice@example.com)`: anybody may call themselves Alice, so whoever decides reads both."""
        # A name with a line end in it could write lines of its own into a mail.
        name = " ".join(self.display_name.split())
        return f"{name} ({self.email})" if name else self.email

    @cached_property
    def team_slugs(self) -> frozenset[str]:
        """Slugs of the person's teams, read once per object; a deactivated person is in none."""
        return frozenset(self._teams_by_slug)

    @cached_property
    def _teams_by_slug(self) -> dict[str, str]:
        if not self.is_active:
            return {}
        read: list[dict[str, str]] | None = self.__dict__.get("teams_read")
        if read is not None:
            return {team["slug"]: team["capability"] for team in read}
        return dict(self.teams.values_list("slug", "capability"))

    @property
    def capabilities(self) -> frozenset[str]:
        """What the person's teams allow besides what policies say."""
        return frozenset(self._teams_by_slug.values()) - {Capability.NONE.value}

    @property
    def is_auditor(self) -> bool:
        """May read everything."""
        return Capability.AUDITOR in self._teams_by_slug.values()

    @property
    def is_administrator(self) -> bool:
        """May manage servers, access roles and policies; that alone lets nobody approve."""
        return Capability.ADMINISTRATOR in self._teams_by_slug.values()


class Membership(models.Model):
    """One person in one team."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    since = models.DateTimeField(auto_now_add=True)
    source = models.SlugField(blank=True)
    """The identity provider whose groups say so; empty when an administrator did."""

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "team"], name="people_membership_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.team}"


class GroupMapping(models.Model):
    """Whoever is in this group at that identity provider belongs to the team.

    A team that a provider's group is mapped to is kept by that provider: whoever signs in through it is in the team exactly
    as long as one of their groups says so.
    """

    provider = models.SlugField()
    group = models.CharField(max_length=255)
    """As the provider's token has it: a name, or Entra's object id. Case counts."""
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="mappings")
    made_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    """Whom it puts into no team: nobody decides on their own teams. Empty when no person made it."""

    class Meta:
        ordering: ClassVar = ["provider", "group", "team__name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["provider", "group", "team"], name="people_mapping_once"),
            models.CheckConstraint(condition=~models.Q(group=""), name="people_mapping_group"),
        ]

    def __str__(self) -> str:
        return f"{self.group} at {self.provider} → {self.team}"
