"""Another password for Lockgate's own account, sent as the hash that the account's authentication plugin keeps."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.base import Journal, Secret, Statement
from connectors.errors import OwnPasswordFixed
from connectors.mariadb.session import Session
from connectors.mariadb.statements import Command, password_hash
from connectors.quoting import mariadb_text
from connectors.redaction import MASK

#: What an ed25519 seed is long. MariaDB hashes passwords of any length; `cryptography` takes seeds of this one alone,
#: which is the length of the passwords that Lockgate makes.
_SEED_BYTES = 32
_NOTE = "Lockgate's own account. The password goes as a hash, so that it is in no log."


def change(session: Session, password: Secret, journal: Journal) -> None:
    """Raises `OwnPasswordFixed` when the account logs in by something else."""
    session.run(set_own_password(_hashing_of(_plugins(session))(password)), journal)


def set_own_password(verifier: Secret) -> Command:
    """For whoever is logged in, which needs no privilege."""

    def composed(text: str) -> str:
        return f"SET PASSWORD = {mariadb_text(text)}"

    return Command(Statement(composed(MASK), note=_NOTE), composed(verifier.reveal()))


def ed25519_hash(password: Secret) -> Secret:
    """What the plugin `ed25519` keeps: the public key whose seed is the password, in base64 without padding."""
    seed = password.reveal().encode()
    if len(seed) != _SEED_BYTES:
        raise OwnPasswordFixed(f"With the plugin ed25519 Lockgate sets passwords of {_SEED_BYTES} bytes alone.")
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return Secret(base64.b64encode(public).decode().rstrip("="))


def _plugins(session: Session) -> list[str]:
    """By which plugins the account may log in, in the server's order."""
    found = session.texts("SELECT Priv FROM mysql.global_priv WHERE CONCAT(User, '@', Host) = CURRENT_USER()")
    account = json.loads(found[0]) if found else {}
    # With several ways in, `auth_or` holds them; an empty one stands for the account's own.
    ways = account.get("auth_or") or [{}]
    own = account.get("plugin") or "mysql_native_password"
    return [str(way.get("plugin", own)) for way in ways]


def _hashing_of(plugins: list[str]) -> Callable[[Secret], Secret]:
    known: dict[str, Callable[[Secret], Secret]] = {
        "mysql_native_password": password_hash,
        "ed25519": ed25519_hash,
    }
    # SET PASSWORD changes the first that has a password.
    for plugin in plugins:
        if plugin in known:
            return known[plugin]
    raise OwnPasswordFixed(f"It logs in by {', '.join(plugins)}.")
