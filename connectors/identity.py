"""People's own identities: which engine lets a person in as themself, instead of by an account of ours."""

from __future__ import annotations

from connectors.base import ProvisionRequest
from connectors.errors import IdentityNotSupported


def refuse_own_identity(request: ProvisionRequest) -> None:
    """For engines that make accounts only: never make one where none was approved. Raises `IdentityNotSupported`."""
    if request.identity:
        raise IdentityNotSupported(f"Asked for: {request.identity}.")
