"""The certificate authority that the lines for connecting refer to, so that whoever pastes one has the file as well."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from cryptography import x509
from django.conf import settings

from access.models import Grant
from people.models import User

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
#: No chain of anybody's is as long.
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Authority:
    """Certificates that people may have, under the name that the lines call the file by."""

    name: str
    pem: str


def authority_of_server(person: User, grant: Grant) -> Authority | None:
    """By which the owner of the access verifies its server; None for others, and where the public ones do."""
    return _read(grant.server.tls_ca_file) if grant.person_id == person.pk else None


def authority_of_gateway(person: User, grant: Grant) -> Authority | None:
    """By which the owner of the access verifies the gateway; None for others, and where the public ones do."""
    return _read(settings.LOCKGATE_GATEWAY_CA) if grant.person_id == person.pk else None


def file_name(path: str) -> str:
    """What the file is called on somebody else's machine: where it lies on ours means nothing there."""
    name = PurePath(path).name
    return name if not path or PurePath(name).suffix else f"{name}.crt"


def _read(path: str) -> Authority | None:
    """The certificates in the file, and nothing else that may be in it: many keep a private key in the same one."""
    if not path:
        return None
    try:
        with Path(path).open(encoding="ascii", errors="replace") as file:
            found = _CERTIFICATE.findall(file.read(_LONGEST))
        for certificate in found:
            x509.load_pem_x509_certificate(certificate.encode())
    except (OSError, ValueError):
        return None
    return Authority(file_name(path), "".join(f"{certificate}\n" for certificate in found)) if found else None
