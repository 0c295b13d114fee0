"""Mails to the other administrators when somebody adds or changes a policy, an access role or a server.

The mail is written from the audit entry: what people are told is what was recorded.
"""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.urls import reverse

from access.differences import differences
from audit.models import Entry
from people.models import Capability, User

#: Kind of subject → the page that shows it.
PAGES = {"policy": "settings_policy", "role": "settings_role", "server": "server", "team": "settings_team"}
_TEMPLATE = "mail/catalogue_changed.txt"


def other_administrators(entry: Entry) -> QuerySet[User]:
    """Everybody who may change the catalogue, but not who just did."""
    people = User.objects.filter(is_active=True, teams__capability=Capability.ADMINISTRATOR).distinct()
    return people.exclude(pk=entry.actor_id) if entry.actor_kind == "person" else people


def send(*, entry: int) -> int:
    """Mail what the entry with this number tells to the other administrators; returns how many were sent."""
    found = Entry.objects.get(seq=entry)
    page = reverse(PAGES[found.subject_kind], args=[found.subject_id])
    context = {
        "entry": found,
        "differences": differences(found.before, found.after),
        "gives": (found.after or {}).get("gives_the_actor", []),
        "link": settings.LOCKGATE_BASE_URL + page,
    }
    subject, _, body = render_to_string(_TEMPLATE, context).strip().partition("\n")
    people = list(other_administrators(found))
    for person in people:
        EmailMessage(subject=" ".join(subject.split()), body=body.strip() + "\n", to=[person.email]).send()
    return len(people)
