"""What every page promises to a browser: a strict policy it obeys, known icons, labels, links that work without scripts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template
from django.urls import reverse

from console.icons import ICONS
from deploy.local.installed import icon_names
from tests.console.people_and_pages import Pages, signed_in
from tests.console.test_permissions import MATRIX, address

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
READABLE = sorted(name for name, methods in MATRIX.items() if "GET" in methods and 200 in methods["GET"].values())


class Markup(HTMLParser):
    """Collects what a page must not have, and what it must."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.pointed_at: list[str] = []
        self.htmx_links_without_href = 0
        self.fields_without_a_name: list[str] = []
        self._labels: set[str] = set()
        self._fields: list[dict[str, str]] = []
        self._inside_label = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.inline += [f"<{tag} {name}>" for name in given if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.inline.append(f"<{tag}>")
        if "id" in given:
            self.ids.append(given["id"])
        self.pointed_at += [given[name] for name in ("popovertarget", "aria-controls", "data-copy") if name in given]
        if tag == "a" and "hx-get" in given and not given.get("href"):
            self.htmx_links_without_href += 1
        self._note_field(tag, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._inside_label -= 1

    def _note_field(self, tag: str, given: dict[str, str]) -> None:
        if tag == "label":
            self._inside_label += 1
            self._labels.add(given.get("for", ""))
        is_field = tag in ("input", "select", "textarea") and given.get("type") not in ("hidden", "submit")
        if is_field and not (self._inside_label or given.get("aria-label")):
            self._fields.append(given)

    def close(self) -> None:
        super().close()
        self.fields_without_a_name = [
            given.get("name", "?") for given in self._fields if given.get("id", "?") not in self._labels
        ]


def read(text: str) -> Markup:
    markup = Markup()
    markup.feed(text)
    markup.close()
    return markup


@pytest.fixture
def texts(request: pytest.FixtureRequest) -> dict[str, str]:
    """Every page that somebody can open, as whoever sees most of it: asked for once, and looked at from many sides."""
    if not _TEXTS:
        _TEXTS.update(every_page(request.getfixturevalue("pages")))
    return _TEXTS


_TEXTS: dict[str, str] = {}


def every_page(pages: Pages) -> dict[str, str]:
    people = {"request_edit": pages.world.alice, "grant": pages.world.alice, "approvals": pages.world.bob}
    found = {}
    for name in READABLE:
        outside = name in ("account_login", "account_signup", "account_inactive")
        person = None if outside else people.get(name, pages.world.erin)
        response = signed_in(person).get(address(name, pages))
        assert response.status_code == 200, name
        found[name] = response.content.decode()
    return found


def test_nothing_is_inline(texts: dict[str, str]) -> None:
    assert {name: read(text).inline for name, text in texts.items() if read(text).inline} == {}


def test_no_id_stands_twice_and_every_target_exists(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        markup = read(text)
        assert sorted(set(markup.ids)) == sorted(markup.ids), name
        assert set(markup.pointed_at) <= set(markup.ids), name


def test_every_field_has_a_name_for_people_who_do_not_see_it(texts: dict[str, str]) -> None:
    unnamed = {name: read(text).fields_without_a_name for name, text in texts.items()}
    assert {name: fields for name, fields in unnamed.items() if fields} == {}


def test_every_htmx_link_keeps_its_href(texts: dict[str, str]) -> None:
    assert sum(read(text).htmx_links_without_href for text in texts.values()) == 0


def test_every_page_has_one_heading_a_title_and_a_language(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        if name == "pulse":
            continue  # Only ever fetched as a part of other pages.
        assert len(re.findall(r"<h1[ >]", text)) == 1, name
        assert re.search(r"<title>[^<]+ · Lockgate</title>", text), name
        assert '<html lang="en">' in text, name


def test_the_policy_allows_nothing_inline(pages: Pages) -> None:
    response = signed_in(pages.world.alice).get(reverse("home"))
    policy = response["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_pages_of_people_are_kept_by_nobody(pages: Pages) -> None:
    assert "no-store" in signed_in(pages.world.alice).get(reverse("home"))["Cache-Control"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_every_template_can_be_read(template: Path) -> None:
    assert get_template(str(template.relative_to(settings.BASE_DIR / "templates")))


def test_every_icon_that_is_named_was_fetched() -> None:
    named = icon_names()
    assert "hourglass" in named
    missing = {name for name in named if not (settings.BASE_DIR / "static" / ICONS / f"{name}.svg").exists()}
    assert missing == set()


def test_every_style_sheet_and_script_that_is_linked_exists(texts: dict[str, str]) -> None:
    linked = set(re.findall(r'(?:href|src)="/static/((?:css|js|img|vendor)/[^"]+)"', texts["home"]))
    assert len(linked) > 20
    assert {path for path in linked if not (settings.BASE_DIR / "static" / path).exists()} == set()


def test_colours_are_named_in_one_file() -> None:
    sheets = (settings.BASE_DIR / "static" / "css" / "components").glob("*.css")
    # Black and white shadows and mixes are no colours of ours.
    hexes = {sheet.name: re.findall(r"#[0-9a-fA-F]{3,8}\b", sheet.read_text()) for sheet in sheets}
    allowed = {"#ffffff", "#06190f", "#200708"}
    assert {name: found for name, found in hexes.items() if set(found) - allowed} == {}
