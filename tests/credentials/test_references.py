"""How references are written, what an extra that is missing says, and the two kinds that need nobody else."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from access.credentials import Account, can_be_written, gives_tokens, resolve
from access.credentials.errors import ExtraMissing, ReferenceNotUnderstood, SecretNotThere
from access.credentials.references import Reference, parse, same_place
from access.credentials.registry import writable_store
from access.errors import SecretUnavailable
from connectors.base import Secret

ACCOUNT = Account("postgresql", "orders.test", 5432, "lockgate")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("env:NAME", Reference("env", "NAME")),
        ("file:/run/a?b#c", Reference("file", "/run/a?b#c")),
        ("vault:a/b#c", Reference("vault", "a/b", {}, "c")),
        ("aws-secret:arn:aws:x?region=r#k", Reference("aws-secret", "arn:aws:x", {"region": "r"}, "k")),
        ("azure:x?secret=file:/a%26b&client_id=1", Reference("azure", "x", {"secret": "file:/a&b", "client_id": "1"})),
    ],
)
def test_a_reference_in_its_parts(text: str, expected: Reference) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["", "env", "env:", ":x", "hunter2", "Env:x", "vault:a/b?x", "vault:a/b?x=1&x=2"])
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ReferenceNotUnderstood):
        parse(text)


def test_a_password_typed_for_a_reference_is_not_repeated() -> None:
    with pytest.raises(ReferenceNotUnderstood) as refused:
        resolve("correct-horse-battery", ACCOUNT)
    assert "horse" not in str(refused.value)


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(ReferenceNotUnderstood, match=r"etcd: is none of env:, file:, vault:, .*aws-iam:"):
        resolve("etcd:/orders", ACCOUNT)


@pytest.mark.parametrize(
    ("reference", "module", "extra"),
    [
        ("vault:secret/orders", "hvac", "vault"),
        ("aws-secret:orders", "boto3.session", "aws"),
        ("aws-iam:eu-central-1", "boto3.session", "aws"),
        ("azure-secret:shop/orders", "azure.keyvault.secrets", "azure"),
    ],
)
def test_a_missing_extra_says_what_to_install(
    reference: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ExtraMissing, match=rf"pip install 'lockgate\[{extra}\]'"):
        resolve(reference, ACCOUNT)


def test_which_give_tokens_and_which_can_be_written() -> None:
    kinds = {
        "env:A": (False, False),
        "file:/a": (False, True),
        "vault:a/b": (False, True),
        "aws-secret:a": (False, True),
        "azure-secret:a/b": (False, True),
        "azure:managed-identity": (True, False),
        "aws-iam:r": (True, False),
        "nonsense": (False, False),
    }
    assert {text: (gives_tokens(text), can_be_written(text)) for text in kinds} == kinds


def test_two_ways_to_write_the_same() -> None:
    assert same_place("vault:a/b?kv=2#c", "vault:a/b?kv=2#c")
    assert not same_place("vault:a/b#c", "vault:a/b#d")
    assert same_place("nonsense", "nonsense")


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SECRET", "one")
    assert resolve("env:TEST_SECRET", ACCOUNT).secret == Secret("one")
    monkeypatch.setenv("TEST_SECRET", "two")
    assert resolve("env:TEST_SECRET", ACCOUNT).secret == Secret("two"), "nothing is kept"
    monkeypatch.delenv("TEST_SECRET")
    with pytest.raises(SecretNotThere, match=r"The environment variable TEST_SECRET is empty or not set\."):
        resolve("env:TEST_SECRET", ACCOUNT)


# --- Files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "orders"
    file.write_text("first\n")
    file.chmod(0o640)
    return file


def test_a_file(path: Path) -> None:
    assert resolve(f"file:{path}", ACCOUNT).secret == Secret("first")
    path.write_text("")
    with pytest.raises(SecretNotThere, match="is empty"):
        resolve(f"file:{path}", ACCOUNT)
    path.unlink()
    with pytest.raises(SecretNotThere, match="No such file"):
        resolve(f"file:{path}", ACCOUNT)


def test_a_file_that_is_no_text_is_told_without_what_is_in_it(path: Path) -> None:
    path.write_bytes(b"first\xff")
    with pytest.raises(SecretUnavailable, match="not text") as refused:
        resolve(f"file:{path}", ACCOUNT)
    assert refused.value.__cause__ is None


def test_a_rotation_in_a_file(path: Path) -> None:
    store = writable_store(f"file:{path}", ACCOUNT)
    assert store.fetch_next() is None
    assert store.keep_next(Secret("second")) == Secret("second")
    assert store.keep_next(Secret("third")) == Secret("second"), "the one beside it is never replaced"
    assert (store.fetch().secret, store.fetch_next()) == (Secret("first"), Secret("second"))
    beside = path.with_name("orders.next")
    assert stat.S_IMODE(beside.stat().st_mode) == 0o640

    store.promote(Secret("second"))
    store.promote(Secret("second"))

    assert (store.fetch().secret, store.fetch_next()) == (Secret("second"), None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in path.parent.iterdir()] == ["orders"], "no draft is left"


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    store = writable_store(f"file:{link}", ACCOUNT)
    store.keep_next(Secret("second"))
    store.promote(Secret("second"))
    assert link.is_symlink()
    assert path.read_text() == "second\n"


def test_an_empty_file_beside_it_is_no_secret(path: Path) -> None:
    path.with_name("orders.next").touch()
    store = writable_store(f"file:{path}", ACCOUNT)
    assert store.fetch_next() is None
    assert store.keep_next(Secret("second")) == Secret("second")
    assert store.fetch_next() == Secret("second")
