"""What is asked of a provider over HTTP: its discovery document, its keys, somebody's claims, somebody's many groups.

The first two are kept for a few minutes, so that a provider is not asked for them at every sign-in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from django.core.cache import cache

from people.sso.bounded import REQUEST_SECONDS, BoundedSession
from people.sso.claims import can_be_kept
from people.sso.errors import GroupsNotReadable, ProviderDown, ProviderMisconfigured, WrongIssuer
from people.sso.providers import Provider

_KEPT_SECONDS = 300
#: A token with a key that is not known makes us look again, but a flood of such tokens no oftener than this.
_LOOK_AGAIN_SECONDS = 10
#: Who looks for new keys has found them, or not, at most so much later; the others ask so often whether it is so.
_OTHERS_LOOK_SECONDS = REQUEST_SECONDS + 1.0
_ASK_EVERY_SECONDS = 0.1
_LOOKING, _HAS_LOOKED = "looking", "has looked"
_MOST_PAGES = 20
#: For all of somebody's pages of groups: whoever waits for them holds one of the few places for signing in.
_GROUPS_SECONDS = 10
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


def discovery(provider: Provider) -> dict[str, Any]:
    """The provider's discovery document. Raises `ProviderDown`, `ProviderMisconfigured` or `WrongIssuer`."""
    kept = f"sso:discovery:{provider.issuer}"
    found: dict[str, Any] | None = cache.get(kept)
    if found is None:
        found = _get(f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
        _check(found, provider)
        cache.set(kept, found, _KEPT_SECONDS)
    return found


def find_key(provider: Provider, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
    """The provider's key with this id for this algorithm; its only one when the token names none.

    A key that says which algorithm it is for is for no other; one that does not (RFC 7517, 4.4) is for each of its kind.
    """
    address = discovery(provider)["jwks_uri"]
    kept = f"sso:keys:{address}"
    keys: dict[str, Any] | None = cache.get(kept)
    found = _among(keys, key_id, algorithm) if keys else None
    if found is not None:
        return found
    looking = f"sso:looked:{address}"
    if keys and not cache.add(looking, _LOOKING, _LOOK_AGAIN_SECONDS):
        return _found_by_somebody_else(kept, looking, key_id, algorithm)
    try:
        fresh = _get(address)
    except (ProviderDown, ProviderMisconfigured):
        cache.delete(looking)
        raise
    cache.set(kept, fresh, _KEPT_SECONDS)
    if keys:
        cache.set(looking, _HAS_LOOKED, _LOOK_AGAIN_SECONDS)
    return _among(fresh, key_id, algorithm)


def _found_by_somebody_else(kept: str, looking: str, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
    """After a rotation several people arrive with the new key at once: one fetches it, the others wait for that.

    Raises `ProviderDown` when it does not come: that a key is not known yet proves nothing against a token.
    """
    deadline = time.monotonic() + _OTHERS_LOOK_SECONDS
    while cache.get(looking) == _LOOKING and time.monotonic() < deadline:
        time.sleep(_ASK_EVERY_SECONDS)
    if cache.get(looking) != _HAS_LOOKED:
        raise ProviderDown("Its new keys did not come.")
    return _among(cache.get(kept) or {}, key_id, algorithm)


def user_info(provider: Provider, access_token: str) -> dict[str, Any]:
    """What the provider's userinfo endpoint says; nothing where it has none."""
    address = discovery(provider).get("userinfo_endpoint")
    return _get(address, access_token) if address else {}


def many_groups(provider: Provider, access_token: str) -> frozenset[str]:
    """The groups of somebody who has too many for a token, from the source that is configured.

    The pointer in the token itself is never followed: it is an address that somebody else has written. Raises
    `GroupsNotReadable`, since to go on with fewer groups than somebody has would be to guess.
    """
    if not provider.group_source:
        raise GroupsNotReadable("There are too many for a token, and no source to ask is configured.")
    groups: set[str] = set()
    address: str | None = provider.group_source
    deadline = time.monotonic() + _GROUPS_SECONDS
    for _ in range(_MOST_PAGES):
        if time.monotonic() > deadline:
            raise GroupsNotReadable(f"It took longer than {_GROUPS_SECONDS} seconds to read them.")
        try:
            page = _get(address or "", access_token)
        except (ProviderDown, ProviderMisconfigured) as error:
            raise GroupsNotReadable(error.detail) from error
        groups.update(_ids_on(page))
        address = page.get("@odata.nextLink")
        if address is None:
            return frozenset(groups)
        if urlsplit(address).netloc != urlsplit(provider.group_source).netloc:
            raise GroupsNotReadable("The next page of them is on another host.")
    raise GroupsNotReadable(f"There are more than {_MOST_PAGES} pages of them.")


def _ids_on(page: Mapping[str, Any]) -> list[str]:
    """Raises `GroupsNotReadable`."""
    rows = page.get("value", [])
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise GroupsNotReadable("What came is no list of groups.")
    return [found for row in rows if can_be_kept(found := str(row.get("id", ""))) and found]


def _check(found: Mapping[str, Any], provider: Provider) -> None:
    if found.get("issuer") != provider.issuer:
        raise WrongIssuer(f"The discovery document is {found.get('issuer')}'s, not {provider.issuer}'s.")
    secure = provider.issuer.startswith("https://")
    for name in _ENDPOINTS:
        if not str(found.get(name, "")).startswith("https://" if secure else ("http://", "https://")):
            raise ProviderMisconfigured(f"The discovery document has no usable {name}.")


def _get(address: str, access_token: str = "") -> dict[str, Any]:
    headers = {"Accept": "application/json"}
    if access_token:
        headers["Authorization"] = f"Bearer {access_token}"
    try:
        # A provider that leads elsewhere is not the one that was configured.
        with BoundedSession() as session:
            answer = session.get(address, headers=headers, allow_redirects=False)
        found = answer.json() if answer.status_code == 200 else None
    except requests.RequestException as error:
        raise ProviderDown(f"{urlsplit(address).netloc}: {type(error).__name__}") from error
    if answer.status_code >= 500:
        raise ProviderDown(f"{urlsplit(address).netloc} answered {answer.status_code}.")
    if not isinstance(found, dict):
        raise ProviderMisconfigured(f"{address.partition('?')[0]} answered {answer.status_code}.")
    return found


def _among(keys: Mapping[str, Any], key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
    listed = keys.get("keys", [])
    if not isinstance(listed, list) or not all(isinstance(key, Mapping) for key in listed):
        raise ProviderMisconfigured("What it publishes is no list of keys.")
    usable = [key for key in listed if key.get("use", "sig") == "sig"]
    if key_id is not None:
        usable = [key for key in usable if key.get("kid") == key_id]
    else:
        usable = [key for key in usable if key.get("kty") == _kind_of(algorithm)]
    if len(usable) != 1:
        return None
    try:
        return jwt.PyJWK(usable[0], algorithm=usable[0].get("alg") or _own_algorithm(usable[0], algorithm))
    except jwt.PyJWTError as error:
        raise ProviderMisconfigured(f"Its key {key_id} cannot be used.") from error


def _kind_of(algorithm: str) -> str:
    """`kty` of the keys that can sign so."""
    return {"R": "RSA", "P": "RSA", "E": "EC"}[algorithm[0]] if algorithm != "EdDSA" else "OKP"


def _own_algorithm(key: Mapping[str, Any], algorithm: str) -> str | None:
    """What a key that names no algorithm is taken for: the token's, where it is of that kind. A curve has just one."""
    return algorithm if key.get("kty") == "RSA" and _kind_of(algorithm) == "RSA" else None
