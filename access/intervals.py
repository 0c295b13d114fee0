"""How often what is done at intervals is done. Pure: the settings read it, and `access.jobs`."""

from datetime import timedelta

#: By the last part of the task's name.
EVERY = {
    "sweep": timedelta(minutes=10),
    "verify_audit": timedelta(hours=1),
    "checkpoint": timedelta(minutes=5),
    "seal_keys_anew": timedelta(hours=1),
    "check_servers": timedelta(minutes=1),
}
