"""The demo's identity provider: a real OpenID provider that knows the demo's people and asks for no password."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from access.demo.people import PEOPLE


class Command(BaseCommand):
    """`manage.py demo_provider --port 9400`."""

    help = "Runs an OpenID provider on loopback with the demo's people. For development only."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where it listens."""
        parser.add_argument("--port", type=int, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until somebody says stop."""
        if not settings.DEVELOPMENT:
            raise CommandError("Anybody may say who they are there: it runs with LOCKGATE_ENV=development only.")
        # Its OAuth library insists on TLS, which nobody speaks on loopback.
        os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
        try:
            from oidc_provider_mock import User, app
            from werkzeug.serving import make_server
        except ImportError as error:
            raise CommandError("oidc-provider-mock is not installed; `make setup` installs it.") from error
        people = [User(sub=somebody.email, claims=somebody.claims) for somebody in PEOPLE]
        make_server(
            "127.0.0.1", options["port"], app(user_claims=people, require_nonce=True), threaded=True
        ).serve_forever()
