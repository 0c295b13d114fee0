#!/usr/bin/env python3
"""Django's command line for this project."""

import os
import sys

from django.core.management import execute_from_command_line

from audit.origin import Origin, coming_from

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    with coming_from(Origin(channel="command")):
        execute_from_command_line(sys.argv)
