"""`python -m gateway.journal`: ships the folder that `LOCKGATE_GATEWAY_JOURNAL` names, until it is told to end."""

from __future__ import annotations

import argparse
import os
import sys
import threading

import django


def main() -> None:
    """Models can be imported only when Django is set up."""
    arguments = argparse.ArgumentParser(prog="python -m gateway.journal", description=__doc__)
    arguments.add_argument("--until-input-ends", action="store_true", help="end with whoever holds the other end")
    given = arguments.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    from django.conf import settings

    from gateway.journal import configured
    from gateway.journal.shipping import ship

    stopped = threading.Event()
    if given.until_input_ends:
        threading.Thread(target=_wait_for_the_end, args=(stopped,), daemon=True).start()
    ship(settings.LOCKGATE_GATEWAY_JOURNAL, configured.limits(), stopped=stopped)


def _wait_for_the_end(stopped: threading.Event) -> None:
    """The supervisor holds the other end of the pipe, and the pipe ends when it does, however that comes."""
    # Past Python's own buffer, whose lock must be free when the process ends.
    while os.read(sys.stdin.fileno(), 1):
        pass
    stopped.set()


if __name__ == "__main__":
    main()
