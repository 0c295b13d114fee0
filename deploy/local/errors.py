"""What can go wrong while setting up a machine. The docstring is the sentence that is printed."""

from __future__ import annotations


class SetupError(Exception):
    """The machine could not be set up."""

    def __str__(self) -> str:
        detail = super().__str__()
        return f"{(type(self).__doc__ or '').strip()} {detail}".strip()


class PackagesMissing(SetupError):
    """Packages of the system are missing, and this user may not install them."""


class CommandFailed(SetupError):
    """A command failed."""


class ServerDidNotStart(SetupError):
    """A private server did not start."""


class PortTaken(SetupError):
    """A port that this folder's data is bound to is taken by somebody else."""


class FolderInUse(SetupError):
    """Another Lockgate runs in this folder: end it with Ctrl-C, or use another folder."""


class FolderNotOurs(SetupError):
    """A folder that Lockgate would keep data in belongs to somebody else."""


class NotAPort(SetupError):
    """LOCKGATE_PORT has to be a number between 1 and 65535."""


class NoSuchVersion(SetupError):
    """There is no such server to be had for the tests."""
