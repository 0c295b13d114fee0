"""What administrators may not do with the catalogue, each with the sentence that says so."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

from django.conf import settings
from django.db import IntegrityError, transaction

from access.credentials import gives_tokens
from access.errors import BadRequest, Refused
from access.models import Server
from access.rules import may_manage_servers
from connectors.base import Level, Tls
from connectors.login import is_here
from connectors.registry import needs_authority_file, shows_passwords, takes_own_identity, tls_settings_of
from people.models import User

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
#: Settings that hold secrets: of Lockgate itself, and of the clients by which it reads stores and clouds.
_OWN_VARIABLES = re.compile(
    r"(LOCKGATE|VAULT|AWS|AZURE|IDENTITY|MSI|DJANGO|CELERY|GOOGLE|GITHUB|CI|SSH|KUBERNETES|OTEL|SENTRY)_.*"
    r"|PGPASSWORD|PGPASSFILE|PGSERVICEFILE|.*_(URL|DSN|URI)(_FILE)?|(HTTPS?|ALL|NO)_PROXY|PATH|HOME|HOSTNAME|USER|PWD",
    re.IGNORECASE,
)
_PLACES = re.compile(r"(?:^|=)(env|file):([^&?]*)")
SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=30)
MOST_STEPS = 10
MOST_PEOPLE = 20


class NotAnAdministrator(Refused):
    """Only administrators define and change servers, policies and access roles."""


class BadSlug(BadRequest):
    """The short name takes lower-case letters, digits and single dashes, at most 50."""

    field = "slug"


class SlugTaken(BadRequest):
    """This short name is taken. Choose another one."""

    field = "slug"


class NameMissing(BadRequest):
    """Give it a name."""

    field = "name"


class UnknownEngineChosen(BadRequest):
    """Choose one of the engines in the list."""

    field = "engine"


class TokenInTheClear(BadRequest):
    """The token of an identity goes to the server as it is, so it needs TLS. Choose 'require' or better."""

    field = "tls"


class TlsNotOffered(BadRequest):
    """The driver of this engine does not check a certificate without its name. Choose 'verify-full' or 'require'."""

    field = "tls"


class AuthorityMissing(BadRequest):
    """With 'verify-ca' PostgreSQL's driver checks against a file alone. Name the file with the certificate authority."""

    field = "tls_ca_file"


class PasswordInTheClear(BadRequest):
    """This engine is sent the password as it is, so it needs TLS unless it runs on this machine. Choose 'require' or better."""

    field = "tls"


class OwnSecret(BadRequest):
    """This is a secret of Lockgate's own. No database server is signed in to with it."""

    field = "admin_secret"


class OutsideTheFolders(BadRequest):
    """Secrets of servers lie in a folder of their own, so that no other file can be sent to a server as a password."""

    field = "admin_secret"


class ScopeIncomplete(BadRequest):
    """The access role has to name what it reaches."""

    field = "databases"


class OwnIdentityNotThere(BadRequest):
    """People come in with their own identity on Azure SQL alone. Leave it off, and an account is made for each access."""

    field = "own_identity"


class PolicyIncomplete(BadRequest):
    """The policy has to say who may ask, and who has to agree or what approves itself."""

    field = "steps"


class LongestNotPossible(BadRequest):
    """The longest access has to lie between one minute and 30 days."""

    field = "longest"


class LapseNotPossible(BadRequest):
    """A request has to stay open for at least one minute, and for 30 days at most."""

    field = "lapses_after"


def check_administrator(person: User) -> None:
    """Raises `NotAnAdministrator`."""
    if not may_manage_servers(person):
        raise NotAnAdministrator


def check_names(slug: str, name: str) -> None:
    """Raises `BadSlug` or `NameMissing`."""
    if not _SLUG.fullmatch(slug) or len(slug) > 50:
        raise BadSlug
    if slug == "add":
        raise BadSlug("'add' is the page on which one is added.")
    check_name(name)


def check_name(name: str) -> None:
    """Raises `NameMissing`."""
    if not name.strip():
        raise NameMissing


def check_tls(engine: str, host: str, reference: str, tls: Tls, tls_ca_file: str) -> None:
    """Raises `TokenInTheClear`, `TlsNotOffered`, `AuthorityMissing` or `PasswordInTheClear`."""
    if tls is Tls.DISABLE and gives_tokens(reference):
        raise TokenInTheClear
    if tls not in tls_settings_of(engine):
        raise TlsNotOffered
    if tls is Tls.VERIFY_CA and needs_authority_file(engine) and not tls_ca_file:
        raise AuthorityMissing
    if tls is Tls.DISABLE and shows_passwords(engine) and not is_here(host):
        raise PasswordInTheClear


def check_own_identity(server: Server, *, own_identity: bool) -> None:
    """Raises `OwnIdentityNotThere`."""
    if own_identity and not takes_own_identity(server.engine):
        raise OwnIdentityNotThere


def check_reference(reference: str) -> None:
    """Raises `OwnSecret` or `OutsideTheFolders`.

    A password is sent to whatever address stands beside it, so an administrator who may choose both could otherwise have
    the console's own keys, and the way into its own database, sent to themself.
    """
    # One that stands inside another, as the secret of a client of Azure does, is looked at as well.
    for scheme, rest in _PLACES.findall(unquote(reference)):
        if scheme == "env" and _OWN_VARIABLES.fullmatch(rest):
            raise OwnSecret
        if scheme == "file" and _is_own_file(Path(rest).resolve()):
            raise OwnSecret
        if scheme == "file" and not _is_in_a_folder(Path(rest).resolve()):
            folders = ", ".join(str(folder) for folder in settings.LOCKGATE_SECRET_FOLDERS)
            raise OutsideTheFolders(f"Put it below {folders}, or name its folder in LOCKGATE_SECRET_FOLDERS.")


def _is_own_file(path: Path) -> bool:
    """One that holds a setting; or that of a process, which shows its whole environment."""
    own = [
        Path(value).resolve()
        for name, value in os.environ.items()
        if name.endswith("_FILE") and _OWN_VARIABLES.fullmatch(name)
    ]
    return path in own or path.is_relative_to("/proc")


def _is_in_a_folder(path: Path) -> bool:
    return any(path.is_relative_to(Path(folder).resolve()) for folder in settings.LOCKGATE_SECRET_FOLDERS)


def check_policy(
    *,
    requesters: Sequence[object],
    steps: Sequence[tuple[object, int]],
    self_approved: Sequence[object],
    longest: timedelta,
    lapses_after: timedelta,
) -> None:
    """Raises `PolicyIncomplete`, `LongestNotPossible` or `LapseNotPossible`."""
    if not requesters or not (steps or self_approved):
        raise PolicyIncomplete
    if len(steps) > MOST_STEPS:
        raise PolicyIncomplete(f"At most {MOST_STEPS} steps.")
    if not all(1 <= count <= MOST_PEOPLE for _, count in steps):
        raise PolicyIncomplete(f"Each step takes 1 to {MOST_PEOPLE} people.")
    check_longest(longest)
    if not SHORTEST <= lapses_after <= LONGEST:
        raise LapseNotPossible


def check_longest(longest: timedelta) -> None:
    """Raises `LongestNotPossible`."""
    if not SHORTEST <= longest <= LONGEST:
        raise LongestNotPossible


def check_printable(names: Sequence[str]) -> None:
    """Raises `ScopeIncomplete`."""
    if any(not name.isprintable() for name in names):
        raise ScopeIncomplete("Names with line breaks or other unprintable characters are not possible.")


def check_scope(level: Level, databases: Sequence[str], database_roles: Sequence[str], *others: str) -> None:
    """Raises `ScopeIncomplete`. `others` are the names of schemas and tables."""
    check_printable((*databases, *database_roles, *others))
    if not databases or not all(name.strip() for name in databases):
        raise ScopeIncomplete("Name at least one database.")
    if (level is Level.MEMBER) != bool(database_roles):
        raise ScopeIncomplete("Existing database roles go with the level 'member', and only with it.")


@contextmanager
def slug_taken() -> Iterator[None]:
    """Around the insert: two who choose the same short name at once are told as one who comes second."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "slug" in str(error):
            raise SlugTaken from error
        raise
