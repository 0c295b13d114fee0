"""From a server's row to what a connector takes, and the names of accounts."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from access.credentials import Account, Credential, ServerSource, gives_tokens, resolve
from access.errors import SecretUnavailable
from access.models import Server
from access.secret_uses import require_bound
from access.settling import settle
from connectors.base import PRINCIPAL_PREFIX, Authentication, Connector, Secret, SecretSource, Target, Tls
from connectors.registry import open_connector
from people.models import User

_RANDOM_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_RANDOM_LENGTH = 10
#: The strictest limit of all engines is 32 bytes (MySQL).
_LONGEST_NAME = 32
_PASSWORD_BYTES = 24
LONGEST_STATEMENT = timedelta(seconds=10)


def connect(
    server: Server, address: Mapping[str, Any] | None = None, *, connect_timeout: timedelta | None = None
) -> Connector:
    """A connector for the server; with `address`, for where a grant was made. Raises `SecretUnavailable`."""
    account = account_of(server, address)
    tls, authority = require_bound(server, account, where_made=address is not None)
    credential = resolve(server.admin_secret, account)
    source = ServerSource(server.admin_secret, account, settle=partial(settle, server))
    target = replace(target_of(server, credential, address, source), tls=Tls(tls), tls_ca_file=authority)
    target = replace(target, replicas=tuple(each for each in target.replicas if _may_be_told(server, account, *each)))
    return open_connector(replace(target, connect_timeout=connect_timeout) if connect_timeout else target)


def _may_be_told(server: Server, account: Account, host: str, port: int) -> bool:
    """Whether the secret may be sent to a replica as well; where not, its sessions are not seen, and that is told."""
    try:
        require_bound(server, replace(account, host=host, port=port))
    except SecretUnavailable:
        return False
    return True


def target_without_secret(server: Server, address: Mapping[str, Any] | None = None) -> Target:
    """For plans, hints and the like, which connect nowhere: nobody is asked for a secret."""
    is_token = gives_tokens(server.admin_secret)
    kind = Authentication.ACCESS_TOKEN if is_token else Authentication.PASSWORD
    return target_of(server, Credential(Secret(""), kind), address)


def account_of(server: Server, address: Mapping[str, Any] | None = None) -> Account:
    """Lockgate's own account on the server, as those see it who give out secrets."""
    where = address or server.address
    return Account(where["engine"], where["host"], where["port"], server.admin_user)


def target_of(
    server: Server,
    credential: Credential,
    address: Mapping[str, Any] | None = None,
    source: SecretSource | None = None,
) -> Target:
    """The server as a connector sees it."""
    where = address or server.address
    return Target(
        engine=where["engine"],
        host=where["host"],
        port=where["port"],
        database=where["database"],
        version=server.version,
        user=server.admin_user,
        password=credential.secret,
        authentication=credential.authentication,
        source=source,
        tls=Tls(server.tls),
        tls_ca_file=server.tls_ca_file,
        known_shut=tuple(server.known_shut),
        # They follow the server where it is now; of where it was, nobody knows who follows it.
        replicas=tuple((host, port) for host, port in server.replicas) if where == server.address else (),
        # Shorter than the lease of a claim: no single statement outlasts the right to run it.
        statement_timeout=LONGEST_STATEMENT,
    )


def make_principal(person: User) -> str:
    """A fresh account name: prefix, ten random characters (50 bits), a cleaned piece of the person's name."""
    token = "".join(secrets.choice(_RANDOM_ALPHABET) for _ in range(_RANDOM_LENGTH))
    local_part = person.email.partition("@")[0]
    ascii_name = unicodedata.normalize("NFKD", local_part).encode("ascii", "ignore").decode().lower()
    cleaned = re.sub(r"[^a-z0-9]+", "_", ascii_name).strip("_") or "person"
    return f"{PRINCIPAL_PREFIX}{token}_{cleaned}"[:_LONGEST_NAME].rstrip("_")


def make_password() -> Secret:
    """192 random bits as URL-safe text: nothing that a shell, a DSN or SQL could trip over.

    With capitals, small letters and digits, which a server with a password policy asks for (Azure SQL of every user). One
    in two hundred draws lacks one of them and is drawn again, which costs a hundredth of a bit.
    """
    while True:
        text = secrets.token_urlsafe(_PASSWORD_BYTES)
        if all(any(map(kind, text)) for kind in (str.isupper, str.islower, str.isdigit)):
            return Secret(text)
