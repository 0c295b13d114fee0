"""What an ID token has to prove before a claim of it is believed (OpenID Connect Core 1.0, 3.1.3.7).

The signature is always checked, also where the token came straight from the provider: TLS ends at a proxy more often than
one thinks.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from people.sso.errors import (
    AlgorithmNotAllowed,
    NotSignedByProvider,
    NotSignedInAgain,
    OutOfTime,
    TimeNotTold,
    TokenUnreadable,
    WrongAudience,
    WrongIssuer,
    WrongNonce,
)

#: Asymmetric ones only: with `none` nobody has signed, and with HS256 our own client secret would be the key.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
#: By how much the provider's clock may differ from ours.
LEEWAY_SECONDS = 60
#: How long ago somebody may have signed in at the provider when they are asked to do it once more.
FRESH_SECONDS = 300
_REQUIRED = ["iss", "sub", "aud", "exp", "iat"]

#: Asked of the provider at every sign-in (`max_age`): no session lasts that long, and whoever is asked has to tell in
#: `auth_time` when the person signed in there (OpenID Connect Core 1.0, 2).
ANY_AGE_SECONDS = 10 * 365 * 24 * 3600

#: Gives the provider's public key with this id for this algorithm, None when there is none.
FindKey = Callable[[str | None, str], jwt.PyJWK | None]


def verified_claims(id_token: str, *, find_key: FindKey, issuer: str, client_id: str, nonce: str) -> dict[str, Any]:
    """The claims of a token that the provider has signed for this application and this very sign-in.

    Raises `TokenRefused`, one class for each thing that can be wrong.
    """
    claims = _decoded(id_token, find_key, issuer, client_id)
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise WrongAudience(f"It was made for {claims.get('azp')}.")
    if not nonce or not hmac.compare_digest(str(claims.get("nonce", "")).encode("utf-8", "replace"), nonce.encode()):
        raise WrongNonce
    return claims


def check_fresh(claims: Mapping[str, Any], *, now: float) -> None:
    """Whether somebody who was asked to sign in once more has done so; `now` in seconds since the epoch.

    A provider that does not say when may have let the browser through without a question, so its silence proves nothing.
    Raises `NotSignedInAgain` or `TimeNotTold`.
    """
    at = signed_in_at(claims, now=now)
    if at is None:
        raise TimeNotTold
    if now - at > FRESH_SECONDS:
        raise NotSignedInAgain


def signed_in_at(claims: Mapping[str, Any], *, now: float) -> float | None:
    """When the person signed in at the provider, in seconds since the epoch; None where it does not say.

    A time that has not come yet (milliseconds are one, and no number is another) says nothing: it would be fresh for ever.
    """
    at = claims.get("auth_time")
    if not isinstance(at, (int, float)) or isinstance(at, bool) or not 0 < at <= now + LEEWAY_SECONDS:
        return None
    return float(at)


def _decoded(id_token: str, find_key: FindKey, issuer: str, client_id: str) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(id_token)
        if header.get("alg") not in ALGORITHMS:
            raise AlgorithmNotAllowed(str(header.get("alg")))
        key = find_key(header.get("kid"), header["alg"])
        if key is None:
            raise NotSignedByProvider(f"The provider has no key {header.get('kid')}.")
        claims: dict[str, Any] = jwt.decode(
            id_token,
            key=key,
            algorithms=[header["alg"]],
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )
    except jwt.InvalidSignatureError as error:
        raise NotSignedByProvider from error
    except jwt.InvalidAlgorithmError as error:
        raise AlgorithmNotAllowed(str(error)) from error
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
        raise OutOfTime(str(error)) from error
    except jwt.InvalidIssuerError as error:
        raise WrongIssuer from error
    except jwt.InvalidAudienceError as error:
        raise WrongAudience from error
    except jwt.PyJWTError as error:
        raise TokenUnreadable(str(error)) from error
    return claims
