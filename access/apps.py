"""The Django app of the access workflow."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Who may have what, and until when."""

    name = "access"
    default_auto_field = "django.db.models.BigAutoField"
