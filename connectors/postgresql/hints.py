"""How a person uses an account: one text a client, ready to paste, with the target's TLS setting."""

from __future__ import annotations

import shlex
from pathlib import PurePath
from urllib.parse import quote, urlencode

from connectors.base import ConnectionHint, Target, Tls

#: Stands where the password belongs. Passwords are made of characters that need no quoting anywhere.
_PASSWORD = "{password}"  # noqa: S105

#: JDBC's way to say "trust what the Java installation trusts".
_JAVA_TRUST = "org.postgresql.ssl.DefaultJavaSSLFactory"


def connection_hints(target: Target, principal: str, database: str) -> tuple[ConnectionHint, ...]:
    """One hint for each client that people use."""
    tls = _tls(target)
    address = f"{_host(target)}:{target.port}/{_in_url(database)}"
    credentials = f"{_in_url(principal)}:{_PASSWORD}"
    uri = f"postgresql://{credentials}@{address}?{_query(tls)}"
    return (
        ConnectionHint("psql", _psql(target, principal, database, tls)),
        ConnectionHint("libpq URI", uri),
        ConnectionHint("JDBC", _jdbc(target, principal, address, tls)),
        ConnectionHint("SQLAlchemy", f"postgresql+psycopg://{credentials}@{address}?{_query(tls)}"),
        ConnectionHint("asyncpg", f"postgresql://{credentials}@{address}?{_query(_for_asyncpg(tls))}"),
        ConnectionHint(".env", f"DATABASE_URL={uri}"),
    )


def _tls(target: Target) -> dict[str, str]:
    """As libpq has it. A certificate's path on Lockgate's machine means nothing to anybody else: only its name goes."""
    if target.tls_ca_file:
        return {"sslmode": target.tls.value, "sslrootcert": PurePath(target.tls_ca_file).name}
    if target.tls is Tls.VERIFY_FULL:
        return {"sslmode": target.tls.value, "sslrootcert": "system"}
    return {"sslmode": target.tls.value}


def _psql(target: Target, principal: str, database: str, tls: dict[str, str]) -> str:
    """Without the password: psql asks for it, and a command line is seen by everybody on the machine."""
    words = {"host": target.host, "port": str(target.port), "dbname": database, "user": principal, **tls}
    return "psql " + shlex.quote(" ".join(f"{word}={_conninfo(value)}" for word, value in words.items()))


def _jdbc(target: Target, principal: str, address: str, tls: dict[str, str]) -> str:
    words = {"user": principal, "password": _PASSWORD, **tls}
    if words.get("sslrootcert") == "system":
        del words["sslrootcert"]
        words["sslfactory"] = _JAVA_TRUST
    return f"jdbc:postgresql://{address}?{_query(words)}"


def _for_asyncpg(tls: dict[str, str]) -> dict[str, str]:
    """The same, without what asyncpg does not know: `system`. It looks for a certificate in the person's own folder."""
    return {word: value for word, value in tls.items() if value != "system"}


def _host(target: Target) -> str:
    return f"[{target.host}]" if ":" in target.host else _in_url(target.host)


def _in_url(part: str) -> str:
    return quote(part, safe="")


def _query(words: dict[str, str]) -> str:
    return urlencode(words, quote_via=quote, safe="{}")


def _conninfo(value: str) -> str:
    if value and all(character.isalnum() or character in "_.-:/@+" for character in value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
