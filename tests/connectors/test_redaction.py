"""A secret leaves no trace in the words of others."""

from __future__ import annotations

import copy
import pickle

import pytest

from connectors.base import Secret
from connectors.redaction import MASK, scrub


@pytest.mark.parametrize("secret", ["plain", "o'brien", "back\\slash", "both'\\", "a", "%s"])
def test_a_secret_in_any_dress(secret: str) -> None:
    quoted = secret.replace("'", "''")
    for dress in (secret, quoted, quoted.replace("\\", "\\\\"), secret.replace("\\", "\\\\")):
        assert scrub(f"<{dress}>", [Secret(secret)]) == f"<{MASK}>"


@pytest.mark.parametrize(
    "verifier",
    [
        "SCRAM-SHA-256$4096:9oNOjGgQR4wwuvyjkZVsZQ==$cuXlXZvBQzeJOKlhAqYQ=:bLADFkquTtm5uZWDLzxd+aSPz/xD7=",
        "md5d41d8cd98f00b204e9800998ecf8427e",
        "*2470C0C06DEE42FD1618BBB99005ADCA2EC9D1E1",
        "0x0200" + "5ca1ab1e" + "0f" * 64,
    ],
)
def test_a_verifier_goes_without_being_named(verifier: str) -> None:
    assert scrub(f"PASSWORD '{verifier}' VALID UNTIL") == f"PASSWORD '{MASK}' VALID UNTIL"


def test_an_empty_secret_is_nowhere() -> None:
    assert scrub("as it was", [Secret("")]) == "as it was"


def test_a_secret_does_not_show_and_does_not_travel() -> None:
    secret = Secret("hidden")
    assert "hidden" not in f"{secret} {secret!r}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.copy(secret)
