"""Clients of stores that not everybody needs: imported when first used, and missed in words."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from access.credentials.errors import ExtraMissing


def client_library(module: str, *, extra: str) -> Any:
    """A module of a package that one of the extras brings. Raises `ExtraMissing`, which says what to install."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ExtraMissing(f"Run: pip install 'lockgate[{extra}]'") from error
