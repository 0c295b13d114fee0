"""Whatever is sent to an address of ours, by whomever, is answered in words: it is never our error."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.console.people_and_pages import Pages, signed_in
from tests.console.test_permissions import MATRIX, address, form

#: Texts that some layer below is known to choke on, each a reason for somebody's error page once.
HOSTILE = {
    "zero": "a\x00b",
    "digits": "9" * 400,
    "not ascii digits": "٣²",
    "long": "x" * 20_000,
    "negative": "-1",
    "percent": "%s%(a)s{0}",
    "last day": "9999-12-31T23:59",
}

#: In characters, of each value: with all of them an address is ten times as long as any server lets through to us.
IN_AN_ADDRESS = 1_000

#: What the pages read, besides the fields of their forms.
NAMES = (
    "before", "part", "seen", "role", "next", "q", "text", "person", "server", "event", "from", "to", "subject", "request",
    "duration", "duration_custom", "wished_start", "utc_offset", "reason", "ticket", "comment", "content_hash", "revision",
    "slug", "name", "group", "provider", "port", "host", "longest", "lapses_after", "level", "databases", "engine",
    "login", "password", "code", "email", "steps", "step-0-team", "step-0-count", "requesters", "mapping", "policy",
    "verdict", "fingerprint", "grant",
    "gateway_rules", "gateway_classes", "gateway_tables", "gateway_denied_functions", "gateway_longest_statement",
    "gateway_most_rows", "gateway_most_bytes", "gateway_keep",
)  # fmt: skip


@pytest.mark.wide(one_in=4)
@pytest.mark.parametrize("name", sorted(MATRIX))
def test_no_address_breaks(pages: Pages, name: str) -> None:
    path = address(name, pages)
    broken = []
    for who, person in (("administrator", pages.world.erin), ("engineer", pages.world.alice), ("nobody", None)):
        client: Client = signed_in(person)
        client.raise_request_exception = False
        for kind, text in HOSTILE.items():
            sent = dict.fromkeys(NAMES, text)
            answers = [client.get(path, {field: value[:IN_AN_ADDRESS] for field, value in sent.items()})]
            if "POST" in MATRIX[name]:
                answers.append(client.post(path, {**form(name, pages), **sent}))
            broken += [(who, kind, answer.status_code) for answer in answers if answer.status_code >= 500]
    assert broken == []


def test_zero_in_the_path_is_no_page(pages: Pages) -> None:
    client = signed_in(pages.world.alice)
    client.raise_request_exception = False
    assert client.get("/requests/a%00b/").status_code in (400, 404)
    assert client.get("/access/a%00b/").status_code in (400, 404)
    assert client.get("/servers/a%00b/").status_code in (400, 404)
