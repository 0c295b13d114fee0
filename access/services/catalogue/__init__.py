"""What can be asked for: servers, policies and access roles, defined and changed by administrators.

Nothing here touches an open request or a living grant: those carry their own frozen copy.
"""

from access.services.catalogue.changes import EditedMeanwhile, confirm_right, confirm_secret
from access.services.catalogue.checks import (
    MOST_PEOPLE,
    MOST_STEPS,
    BadSlug,
    LapseNotPossible,
    LongestNotPossible,
    NotAnAdministrator,
    PolicyIncomplete,
    ScopeIncomplete,
    SlugTaken,
    UnknownEngineChosen,
)
from access.services.catalogue.policies import change_policy, define_policy
from access.services.catalogue.roles import change_role, define_role
from access.services.catalogue.servers import add_server, change_server

__all__ = [
    "MOST_PEOPLE",
    "MOST_STEPS",
    "BadSlug",
    "EditedMeanwhile",
    "LapseNotPossible",
    "LongestNotPossible",
    "NotAnAdministrator",
    "PolicyIncomplete",
    "ScopeIncomplete",
    "SlugTaken",
    "UnknownEngineChosen",
    "add_server",
    "change_policy",
    "change_role",
    "change_server",
    "confirm_right",
    "confirm_secret",
    "define_policy",
    "define_role",
]
