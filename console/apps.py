"""The Django app of the console: its template tags and management of pages; it has no tables."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """The web pages."""

    name = "console"
