"""The Django app of the audit log."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """What happened, and the proof that nobody changed it since."""

    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"
