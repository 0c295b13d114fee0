"""What the lines for connecting are verified by can be downloaded beside them, and holds nothing that is not for people."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from django.urls import reverse
from pytest_django import Settings

from access.models import Server
from tests.console.people_and_pages import Pages, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A certificate with its private key in the same file, as many keep them."""
    path = tmp_path / "billing-ca.pem"
    certificate, key = tmp_path / "c", tmp_path / "k"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run(
        [*command, "-subj", "/CN=Billing CA", "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    with path.open("wb") as both:
        for part in (key, certificate):
            with part.open("rb") as file:
                shutil.copyfileobj(file, both)
    return path


def test_the_owner_downloads_what_the_server_is_verified_by(pages: Pages, chain: Path) -> None:
    Server.objects.filter(pk=pages.active.server_id).update(tls="verify-full", tls_ca_file=str(chain))
    page = signed_in(pages.world.alice).get(reverse("grant", args=[pages.active.reference])).content.decode()
    assert "sslrootcert=billing-ca.pem" in page
    assert str(chain.parent) not in page
    assert reverse("grant_ca", args=[pages.active.reference]) in page
    answer = signed_in(pages.world.alice).get(reverse("grant_ca", args=[pages.active.reference]))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="billing-ca.pem"'
    assert answer.content.decode().startswith("-----BEGIN CERTIFICATE-----")
    assert b"PRIVATE" not in answer.content


def test_nobody_else_is_given_the_file(pages: Pages, chain: Path) -> None:
    Server.objects.filter(pk=pages.active.server_id).update(tls_ca_file=str(chain))
    for who in (pages.world.bob, pages.world.carol):
        assert signed_in(who).get(reverse("grant_ca", args=[pages.active.reference])).status_code == 404


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_a_certificate_is_not_given(pages: Pages, tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.pem").write_text(content)
    Server.objects.filter(pk=pages.active.server_id).update(tls_ca_file=str(tmp_path / "ca.pem"))
    assert signed_in(pages.world.alice).get(reverse("grant_ca", args=[pages.active.reference])).status_code == 404


@pytest.mark.parametrize(
    ("address", "certificate", "expected"),
    [
        ("gateway.example.com:6432", "", "sslmode=verify-full"),
        ("gateway.example.com:6432", "/run/gateway.pem", "sslmode=verify-full"),
        ("10.0.0.7:6432", "", "sslmode=verify-full"),
        ("127.0.0.1:6432", "", "sslmode=disable"),
        ("[::1]:6432", "", "sslmode=disable"),
        ("localhost:6432", "/run/gateway.pem", "sslmode=verify-full"),
    ],
)
def test_a_token_is_given_to_no_gateway_that_was_not_verified(
    pages: Pages, settings: Settings, address: str, certificate: str, expected: str
) -> None:
    settings.LOCKGATE_GATEWAY_ADDRESS, settings.LOCKGATE_GATEWAY_CERTIFICATE = address, certificate
    page = signed_in(pages.world.alice).get(reverse("grant", args=[pages.active.reference])).content.decode()
    lines = page[page.index('id="gateway-text-1"') :]
    assert expected in lines
    assert "sslmode=require" not in lines


def test_the_gateways_authority_lies_beside_its_lines(pages: Pages, settings: Settings, chain: Path) -> None:
    settings.LOCKGATE_GATEWAY_ADDRESS, settings.LOCKGATE_GATEWAY_CA = "gateway.example.com:6432", str(chain)
    page = signed_in(pages.world.alice).get(reverse("grant", args=[pages.active.reference])).content.decode()
    assert "sslrootcert=billing-ca.pem" in page[page.index('id="gateway-text-1"') :]
    assert reverse("grant_gateway_ca", args=[pages.active.reference]) in page
    assert (
        signed_in(pages.world.alice).get(reverse("grant_gateway_ca", args=[pages.active.reference])).status_code == 200
    )
