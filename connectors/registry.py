"""Which connector speaks which engine. The only place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from connectors.base import Connector, Target, Tls
from connectors.errors import UnknownEngine

#: Engine name → (module, class), imported when first used so that an engine's driver is needed only where it is used.
_CONNECTORS = {
    "postgresql": ("connectors.postgresql.connector", "PostgreSQLConnector"),
    "mariadb": ("connectors.mariadb.connector", "MariaDBConnector"),
    "sqlserver": ("connectors.sqlserver.connector", "SQLServerConnector"),
    "azuresql": ("connectors.azuresql.connector", "AzureSQLConnector"),
    "fake": ("connectors.fake.connector", "FakeConnector"),
}

#: Engine name → what people call it. The fake is for tests and is never offered.
ENGINE_LABELS = {"postgresql": "PostgreSQL", "mariadb": "MariaDB", "sqlserver": "SQL Server", "azuresql": "Azure SQL"}
#: Engine name → the TCP port that its servers listen on where nobody has said otherwise.
DEFAULT_PORTS = {"postgresql": 5432, "mariadb": 3306, "sqlserver": 1433, "azuresql": 1433}


@dataclass(frozen=True, slots=True)
class Identities:
    """With whose tokens Lockgate's own account may log in instead of a password; nothing means that it may not."""

    azure_scope: str = ""
    """What an Entra token has to be made for."""
    aws_iam: bool = False
    """Whether Amazon RDS takes tokens signed by IAM for this engine."""


_OPEN_SOURCE_ON_CLOUDS = Identities("https://ossrdbms-aad.database.windows.net/.default", aws_iam=True)
_SQL_ON_AZURE = Identities("https://database.windows.net/.default")
_IDENTITIES = {
    "postgresql": _OPEN_SOURCE_ON_CLOUDS,
    "mariadb": _OPEN_SOURCE_ON_CLOUDS,
    "sqlserver": _SQL_ON_AZURE,
    "azuresql": _SQL_ON_AZURE,
}


def identities_of(engine: str) -> Identities:
    """The cloud identities that the engine knows; none for an engine that is not known."""
    return _IDENTITIES.get(engine, Identities())


#: Engines whose servers are in this process, so that nothing is sent anywhere.
_IN_PROCESS = frozenset({"fake"})


def sends_secrets(engine: str) -> bool:
    """Whether connecting to a server of this engine sends a secret to an address."""
    return engine not in _IN_PROCESS


#: Engines on which people may come in as themselves.
_TAKE_OWN_IDENTITY = frozenset({"azuresql"})


def takes_own_identity(engine: str) -> bool:
    """Whether people may come in with their own identity of Entra ID."""
    return engine in _TAKE_OWN_IDENTITY


#: Engines whose driver cannot check a certificate without its name.
_CHECK_NAMES_TOO = frozenset({"sqlserver", "azuresql"})


def tls_settings_of(engine: str) -> tuple[Tls, ...]:
    """The settings that the engine's driver does as they say, the safest first."""
    return tuple(tls for tls in Tls if not (tls is Tls.VERIFY_CA and engine in _CHECK_NAMES_TOO))


def needs_authority_file(engine: str) -> bool:
    """Whether 'verify-ca' takes a file: libpq has the system's authorities for the full check alone."""
    return engine == "postgresql"


def shows_passwords(engine: str) -> bool:
    """Whether the engine's protocol has no proof of a password but the password itself."""
    return engine in ("sqlserver", "azuresql")


def open_connector(target: Target) -> Connector:
    """A connector for the target's engine; it connects when first used. Raises `UnknownEngine`."""
    try:
        module, name = _CONNECTORS[target.engine]
    except KeyError:
        raise UnknownEngine(f"Asked for: {target.engine!r}.") from None
    factory: Callable[[Target], Connector] = getattr(import_module(module), name)
    return factory(target)
