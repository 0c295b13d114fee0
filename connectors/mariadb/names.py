"""Names as MariaDB's account statements want them. Pure.

Accounts and roles are quoted with backticks, not as texts, because then no `sql_mode` changes what they mean.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from connectors.base import PRINCIPAL_PREFIX
from connectors.errors import ServerRefused
from connectors.quoting import UnquotableName, mariadb_name

#: The schema of ours that holds the dead-man's switches.
OWN_SCHEMA = "lockgate"
#: The name of an account that is made to try the server. It is no grant's: the sweep has nothing to do with it.
TRIAL_PREFIX = "lockgate_trial_"
#: Where an account may come from. One value for all, since create and drop must name the same host.
ACCOUNT_HOST = "%"
#: Schemas that belong to the server or to us: no access role reaches them.
SYSTEM_SCHEMAS = ("information_schema", "mysql", "performance_schema", "sys", OWN_SCHEMA)
#: Characters in the name of an account or role. Newer servers hold 128; 10.6 in its early versions held 80.
ACCOUNT_NAME_CHARACTERS = 80
#: What the name of a role that belongs to one account has behind the account's.
OWN_ROLE_SUFFIX = "_role"
#: Characters in the name of an account of ours, so that its role has room.
PRINCIPAL_CHARACTERS = ACCOUNT_NAME_CHARACTERS - len(OWN_ROLE_SUFFIX)
HOST_CHARACTERS = 255

#: What an event's comment has room for.
_COMMENT_CHARACTERS = 64
#: What the comment of a switch says where transactions are left that its account has prepared.
PREPARED_COMMENT = re.compile(r"prepared ([0-9 ]+)$")
_MADE_BY = re.compile(r"Lockgate ([0-9a-z]{1,12}): ")

#: Role names that mean something else in SQL, whatever the quotes around them.
_RESERVED_ROLES = frozenset({"none", "public", "current_role", "current_user"})
#: A principal that is also a fit name for an event: event names ignore case, and hold 64 characters.
_PLAIN_PRINCIPAL = re.compile(r"[a-z0-9_]{1,64}")


def require_ours(principal: str) -> None:
    """Raise `ServerRefused` for a name that Lockgate does not give: such an account is not ours to touch."""
    if not principal.startswith(PRINCIPAL_PREFIX):
        raise ServerRefused(f"{principal!r} is not an account of Lockgate's: those begin with {PRINCIPAL_PREFIX}.")
    try:
        mariadb_name(principal, PRINCIPAL_CHARACTERS)
    except UnquotableName as error:
        raise ServerRefused(f"No account can have this name: {error}") from error


def account(principal: str, host: str = ACCOUNT_HOST) -> str:
    """`name`@`host`, quoted; a host may be empty. Raises `UnquotableName`."""
    return f"{user(principal)}@{mariadb_name(host, HOST_CHARACTERS) if host else '``'}"


def user(principal: str) -> str:
    """The name alone, quoted: every host of it, in `KILL … USER`. Raises `UnquotableName`."""
    return mariadb_name(principal, ACCOUNT_NAME_CHARACTERS)


def own_role_name(principal: str) -> str:
    """The role between an account and its group, of accounts that may define things; see `statements.join`."""
    return principal + OWN_ROLE_SUFFIX


def role(name: str) -> str:
    """A role, quoted. Raises `UnquotableName`."""
    if name.lower() in _RESERVED_ROLES:
        raise UnquotableName(f"{name!r} is not a role but a word of MariaDB's.")
    return mariadb_name(name, ACCOUNT_NAME_CHARACTERS)


def whole_database(database: str) -> str:
    r"""`data\_base`.*, for GRANT and REVOKE, where `_` and `%` would match other names. Raises `UnquotableName`."""
    # A name that is too long with its backslashes is refused: without them the grant would reach other databases.
    return f"{mariadb_name(database_pattern(database))}.*"


def database_pattern(database: str) -> str:
    r"""What `mysql.db` holds for exactly this database: `_`, `%` and `\` with a backslash before them."""
    return re.sub(r"([\\_%])", r"\\\1", database)


def table(database: str, name: str) -> str:
    """`database`.`table`, where no character is a pattern. Raises `UnquotableName`."""
    return f"{mariadb_name(database)}.{mariadb_name(name)}"


def switch_name(principal: str) -> str:
    """The name of an account's dead-man's switch: its own name where that can be an event's, else a digest of it."""
    if _PLAIN_PRINCIPAL.fullmatch(principal):
        return principal
    return "lg_" + hashlib.sha256(principal.encode()).hexdigest()[:40]


def switch_comment(principal: str, made_by: str) -> str:
    """What the switch tells of itself, in the 64 characters that an event's comment may have."""
    return f"Lockgate{f' {made_by}' if made_by else ''}: ends {switch_name(principal)}"[:_COMMENT_CHARACTERS]


def prepared_comment(made_by: str, numbers: Sequence[str]) -> str:
    """The same, of an account that has left transactions, by InnoDB's numbers; as many as there is room for."""
    comment = f"Lockgate{f' {made_by}' if made_by else ''}: prepared"
    for number in numbers:
        if len(comment) + len(number) < _COMMENT_CHARACTERS:
            comment += f" {number}"
    return comment


def made_by(comment: str) -> str:
    """Which Lockgate a switch's comment names; empty where it names none."""
    found = _MADE_BY.match(comment)
    return found[1] if found else ""


def switch(principal: str) -> str:
    """The dead-man's switch of an account, with its schema, quoted."""
    return table(OWN_SCHEMA, switch_name(principal))


def lock_name(group: str, known_to_us: str) -> str:
    """The name under which one worker at a time changes a group (`GET_LOCK` holds 64 characters).

    Anybody may hold a lock of any name, so there is something in it that only Lockgate's own account can read.
    """
    return "lockgate.group." + hashlib.sha256(f"{known_to_us}\0{group}".encode()).hexdigest()[:40]
