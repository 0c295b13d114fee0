"""`aws-iam:region`: tokens for databases on Amazon RDS, signed on this machine with the identity that it has.

Nothing is asked over the network but, where the machine's role is, the role's own keys. A token is good for fifteen
minutes, and no longer than the keys that signed it. Option `host`: the endpoint that RDS knows, where the server is reached
under another name.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from access.credentials.aws import aws_client, aws_session, told_of_aws
from access.credentials.base import Account, Credential
from access.credentials.errors import ReferenceNotUnderstood
from access.credentials.references import Reference
from connectors.base import Authentication, Secret
from connectors.registry import identities_of

TOKEN_LASTS = timedelta(minutes=15)


class AwsIam:
    """Tokens for one account."""

    is_local = False

    def __init__(self, reference: Reference, account: Account) -> None:
        self._region = reference.only("host").place
        self._host = reference.options.get("host") or account.host
        self._account = account
        if not identities_of(account.engine).aws_iam:
            raise ReferenceNotUnderstood(f"Amazon RDS takes no IAM tokens for the engine {account.engine}.")

    def fetch(self) -> Credential:
        """A fresh token."""
        session = aws_session()
        client = aws_client(session, "rds", self._region)
        try:
            with told_of_aws():
                signed_at = datetime.now(UTC)
                token = client.generate_db_auth_token(
                    DBHostname=self._host, Port=self._account.port, DBUsername=self._account.user, Region=self._region
                )
                ends = _end_of_keys(session.get_credentials())
        finally:
            client.close()
        expires_at = signed_at + TOKEN_LASTS
        return Credential(Secret(token), Authentication.ACCESS_TOKEN, min(expires_at, ends) if ends else expires_at)


def _end_of_keys(keys: Any) -> datetime | None:
    """When the keys of a role run out; `None` for keys that do not. boto3 tells it nowhere but here."""
    ends: datetime | None = getattr(keys, "_expiry_time", None)
    return ends
