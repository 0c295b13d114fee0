"""`azure:managed-identity`, `azure:workload-identity`, `azure:client-secret`: tokens of Microsoft Entra ID.

For Azure SQL, and for Azure Database for PostgreSQL and MySQL; the engine says what the token has to be made for. Options:
`client_id`, `tenant_id`, `token_file` (of the workload identity), `secret` (a reference to a client's secret) and `scope`
(on Azure's national clouds).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from access.credentials.azure import OPTIONS, identity, told_of_azure
from access.credentials.base import Account, Credential
from access.credentials.errors import ReferenceNotUnderstood
from access.credentials.references import Reference
from connectors.base import Authentication, Secret
from connectors.registry import identities_of

#: Of Azure SQL, and of PostgreSQL and MySQL, on whichever of Azure's clouds.
_FOR_DATABASES = re.compile(r"https://(?:ossrdbms-aad\.)?database\.[a-z0-9.-]+/\.default")


class AzureIdentity:
    """Tokens for one engine."""

    is_local = False

    def __init__(self, reference: Reference, account: Account) -> None:
        self._reference = reference.only(*OPTIONS, "scope")
        self._scope = reference.options.get("scope") or identities_of(account.engine).azure_scope
        if not _FOR_DATABASES.fullmatch(self._scope):
            # A token for anything else would be good for more than a database, and go to whatever listens at the address.
            if self._scope:
                raise ReferenceNotUnderstood("scope is that of a database service: https://database.….../.default.")
            raise ReferenceNotUnderstood(f"Azure gives no tokens for the engine {account.engine}.")

    def fetch(self) -> Credential:
        """A fresh token."""
        with told_of_azure(), identity(self._reference.place, self._reference) as credential:
            token = credential.get_token(self._scope)
        expires_at = datetime.fromtimestamp(token.expires_on, UTC)
        return Credential(Secret(token.token), Authentication.ACCESS_TOKEN, expires_at)
