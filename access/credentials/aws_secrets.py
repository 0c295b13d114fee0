"""`aws-secret:name#key`: a secret in AWS Secrets Manager, by name or ARN; with `#key` one field of a JSON object.

Option `region`, else AWS_REGION. Who we are is what the machine or the environment says.

The next password of a rotation is the version that Secrets Manager labels AWSPENDING, and promoting it moves the label
AWSCURRENT, as its own rotations do.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from access.credentials.aws import aws_client, aws_session, code_of, told_of_aws
from access.credentials.base import Credential
from access.credentials.errors import SecretNotThere
from access.credentials.extras import client_library
from access.credentials.fields import field_of, with_field
from access.credentials.references import Reference
from connectors.base import Secret

_CURRENT, _NEXT = "AWSCURRENT", "AWSPENDING"


@dataclass(frozen=True, slots=True)
class _Version:
    id: str
    text: Secret


class AwsSecret:
    """One secret, or one field of it."""

    is_local = False

    def __init__(self, reference: Reference) -> None:
        self._name = reference.only("region", key=True).place
        self._region = reference.options.get("region", "")
        self._key = reference.key

    def fetch(self) -> Credential:
        """What the version labelled AWSCURRENT holds."""
        with self._connected() as client:
            return Credential(self._field(self._current(client)))

    def fetch_next(self) -> Secret | None:
        """What the version labelled AWSPENDING holds, where that is not the current one."""
        with self._connected() as client:
            beside = self._beside(client)
            return self._field(beside) if beside else None

    def keep_next(self, secret: Secret) -> Secret:
        """A new version beside the current one."""
        with self._connected() as client:
            if beside := self._beside(client):
                return self._field(beside)
            self._put(client, secret, _NEXT)
        return secret

    def promote(self, secret: Secret) -> None:
        """Move the label."""
        with self._connected() as client:
            current, beside = self._current(client), self._beside(client)
            if self._field(current) == secret:
                return
            if beside is None or self._field(beside) != secret:
                self._put(client, secret, _CURRENT)
                return
            moved = {"MoveToVersionId": beside.id, "RemoveFromVersionId": current.id}
            client.update_secret_version_stage(SecretId=self._name, VersionStage=_CURRENT, **moved)
            client.update_secret_version_stage(SecretId=self._name, VersionStage=_NEXT, RemoveFromVersionId=beside.id)

    def _field(self, version: _Version) -> Secret:
        return Secret(field_of(version.text.reveal(), self._key))

    def _current(self, client: Any) -> _Version:
        return self._version(client, _CURRENT)

    def _beside(self, client: Any) -> _Version | None:
        exceptions = client_library("botocore.exceptions", extra="aws")
        try:
            beside = self._version(client, _NEXT)
        except exceptions.ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            return None
        return beside if beside.id != self._current(client).id else None

    def _version(self, client: Any, label: str) -> _Version:
        answer = client.get_secret_value(SecretId=self._name, VersionStage=label)
        if "SecretString" not in answer:
            raise SecretNotThere(f"{self._name!r} holds bytes, not text.")
        return _Version(answer["VersionId"], Secret(answer["SecretString"]))

    def _put(self, client: Any, secret: Secret, label: str) -> None:
        text = with_field(self._current(client).text.reveal(), self._key, secret.reveal())
        client.put_secret_value(
            SecretId=self._name, ClientRequestToken=str(uuid.uuid4()), SecretString=text, VersionStages=[label]
        )

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        client = aws_client(aws_session(), "secretsmanager", self._region)
        try:
            with told_of_aws(self._name):
                yield client
        finally:
            client.close()
