"""Lockgate's identity on Azure, as a reference names it, and the errors of Azure's clients in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential

from access.credentials.errors import (
    IdentityRefused,
    ReferenceNotUnderstood,
    SecretNotThere,
    StoreNotConfigured,
    StoreRefused,
    StoreUnreachable,
)
from access.credentials.references import Reference
from access.credentials.registry import open_password_store
from access.errors import SecretUnavailable

MANAGED, WORKLOAD, CLIENT_SECRET = KINDS = ("managed-identity", "workload-identity", "client-secret")
#: What a reference may say about the identity.
OPTIONS = ("client_id", "tenant_id", "token_file", "secret")
#: A person may wait for the answer: not the clients' minutes.
HTTP: dict[str, Any] = {"connection_timeout": 3, "read_timeout": 5, "retry_total": 2, "retry_backoff_factor": 0.3}
_LONGEST_WORDS = 300
_TOO_MANY_REQUESTS, _SERVER_ERROR = 429, 500


def identity(kind: str, reference: Reference) -> Any:
    """A credential of azure-identity, to be closed. Each is a new one, which has nothing from before in its cache."""
    options = reference.options
    try:
        if kind == MANAGED:
            return ManagedIdentityCredential(client_id=options.get("client_id"), **HTTP)
        if kind == WORKLOAD:
            names = {"client_id": "client_id", "tenant_id": "tenant_id", "token_file_path": "token_file"}
            given = {name: options[option] for name, option in names.items() if option in options}
            return WorkloadIdentityCredential(**given, **HTTP)
    except ValueError as error:
        raise StoreNotConfigured(_words(error)) from error
    if kind != CLIENT_SECRET:
        raise ReferenceNotUnderstood(f"Azure's identities are {', '.join(KINDS)}, not {kind!r}.")
    secret = open_password_store(reference.required("secret")).fetch().secret
    try:
        return ClientSecretCredential(
            reference.required("tenant_id"), reference.required("client_id"), secret.reveal(), **HTTP
        )
    except ValueError as error:
        raise StoreNotConfigured(_words(error)) from error


@contextmanager
def told_of_azure(place: str = "") -> Iterator[None]:
    """Errors of Azure's clients as ours."""
    try:
        yield
    except ClientAuthenticationError as error:
        raise _told_of_identity(error) from error
    except ResourceNotFoundError as error:
        raise SecretNotThere(f"Azure has nothing at {place}.") from error
    except (ServiceRequestError, ServiceResponseError) as error:
        raise StoreUnreachable(f"{place}: {_words(error)}".strip(": ")) from error
    except HttpResponseError as error:
        status = error.status_code or _SERVER_ERROR
        if status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS:
            raise StoreUnreachable(f"Azure answers {status} for {place}.") from error
        raise StoreRefused(f"Azure answers {status} for {place}.") from error
    except AzureError as error:
        raise StoreUnreachable(_words(error)) from error
    except ValueError as error:
        # An authority or an address that the clients do not take.
        raise StoreNotConfigured(_words(error)) from error


def _told_of_identity(error: ClientAuthenticationError) -> SecretUnavailable:
    """azure-identity calls it a failed authentication, too, when nobody answered."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, (ServiceRequestError, ServiceResponseError)):
            return StoreUnreachable(_words(error))
        behind = behind.__cause__ or behind.__context__
    status = error.status_code or 0
    is_passing = status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS
    return (StoreUnreachable if is_passing else IdentityRefused)(_words(error))


def _words(error: BaseException) -> str:
    """The first line of what Microsoft's client says: it names the error (AADSTS…), and holds no secret."""
    lines = str(getattr(error, "message", "") or error).strip().splitlines() or [type(error).__name__]
    return lines[0][:_LONGEST_WORDS]
