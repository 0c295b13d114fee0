"""Icons of the front-end kit, as they stand in a page."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.contrib.staticfiles import finders
from django.template.base import FilterExpression, Node, Parser, TextNode, Token
from django.template.context import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

#: Where they lie among the static files.
ICONS = "vendor/tabler-icons/outline"


@cache
def icon(name: str, classes: str = "") -> SafeString:
    """An icon that says nothing by itself: a word stands beside it, or a label on its button."""
    return format_html(
        '<svg class="icon {}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-linecap="round"'
        ' stroke-linejoin="round" aria-hidden="true" focusable="false" width="16" height="16">{}</svg>',
        classes,
        mark_safe(_body(name)),  # noqa: S308 - a file of ours, named by a template
    )


def _body(name: str) -> str:
    """The inside of its `<svg>`; empty when the front-end files have not been fetched."""
    found = finders.find(f"{ICONS}/{name}.svg")
    if not isinstance(found, str):
        return ""
    text = Path(found).read_text()
    return text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")].strip()


def icon_tag(parser: Parser, token: Token) -> Node:
    """`{% icon "check" %}`, `{% icon look.icon "turning" %}`: one that the template names is text from then on, since a page
    has hundreds.
    """
    words = [parser.compile_filter(word) for word in token.split_contents()[1:]]
    if any(word.is_var or word.filters for word in words):
        return _IconNode(words)
    return TextNode(icon(*(str(word.var) for word in words)))


class _IconNode(Node):
    """An icon whose name is known when the page is written."""

    def __init__(self, words: list[FilterExpression]) -> None:
        self._words = words

    def render(self, context: Context) -> SafeString:
        """The icon."""
        return icon(*(str(word.resolve(context)) for word in self._words))
