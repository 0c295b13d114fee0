#!/usr/bin/env bash
# PyJWT takes an RSA key of a JWKS that names no algorithm for RS256 alone.
# Expected: `alg` is optional in a JWK (RFC 7517, 4.4), so that a key without it verifies every RSA signature that the caller allows.
# Seen: PyJWT 2.15.1 sets the key's algorithm to RS256 when it is loaded, and refuses a token that is signed with RS512 or
# PS256 by that very key. Providers that publish keys without `alg` and sign with another algorithm can sign nobody in.
# Where Lockgate takes it into account: people/sso/endpoints.py, `_own_algorithm`.
source "$(dirname "$0")/with/scratch.sh"
python_packages "PyJWT[crypto]==2.15.1"

"$PYTHON" - <<'PYTHON'
import json

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
published = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
assert "alg" not in published
print(f"PyJWT {jwt.__version__}")
for algorithm in ("RS256", "RS512", "PS256"):
    token = jwt.encode({"sub": "alice"}, private, algorithm=algorithm)
    try:
        jwt.decode(token, jwt.PyJWK(published), algorithms=[algorithm])
        accepted = True
    except jwt.InvalidAlgorithmError as error:
        accepted = False
        print(f"  {algorithm}: {error}")
    assert accepted == (algorithm == "RS256")
    # The same key, told what it is for, verifies the same token.
    jwt.decode(token, jwt.PyJWK(published, algorithm=algorithm), algorithms=[algorithm])
PYTHON
seen "a key without alg verifies RS256 only, until its algorithm is named"
