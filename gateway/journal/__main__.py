"""`python -m gateway.journal`: ships the folder that `LOCKGATE_GATEWAY_JOURNAL` names, until it is told to end."""

from __future__ import annotations

import os

import django


def main() -> None:
    """Models can be imported only when Django is set up."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    from django.conf import settings

    from gateway.journal.shipping import ship

    ship(settings.LOCKGATE_GATEWAY_JOURNAL)


if __name__ == "__main__":
    main()
