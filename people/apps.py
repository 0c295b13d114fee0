"""The Django app of users and teams."""

from importlib import import_module

from django.apps import AppConfig


class PeopleConfig(AppConfig):
    """Who is who."""

    name = "people"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the receivers of sign-in signals."""
        import_module("people.sign_in_trail")
        import_module("people.second_factor_trail")
