"""What is known of other people's images, from their documentation: which variables they read, which programs they have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Image:
    """One image, in any of its versions that the compose file may name."""

    variables: frozenset[str]
    programs: frozenset[str]


IMAGES = {
    "postgres": Image(
        variables=frozenset({"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE"}),
        programs=frozenset({"postgres", "pg_isready", "psql"}),
    ),
    "redis": Image(variables=frozenset(), programs=frozenset({"redis-server", "redis-cli"})),
    "mariadb": Image(
        variables=frozenset({"MARIADB_ROOT_PASSWORD", "MARIADB_ROOT_PASSWORD_FILE", "MARIADB_AUTO_UPGRADE"}),
        programs=frozenset({"mariadbd", "mariadb", "healthcheck.sh"}),
    ),
    "mcr.microsoft.com/mssql/server": Image(
        variables=frozenset({"ACCEPT_EULA", "MSSQL_PID", "MSSQL_SA_PASSWORD"}),
        programs=frozenset({"/bin/bash", "/opt/mssql/bin/sqlservr", "/opt/mssql-tools18/bin/sqlcmd"}),
    ),
}
