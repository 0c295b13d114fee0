"""Why something about people or teams could not be done.

    PeopleError
    ├── AddressInUse            somebody has this e-mail address
    └── NotAnAdministratorsTeam the team of administrators gives no rights of theirs

Each docstring's first line is the sentence a person may read; `detail` is added behind it.
"""

from __future__ import annotations


class PeopleError(Exception):
    """This could not be done."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def sentence(self) -> str:
        """What happened, for a person, in one line."""
        return (type(self).__doc__ or "").strip().splitlines()[0]

    def __str__(self) -> str:
        return f"{self.sentence} {self.detail}".strip()


class AddressInUse(PeopleError):
    """Somebody with this e-mail address is here already."""


class NotAnAdministratorsTeam(PeopleError):
    """There is a team 'administrators', but being in it makes nobody an administrator."""
