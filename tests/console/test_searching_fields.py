"""Fields that search on the server: what they find, for whom, and that they work without scripts."""

from __future__ import annotations

import pytest
from django.urls import reverse

from people.models import User
from tests.access.world import World
from tests.console.people_and_pages import Pages, signed_in


def _part(world: World, who: str, name: str, part: str, **typed: str) -> tuple[int, str]:
    answer = signed_in(getattr(world, who)).get(reverse(name), {"part": part, **typed}, HTTP_HX_REQUEST="true")
    return answer.status_code, answer.content.decode()


@pytest.mark.parametrize("name", ["audit", "statements"])
def test_people_are_found_by_words_in_their_name_or_address(world: World, name: str) -> None:
    status, text = _part(world, "auditor", name, "people", person="ali")
    assert status == 200
    assert 'role="option"' in text
    assert 'data-value="alice@example.com"' in text
    assert "bob@example.com" not in text
    assert "<html" not in text


def test_no_more_are_listed_than_anybody_reads(world: World) -> None:
    User.objects.bulk_create(User(email=f"many-{n:02d}@example.com") for n in range(50))
    _, text = _part(world, "auditor", "audit", "people", person="many")
    assert text.count('role="option"') == 20


def test_no_page_carries_everybody(world: World) -> None:
    User.objects.bulk_create(User(email=f"many-{n:02d}@example.com") for n in range(50))
    for name in ("audit", "statements"):
        assert "many-" not in signed_in(world.auditor).get(reverse(name)).content.decode()


@pytest.mark.parametrize("name", ["audit", "statements"])
@pytest.mark.parametrize("part", ["people", "servers"])
def test_nobody_else_finds_anything(world: World, name: str, part: str) -> None:
    for who in ("alice", "bob", "oscar"):
        assert _part(world, who, name, part)[0] == 403


def test_without_scripts_an_address_or_words_that_fit_one_person_are_enough(pages: Pages) -> None:
    client = signed_in(pages.world.auditor)
    pk = pages.world.alice.pk
    by_id = client.get(reverse("audit"), {"person": str(pk)}).content.decode()
    for typed in ("alice@example.com", "ALICE@example.com", "alic"):
        text = client.get(reverse("audit"), {"person": typed}).content.decode()
        assert text.count("data-seq=") == by_id.count("data-seq=") > 0


def test_words_that_fit_several_people_lead_to_a_choice(pages: Pages) -> None:
    answer = signed_in(pages.world.auditor).get(reverse("audit"), {"person": "example"})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "Several people fit" in text
    assert 'href="?person=alice%40example.com"' in text


def test_words_that_fit_nobody_are_told_so(pages: Pages) -> None:
    answer = signed_in(pages.world.auditor).get(reverse("statements"), {"person": "zebedee"})
    assert answer.status_code == 422
    assert "Nobody has “zebedee”" in answer.content.decode()


def test_a_server_is_found_by_either_of_its_names(pages: Pages) -> None:
    client, server = signed_in(pages.world.auditor), pages.world.server
    counts = {
        typed: client.get(reverse("audit"), {"server": typed}).content.decode().count("data-seq=")
        for typed in (server.slug, server.name, "orde")
    }
    assert len(set(counts.values())) == 1
    assert counts[server.slug] > 0


def test_an_export_takes_the_filters_as_they_were_typed(pages: Pages) -> None:
    client = signed_in(pages.world.auditor)
    lines = [
        b"".join(client.post(reverse("audit_export"), {"format": "jsonl", "person": typed}).streaming_content)  # type: ignore[arg-type]
        for typed in (str(pages.world.alice.pk), "alice@example.com")
    ]
    assert lines[0]
    assert lines[1].startswith(lines[0])


def test_whoever_is_put_into_a_team_is_searched_for_as_well(world: World) -> None:
    client = signed_in(world.erin)
    path = reverse("settings_team", args=["dba"])
    text = client.get(path, {"part": "people", "person": "osc"}, HTTP_HX_REQUEST="true").content.decode()
    assert 'data-value="oscar@example.com"' in text
