"""`python -m gateway`: the supervisor, its workers on one port, and the shipper of their records, until SIGTERM."""

from __future__ import annotations

import argparse
import os
import sys

import django


def main() -> int:
    """Models can be imported only when Django is set up."""
    arguments = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    arguments.add_argument("--worker", type=int, metavar="NUMBER", help="be one worker, as the supervisor starts it")
    given = arguments.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    if given.worker is not None:
        from gateway.serving import serve

        return serve(given.worker)
    from gateway.supervisor import supervise

    return supervise()


if __name__ == "__main__":
    sys.exit(main())
