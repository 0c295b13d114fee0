"""The Django app of the console: its template tags and management of pages; it has no tables."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """The web pages."""

    name = "console"

    def ready(self) -> None:
        """Look at kept connections when a request begins, behind Django's own look at how old they are."""
        from django.core.signals import request_started

        from console.connections import look_at_the_kept_one

        request_started.connect(look_at_the_kept_one, dispatch_uid="console.connections")
