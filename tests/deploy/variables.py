"""Which environment variables Lockgate's code really reads, found by reading the code itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from deploy.local.installed import ROOT

SETTINGS = ("console/settings.py", "console/environment.py")
#: Programs and tests read a few more: where the demo keeps its data, which servers the tests run against.
CODE = ("access", "audit", "connectors", "console", "deploy", "gateway", "people", "tests")
_NAME = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*_?")
_READERS = {"text", "required", "bool", "int", "count", "listen", "networks", "email_url", "get"}


@cache
def settings_variables() -> frozenset[str]:
    """What the settings read; each also as `NAME_FILE`."""
    return frozenset(name for path in SETTINGS for name in _read_in(path))


@cache
def all_variables() -> frozenset[str]:
    """What anything in the project reads: the settings, `make`, the demo and the tests."""
    files = [str(path.relative_to(ROOT)) for folder in CODE for path in sorted((ROOT / folder).rglob("*.py"))]
    return settings_variables() | {name for path in files for name in _read_in(path)}


def is_of_a_family(name: str) -> bool:
    """`LOCKGATE_SSO_OKTA_CLIENT_ID`: the part in the middle is chosen by whoever sets it."""
    code = (ROOT / "people/sso/providers.py").read_text()
    beginnings = re.findall(r'f"(LOCKGATE_[A-Z]+_)\{', code)
    ends = re.findall(r'required\("([A-Z_]+)"', code) + re.findall(r'\{prefix\}([A-Z_]+)"', code)
    return any(re.fullmatch(rf"{begin}[A-Z0-9_]+?_{end}", name) for begin in beginnings for end in ends)


def is_read(name: str, known: frozenset[str]) -> bool:
    """Whether a variable, or the file that holds it, is among those that are read."""
    held = name.removesuffix("_FILE")
    return name in known or held in settings_variables() or is_of_a_family(held)


def _read_in(path: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        literal: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _READERS:
            literal = node.args[0] if node.args else None
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            literal = node.slice
        if isinstance(literal, ast.Constant) and isinstance(literal.value, str) and _NAME.fullmatch(literal.value):
            yield literal.value
