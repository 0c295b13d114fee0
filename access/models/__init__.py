"""The tables of the access workflow."""

from access.models.grants import Grant, JournalLine
from access.models.holds import HeldBack
from access.models.installations import Installation
from access.models.policies import Policy, PolicyStep
from access.models.requests import AccessRequest, Comment, Vote
from access.models.secret_uses import SecretUse
from access.models.servers import AccessRole, Environment, Server
from access.models.sweeps import SweepFinding
from access.models.tokens import GatewayToken
from access.models.workers import Heartbeat, Job, Undelivered

__all__ = [
    "AccessRequest",
    "AccessRole",
    "Comment",
    "Environment",
    "GatewayToken",
    "Grant",
    "Heartbeat",
    "HeldBack",
    "Installation",
    "Job",
    "JournalLine",
    "Policy",
    "PolicyStep",
    "SecretUse",
    "Server",
    "SweepFinding",
    "Undelivered",
    "Vote",
]
