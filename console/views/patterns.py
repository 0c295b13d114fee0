"""One live page of every component of the console, for whoever builds pages. Development only."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpResponse
from django.shortcuts import render

from access import clock
from access.models import AccessRole
from access.states import GrantState, RequestState
from connectors.base import Statement
from console.forms.asking import AskForm
from console.http import PersonRequest, signed_in
from console.stepper import Standing, Step
from console.wording import GRANT_LOOKS, REQUEST_LOOKS, RISK_LOOKS


@signed_in()
def patterns(request: PersonRequest) -> HttpResponse:
    """Tokens, buttons, badges, steppers, fields with errors, SQL, tabs, countdowns, messages, empty lists."""
    now = clock.now()
    wrong = AskForm({"duration": "custom", "duration_custom": "soon"}, roles=AccessRole.objects.none())
    wrong.is_valid()
    context = {
        "looks": [*REQUEST_LOOKS.values(), *GRANT_LOOKS.values(), *RISK_LOOKS.values()],
        "under_way": _steps(GrantState.PROVISIONING),
        "stopped": [
            Step("Requested", Standing.DONE, now),
            Step(REQUEST_LOOKS[RequestState.DENIED].word, Standing.STOPPED, now),
        ],
        "wrong": wrong,
        "ends": [now + timedelta(hours=3), now + timedelta(minutes=7)],
        "statements": [
            Statement("CREATE ROLE \"lg_7k2m9qxt4p_alice\" LOGIN PASSWORD '********'", note="The account"),
            Statement('GRANT "lockgate_orders_read" TO "lg_7k2m9qxt4p_alice"', database="orders"),
        ],
        "tokens": [
            "ground",
            "rail",
            "surface",
            "surface-sunken",
            "line",
            "line-strong",
            "ink",
            "ink-soft",
            "ink-muted",
            "accent",
            "waiting",
            "good",
            "moving",
            "bad",
            "over",
            "alarm",
        ],
    }
    return render(request, "patterns.html", context)


def _steps(state: GrantState) -> list[Step]:
    now = clock.now()
    return [
        Step("Requested", Standing.DONE, now - timedelta(minutes=4)),
        Step("Approved", Standing.DONE, now - timedelta(minutes=1)),
        Step("Provisioning", Standing.NOW, detail="creating the account", look=GRANT_LOOKS[state]),
        Step("Active", Standing.NEXT),
        Step("Revoked", Standing.NEXT),
    ]
