"""What every page says of Lockgate's own machines and of servers that are silent: workers, clocks, the queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import JSONObject

from access.models import Grant, Server
from access.services.clocks import living, told, wrong_clocks
from access.states import LIVING
from access.window import CLOCKS_STOP_APPROVALS

NO_WORKER = "No worker is alive: access that ends now will not be removed until one is back."
QUEUE_AWAY = (
    "Redis does not answer, or takes nothing: its log says why. Lockgate works on without it, a little more slowly."
)
CLOCKS_DIFFER = "Set it right; access begins and ends by the database's clock."
CLOCKS_STOP = "Nothing is approved until it is set right. Access ends all the same, by the database's clock."
_NAMED = 3


def workers(now: datetime) -> ArraySubquery:
    """For a query: the living workers, each with how far its clock is off and whether it misses the queue."""
    alone = Q(queue_down_since__isnull=False)
    return ArraySubquery(living(now).values(told=JSONObject(worker=F("worker"), skew=F("skew"), alone=alone)))


def silent_servers() -> ArraySubquery:
    """For a query: servers that do not answer, and on which something may be used, or is to be made or taken away."""
    in_use = Exists(Grant.objects.filter(server=OuterRef("pk"), state__in=LIVING).order_by())
    rows = Server.objects.filter(in_use, down_since__isnull=False).order_by("down_since")
    return ArraySubquery(rows.values(told=JSONObject(name=F("name"), since=F("down_since")))[: _NAMED + 1])


def troubles(workers: Sequence[Mapping[str, Any]], silent: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Kinds and sentences of what is wrong; in: what the two queries above found."""
    if not workers:
        yield "worker", NO_WORKER
    wrong = list(wrong_clocks({worker["worker"]: worker["skew"] for worker in workers}))
    if wrong:
        name, skew = max(wrong, key=lambda one: abs(one[1]))
        stops = abs(skew) > CLOCKS_STOP_APPROVALS
        yield "clock", f"{told(name, skew)} {CLOCKS_STOP if stops else CLOCKS_DIFFER}"
    if workers and all(worker["alone"] for worker in workers):
        yield "queue", QUEUE_AWAY
    if silent:
        yield "silence", _about_silence(silent)


def _about_silence(silent: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(server["name"] for server in silent[:_NAMED]) + (" and others" if len(silent) > _NAMED else "")
    verb = "has not answered" if len(silent) == 1 else "have not answered"
    since = datetime.fromisoformat(silent[0]["since"])
    return f"{names} {verb} since {since:%H:%M:%S} UTC. Access there is made and taken away as soon as it does."
