"""Which secret a reference leads to, however it is written: what two references have to agree in to give the same secret.

Coarse on purpose: that two different secrets count as one costs a second administrator's look, the other way round costs a
secret. What stands beside a secret while it is being rotated is that secret.
"""

from __future__ import annotations

import os
import posixpath
import re
from urllib.parse import unquote

from access.credentials.base import Account
from access.credentials.references import Reference, parse

_ARN = re.compile(r"arn:[^:]*:secretsmanager:[^:]*:[^:]*:secret:(.+)")
#: What AWS puts behind the name in an ARN; it takes ARNs without it too, and a name may end as if it were one.
_BEHIND_THE_NAME = re.compile(r"(?:-[A-Za-z0-9]{6})+$")
_VAULT_OF_AZURE = re.compile(r"(?:https://)?([^/.]+)(?:\.vault\.[^/]*)?/(?:secrets/)?([^/]+).*")
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1|\[::1\]")


def place_of(reference: str, account: Account) -> str:
    """The secret that the reference gives to this account. Asks nobody. Raises `ReferenceNotUnderstood`."""
    parsed = parse(reference)
    return f"{parsed.scheme}:{_within(parsed, account)}"


def names_another(reference: str, account: Account) -> bool:
    """Whether it gives what is made for a server at another address than the account's."""
    parsed = parse(reference)
    host = parsed.options.get("host", "")
    return parsed.scheme == "aws-iam" and bool(host) and host_of(host) != host_of(account.host)


def host_of(host: str) -> str:
    """A host name as it is compared: whatever leads to this machine is this machine."""
    name = host.strip().rstrip(".").lower()
    return "localhost" if _LOOPBACK.fullmatch(name) else name


def _within(parsed: Reference, account: Account) -> str:
    match parsed.scheme:
        case "file":
            return os.path.realpath(parsed.place).removesuffix(".next")
        case "vault":
            path = posixpath.normpath(unquote(parsed.place).strip("/"))
            return f"{path}#{(parsed.key or 'password').removesuffix('_next')}"
        case "aws-secret":
            arn = _ARN.fullmatch(parsed.place)
            return _BEHIND_THE_NAME.sub("", arn[1] if arn else parsed.place)
        case "azure-secret":
            place = unquote(parsed.place).lower()
            found = _VAULT_OF_AZURE.fullmatch(place)
            return "/".join(found.groups()).removesuffix("-next") if found else place
        case "azure":
            # Its tokens are good for every server that knows the identity.
            return f"{parsed.place}/{parsed.options.get('tenant_id', '')}/{parsed.options.get('client_id', '')}".lower()
        case "aws-iam":
            # Signed for one account at one address.
            return f"{account.user}@{host_of(parsed.options.get('host') or account.host)}:{account.port}"
    return parsed.place
