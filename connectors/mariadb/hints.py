"""How to use an account from the clients that people have, with TLS as the target has it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from connectors.base import ConnectionHint, Target, Tls

#: Stands where the password belongs; whoever fills it in encodes it for an address.
_PASSWORD = "{password}"  # noqa: S105 - it is where one goes

_JDBC_MODES = {
    Tls.VERIFY_FULL: "verify-full",
    Tls.VERIFY_CA: "verify-ca",
    Tls.REQUIRE: "trust",
    Tls.DISABLE: "disable",
}
#: The client library of the `mariadb` client and of mysqlclient encrypts for sure only where it checks the certificate: with
#: REQUIRED it goes on in the clear where the server has no TLS. So a line that is pasted checks, and fails rather than that.
_LIBRARY_MODES = {
    Tls.VERIFY_FULL: "VERIFY_IDENTITY",
    Tls.VERIFY_CA: "VERIFY_CA",
    Tls.REQUIRE: "VERIFY_IDENTITY",
    Tls.DISABLE: "DISABLED",
}


def connection_hints(target: Target, principal: str, database: str) -> Sequence[ConnectionHint]:
    """See `Connector.connection_hints`."""
    return (
        ConnectionHint("mariadb", _client(target, principal, database)),
        ConnectionHint("URI", _address("mysql", target, principal, database, _uri_options(target))),
        ConnectionHint("JDBC", _jdbc(target, principal, database)),
        ConnectionHint("SQLAlchemy", _address("mysql+mysqldb", target, principal, database, _library_options(target))),
        ConnectionHint(".env", "DATABASE_URL=" + _address("mysql", target, principal, database, _uri_options(target))),
    )


def _client(target: Target, principal: str, database: str) -> str:
    """The command asks for the password, which then is in no history and no process list."""
    where = [f"--host={target.host}", "--protocol=tcp", f"--port={target.port}"]
    who = [f"--user={principal}", "--password"]
    return shlex.join(["mariadb", *where, *who, *_client_tls(target), *([database] if database else [])])


def _client_tls(target: Target) -> list[str]:
    if target.tls is Tls.DISABLE:
        return ["--skip-ssl"]
    return ["--ssl", "--ssl-verify-server-cert", *([f"--ssl-ca={target.tls_ca_file}"] if target.tls_ca_file else [])]


def _jdbc(target: Target, principal: str, database: str) -> str:
    options = {"user": principal, "password": _PASSWORD, "sslMode": _JDBC_MODES[target.tls]}
    if _has_ca(target):
        options["serverSslCert"] = target.tls_ca_file
    return f"jdbc:mariadb://{_host(target)}:{target.port}/{quote(database, safe='')}?{_encoded(options)}"


def _address(scheme: str, target: Target, principal: str, database: str, options: dict[str, str]) -> str:
    who = f"{quote(principal, safe='')}:{_PASSWORD}"
    return f"{scheme}://{who}@{_host(target)}:{target.port}/{quote(database, safe='')}?{_encoded(options)}"


def _uri_options(target: Target) -> dict[str, str]:
    ca = {"ssl-ca": target.tls_ca_file} if _has_ca(target) else {}
    return {"ssl-mode": _LIBRARY_MODES[target.tls], **ca}


def _library_options(target: Target) -> dict[str, str]:
    ca = {"ssl_ca": target.tls_ca_file} if _has_ca(target) else {}
    return {"charset": "utf8mb4", "ssl_mode": _LIBRARY_MODES[target.tls], **ca}


def _has_ca(target: Target) -> bool:
    return bool(target.tls_ca_file) and target.tls is not Tls.DISABLE


def _host(target: Target) -> str:
    return f"[{target.host}]" if ":" in target.host else target.host


def _encoded(options: dict[str, str]) -> str:
    return urlencode(options, quote_via=quote, safe="{}/")
