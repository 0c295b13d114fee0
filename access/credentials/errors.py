"""Why a secret could not be had, each with what to do about it.

SecretUnavailable
├── ReferenceNotUnderstood      it is written wrongly, or does not go with this engine
├── ExtraMissing                the client of this store is not installed
├── StoreNotConfigured          the environment does not say where the store is, or who we are
├── StoreUnreachable            no answer: the last one known may be used for a while
├── StoreRefused                the store knows us, or not, and does not let us
├── SecretNotThere              nothing is at that place
├── IdentityRefused             the identity provider gives no token
└── StoreNotWritable            nothing can be rotated there
"""

from __future__ import annotations

from access.errors import SecretUnavailable


class ReferenceNotUnderstood(SecretUnavailable):
    """This reference to a secret is not understood. Write it as docs/credentials.md shows."""


class ExtraMissing(SecretUnavailable):
    """A package that this kind of reference needs is not installed where Lockgate runs."""


class StoreNotConfigured(SecretUnavailable):
    """Lockgate has not been told how to reach this secret store. Set what is missing where web and workers run."""


class StoreUnreachable(SecretUnavailable):
    """The secret store or identity provider does not answer. Check its address and the network between, then try again."""


class StoreRefused(SecretUnavailable):
    """The secret store does not let Lockgate do this. Give Lockgate's identity there the rights of docs/credentials.md."""


class SecretNotThere(SecretUnavailable):
    """There is no secret at the place that the reference names. Put it there, or correct the server's secret reference."""


class IdentityRefused(SecretUnavailable):
    """Lockgate's identity got no token. Check that the identity exists and is given to the machine that Lockgate runs on."""


class StoreNotWritable(SecretUnavailable):
    """Lockgate cannot write to where this secret lies, so it cannot rotate it. Change the password by hand."""
