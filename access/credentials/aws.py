"""What the two kinds of AWS references share: a session of boto3, and its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from access.credentials.errors import SecretNotThere, StoreNotConfigured, StoreRefused, StoreUnreachable
from access.credentials.extras import client_library

_CONNECT_SECONDS, _READ_SECONDS = 3, 5
_NOT_THERE = frozenset({"ResourceNotFoundException"})
#: The service is busy or ill; anything else with a code is a refusal.
_PASSING = frozenset({"InternalServiceError", "InternalFailure", "ThrottlingException", "ServiceUnavailable"})


def aws_session() -> Any:
    """The identity that the machine or the environment has; a new one each time, since none is safe among threads."""
    return client_library("boto3.session", extra="aws").Session()


def aws_client(session: Any, service: str, region: str) -> Any:
    """A client of one service. Close it."""
    config = client_library("botocore.config", extra="aws").Config(
        connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries={"total_max_attempts": 2}
    )
    with told_of_aws():
        return session.client(service, region_name=region or None, config=config)


def code_of(error: Any) -> str:
    """AWS's own code of an error that it answered with."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def told_of_aws(place: str = "") -> Iterator[None]:
    """Errors of boto3 as ours."""
    exceptions = client_library("botocore.exceptions", extra="aws")
    try:
        yield
    except exceptions.ClientError as error:
        code = code_of(error)
        if code in _NOT_THERE:
            raise SecretNotThere(f"AWS has nothing named {place!r} in this region and account.") from error
        if code in _PASSING:
            raise StoreUnreachable(f"AWS answers {code}.") from error
        raise StoreRefused(f"AWS answers {code}.") from error
    except exceptions.NoRegionError as error:
        raise StoreNotConfigured("Name the region in the reference, or set AWS_REGION.") from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise StoreNotConfigured(
            "AWS's client finds no identity on this machine: give it a role, or set its variables."
        ) from error
    except exceptions.BotoCoreError as error:
        raise StoreUnreachable(f"AWS ({type(error).__name__}).") from error
