"""The Django app of users and teams."""

from django.apps import AppConfig


class PeopleConfig(AppConfig):
    """Who is who."""

    name = "people"
    default_auto_field = "django.db.models.BigAutoField"
