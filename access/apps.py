"""The Django app of the access workflow."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Who may have what, and until when."""

    name = "access"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Hear of people who leave teams, or leave for good, and of new connections."""
        from django.db.backends.signals import connection_created

        from access.queries.written import plan_once
        from access.services.departures import on_deactivated
        from access.services.standing import on_left_teams
        from people.signals import deactivated, left_teams

        left_teams.connect(on_left_teams, dispatch_uid="access.standing")
        deactivated.connect(on_deactivated, dispatch_uid="access.departures")
        connection_created.connect(plan_once, dispatch_uid="access.queries.written")
