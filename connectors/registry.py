"""Which connector speaks which engine. The only place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from connectors.base import Connector, Target
from connectors.errors import UnknownEngine

#: Engine name → (module, class), imported when first used so that an engine's driver is needed only where it is used.
_CONNECTORS = {
    "postgresql": ("connectors.postgresql.connector", "PostgreSQLConnector"),
    "mariadb": ("connectors.mariadb.connector", "MariaDBConnector"),
    "fake": ("connectors.fake.connector", "FakeConnector"),
}

#: Engine name → what people call it. The fake is for tests and is never offered.
ENGINE_LABELS = {"postgresql": "PostgreSQL", "mariadb": "MariaDB"}


def open_connector(target: Target) -> Connector:
    """A connector for the target's engine; it connects when first used. Raises `UnknownEngine`."""
    try:
        module, name = _CONNECTORS[target.engine]
    except KeyError:
        raise UnknownEngine(f"Asked for: {target.engine!r}.") from None
    factory: Callable[[Target], Connector] = getattr(import_module(module), name)
    return factory(target)
