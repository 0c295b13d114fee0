"""What every page shows around its own content, read only when a template asks for it: partials do not."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from access import clock
from access.queries.pages import Shell, shell_for
from people.local_sign_in import BREAK_GLASS
from people.models import User


def shell(request: HttpRequest) -> dict[str, Any]:
    """`shell` (see `access.queries.pages.Shell`), `now`, whether this is a development copy, and how one may sign in."""

    def read() -> Shell | None:
        return shell_for(request.user, now=clock.now()) if isinstance(request.user, User) else None

    return {
        "shell": SimpleLazyObject(read),
        "now": clock.last_known(),  # also on the page that says that the database is away
        "development": settings.DEVELOPMENT,
        "sso_providers": list(settings.LOCKGATE_SSO.values()),
        "administrators_only": settings.LOCKGATE_LOCAL_SIGN_IN == BREAK_GLASS,
    }
