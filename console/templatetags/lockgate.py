"""What templates need beyond Django: icons, times, durations, badges and marked-up SQL."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from django import template
from django.conf import settings
from django.forms.boundfield import BoundField
from django.template.context import Context
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import escape, format_html, format_html_join
from django.utils.http import quote_etag
from django.utils.safestring import SafeString, mark_safe

from access.content import scope_from_json
from access.gateway_rules import in_words, rules_from_json
from access.models import AccessRequest, Grant
from access.queries import counting
from access.queries.roles import Approvers
from access.queries.who import People, Somebody
from access.reach import reach
from audit.models import Entry
from connectors.base import Scope
from console import durations, wording
from console.forms.quick import ticks_of
from console.icons import icon, icon_tag
from console.sheets import sheets_of
from people.models import User

register = template.Library()

#: Of those who can take a step, so many are named.
_MOST_NAMES = 6

_SQL_KEYWORDS = frozenset(
    """
    ADD ALL ALTER AND ANY AS BEGIN BY CASCADE COMMIT CONNECT CONNECTION CREATE CURRENT_USER DATABASE DEFAULT
    DELETE DO DROP EACH ELSE END EXECUTE EXISTS FALSE FLUSH FOR FROM FUNCTION FUNCTIONS GRANT GRANTS GRANTED
    IDENTIFIED IF IN INHERIT INSERT INTO IS KILL LIMIT LOCK LOCKED LOGIN NOCREATEDB NOCREATEROLE NOINHERIT NOLOGIN
    NOSUPERUSER NOT NULL ON OPTION OR ORDER OWNED OWNER PASSWORD PRIVILEGES PROCEDURE REASSIGN RENAME REQUIRE
    RESET RESTRICT REVOKE ROLE ROUTINES SCHEMA SELECT SEQUENCE SEQUENCES SET SHOW SSL TABLE TABLES TEMPORARY THEN
    TO TRUE TRUNCATE UNTIL UPDATE USAGE USER USING VALID VALUES VIA VIEW WHEN WHERE WITH
    """.split()  # noqa: SIM905 - a list of one hundred quoted words reads worse
)

#: Strings, names in quotes, in which no word means anything, and words that do; whatever stands between them is left as it is.
_SQL_PIECE = re.compile(
    rf"""
    (?P<string>'(?:[^']|'')*') |
    (?P<identifier>"(?:[^"]|"")*" | `(?:[^`]|``)*`) |
    (?<![A-Za-z_])(?P<word>{"|".join(sorted(_SQL_KEYWORDS))})(?![A-Za-z_])
    """,
    re.VERBOSE,
)


register.tag("icon", icon_tag)


@register.simple_tag
def moment(at: datetime | None, style: str = "auto") -> SafeString:
    """A time: sent in UTC, shown in local time by time.js (`auto`, `clock`, `seconds`, `full`), UTC on hover."""
    if at is None:
        return mark_safe("")
    utc = at.astimezone(UTC)
    plain = f"{utc:%H:%M} UTC" if style == "clock" else f"{utc.day} {utc:%b %Y, %H:%M} UTC"
    return format_html(
        '<time datetime="{}" title="{} UTC" data-local="{}">{}</time>',
        utc.isoformat(timespec="seconds"),
        utc.strftime("%Y-%m-%d %H:%M:%S"),
        style,
        plain,
    )


@register.simple_tag(takes_context=True)
def countdown(
    context: Context, until: datetime, name: str, classes: str = "", figure: str = "", announce: bool = False
) -> SafeString:
    """The time left until then, kept by countdown.js; `name` says of what it tells."""
    return format_html(
        _COUNTDOWN,
        classes=classes,
        until=until.astimezone(UTC).isoformat(),
        name=name,
        announce=_ANNOUNCE if announce else "",
        figure=figure,
        left=left(until, context.get("now")),
        clock=icon("clock"),
    )


_COUNTDOWN = (
    '<span class="countdown {classes}" role="timer" data-until="{until}" data-name="{name}"{announce}>'
    '<span class="{figure}" data-figure>{left}</span>'
    '<span class="state tone-waiting" data-soon-word hidden>{clock}Ends soon</span></span>'
)
_ANNOUNCE = mark_safe(" data-announce")


@register.filter
def counted(count: int) -> str:
    """A number that was counted only so far: `7`, or `99+`."""
    return counting.in_words(count)


@register.filter
def etag(version: str) -> str:
    """The version as a poll sends it back."""
    return quote_etag(version)


@register.filter
def spoken(duration: timedelta | None) -> str:
    """`1 h 30 min`."""
    return "" if duration is None else durations.spoken(duration)


@register.filter
def gateway_words(content: Mapping[str, Any]) -> str:
    """What a request's content says of the gateway, in words; empty where it says nothing, or the engine has none."""
    if "gateway" not in content or content["address"]["engine"] != "postgresql":
        return ""
    return in_words(rules_from_json(content["gateway"]))


@register.filter
def reaches(scope: Mapping[str, Any] | Scope) -> str:
    """What a frozen scope, or an access role's, reaches: `member of reporting on orders`."""
    return reach(scope if isinstance(scope, Scope) else scope_from_json(scope))


@register.simple_tag
def person(user: User) -> SafeString:
    """A person by name and e-mail address: anybody may call themselves Alice."""
    if not user.display_name:
        return format_html('<span class="somebody">{}</span>', user.email)
    return format_html(
        '<span class="somebody">{} <span class="person-email">{}</span></span>', user.display_name, user.email
    )


@register.simple_tag
def people(found: People) -> SafeString:
    """Some people by name, and how many more; with those for whom an edit changes something."""
    more = format_html('<span class="muted">and {} more</span>', found.more) if found.more else ""
    nobody = "" if found.shown else _NOBODY
    return format_html(
        "{}{}{}", format_html_join("", "{}", ((_marked_person(one),) for one in found.shown)), more, nobody
    )


_NOBODY = mark_safe('<span class="muted">nobody</span>')


def _marked_person(one: Somebody) -> SafeString:
    if one.mark == "gains":
        return format_html(_MARKED, "gains", "ins", icon("plus"), "newly", one.name, "ins")
    if one.mark == "loses":
        return format_html(_MARKED, "loses", "del", icon("x"), "no longer", one.name, "del")
    return format_html('<span class="person">{}</span>', one.name)


_MARKED = '<span class="person person-{}"><{}>{}<span class="unseen">{}: </span>{}</{}></span>'


@register.filter
def compact(duration: timedelta | None) -> str:
    """`1h30m`."""
    return "" if duration is None else durations.compact(duration)


@register.filter
def milliseconds(duration: timedelta | None) -> str:
    """`12 ms`; seconds with one decimal from a second on."""
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


@register.filter
def initials(label: str) -> str:
    """Two letters for a person."""
    words = re.findall(r"\w+", label.partition("@")[0])
    return "".join(word[0] for word in words[:2]).upper() or "?"


@register.simple_tag
@cache
def badge(look: wording.Look, classes: str = "") -> SafeString:
    """A state as an icon and a word."""
    return format_html(
        '<span class="state tone-{} {}">{}{}</span>',
        look.tone,
        classes,
        icon(look.icon, "turning" if look.turning else ""),
        look.word,
    )


def _never_began(grant: Grant | None) -> bool:
    return grant is not None and grant.activated_at is None


@register.simple_tag
def request_badge(request: AccessRequest, classes: str = "") -> SafeString:
    """Where a request stands, its grant included."""
    grant: Grant | None = getattr(request, "grant", None)
    return badge(wording.look_of(request.state, grant.state if grant else "", never_began=_never_began(grant)), classes)


@register.simple_tag
def grant_badge(grant: Grant, classes: str = "") -> SafeString:
    """Where a grant stands."""
    return badge(wording.look_of_grant(grant.state, never_began=_never_began(grant)), classes)


@register.simple_tag
def risk_badge(level: str, classes: str = "") -> SafeString:
    """How much could go wrong."""
    return badge(wording.RISK_LOOKS[level], classes)


@register.filter
def event_look(event: str) -> wording.Look:
    """The look of an entry of the audit trail."""
    return wording.look_of_event(event)


@register.filter
def sql(statement: str) -> SafeString:
    """SQL with keywords and strings marked; everything is escaped."""
    written: list[str] = []
    at = 0
    # A page has thousands of pieces: what escapes one is Python's own function, without Django's layers around it.
    for piece in _SQL_PIECE.finditer(statement):
        written += html.escape(statement[at : piece.start()]), _marked(piece)
        at = piece.end()
    return mark_safe("".join(written) + html.escape(statement[at:]))  # noqa: S308 - every piece is escaped


def _marked(piece: re.Match[str]) -> str:
    text = html.escape(piece.group())
    if piece.lastgroup == "string":
        return f'<span class="s">{text}</span>'
    return f'<span class="k">{text}</span>' if piece.lastgroup == "word" else text


@register.simple_tag
def ticks(field: BoundField) -> SafeString:
    """The boxes of a list that may have hundreds."""
    return ticks_of(field)


@register.simple_tag
def ticket(number: str) -> SafeString:
    """A ticket, linked where the settings say to which tracker (`LOCKGATE_TICKET_URL`, with `{ticket}` in it)."""
    if not settings.LOCKGATE_TICKET_URL or not number:
        return escape(number)
    address = settings.LOCKGATE_TICKET_URL.replace("{ticket}", re.sub(r"[^\w.-]", "", number))
    return format_html('<a href="{}" rel="noreferrer noopener" target="_blank">{}</a>', address, number)


@register.filter
def leads_to(entry: Any) -> str:
    """The page of what an audit entry (or one of its related subjects) is about; empty when it has none."""
    if isinstance(entry, dict):
        return _page_of(entry.get("kind", ""), entry.get("id", ""))
    return _page_of(entry.subject_kind, entry.subject_id)


_PAGES = {
    "request": "request",
    "grant": "grant",
    "server": "server",
    "policy": "settings_policy",
    "role": "settings_role",
    "team": "settings_team",
}


@lru_cache(maxsize=2_000)
def _page_of(kind: str, ident: str) -> str:
    if kind == "statement":
        stream, _, seq = ident.partition(":")
        return reverse("statement", args=[stream, seq])
    name = _PAGES.get(kind)
    return reverse(name, args=[ident]) if name and ident else ""


@register.simple_tag
def related(entry: Entry) -> SafeString:
    """What else an entry of the audit trail is about, each with its page where it has one."""
    return mark_safe("".join(_related(subject) for subject in entry.related))  # noqa: S308 - each is escaped below


def _related(subject: Mapping[str, Any]) -> str:
    kind, ident = str(subject.get("kind", "")), str(subject.get("id", ""))
    if address := _page_of(kind, ident):
        return f', <a href="{html.escape(address)}">{html.escape(kind)} {html.escape(ident)}</a>'
    return f", {html.escape(kind)} {html.escape(str(subject.get('label', '')))}"


@register.filter
def any_of(approvers: Approvers) -> str:
    """Who can take a step: `Bob or Carol`, and no more than a line of them."""
    names = list(approvers.people[:_MOST_NAMES])
    if approvers.more or len(approvers.people) > len(names):
        names.append(f"others of {approvers.team}")
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names) or approvers.team


@register.filter
def of(values: Mapping[Any, Any], key: Any) -> Any:
    """What a mapping holds for `key`; nothing where it holds nothing."""
    return values.get(key, "")


@register.filter
def words(text: str) -> list[str]:
    """The words of a text, for a loop over fixed names."""
    return text.split()


@register.simple_tag
@cache
def stylesheets(components: str) -> SafeString:
    """The links to the style sheets of these components."""
    addresses = ((static(f"css/components/{name}.css"),) for name in components.split())
    return format_html_join("\n  ", '<link rel="stylesheet" href="{}">', addresses)


@register.simple_tag
@cache
def scripts(names: str) -> SafeString:
    """These scripts of ours, which run when the page is there."""
    addresses = ((static(f"js/{name}.js"),) for name in names.split())
    return format_html_join("\n  ", '<script src="{}" defer></script>', addresses)


@register.simple_tag
def labelled(field: BoundField, help: str = "") -> SafeString:  # noqa: A002 - what templates call it
    """A field of a form with its label, its help, and what is wrong with it in words."""
    optional = "" if field.field.required else _OPTIONAL
    told = format_html('<div class="field-help">{}</div>', help) if help else ""
    wrong = field_errors(field) if field.form.is_bound else ""
    return format_html(_FIELD, field.id_for_label, field.label, optional, field, told, wrong)


_FIELD = '<div class="field">\n  <label for="{}">{}{}</label>\n  {}\n  {}\n  {}\n</div>'
_OPTIONAL = mark_safe(' <span class="field-optional">optional</span>')


@register.simple_tag
def field_errors(field: BoundField) -> SafeString:
    """What is wrong with a field, in words; nothing while nothing is."""
    if not field.form.is_bound or not field.errors:
        return mark_safe("")
    words = " ".join(str(error) for error in field.errors)
    return format_html(_ERROR, field.auto_id, icon("alert-circle"), words)


_ERROR = '<div class="field-error" id="{}_error" role="alert">{}<span>{}</span></div>'


@register.simple_tag(takes_context=True)
def blank_sheets(context: Context, asked: AccessRequest) -> SafeString:
    """The sheets of a row of Approvals."""
    return sheets_of(asked, str(context.get("csrf_token", "")))


@register.filter
def left(ends_at: datetime, now: datetime | None) -> str:
    """Time left, for the first paint of a countdown."""
    return durations.spoken(max(ends_at - now, timedelta())) if now else ""


@register.filter
def stamp(text: str | None) -> SafeString | str:
    """A time that is kept as ISO text, as `moment` shows one."""
    return moment(datetime.fromisoformat(text), "full") if text else ""


@register.filter
def pretty(value: Any) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


@register.filter
def scheme(reference: str) -> str:
    """What kind of place a secret reference names; the place itself is nobody's business."""
    return reference.partition(":")[0]


@register.filter
def about(duration: timedelta) -> str:
    """Roughly: what takes less than a minute is not worth seconds."""
    return durations.spoken(duration) if duration >= timedelta(minutes=1) else "less than a minute"


@register.filter
def line_count(text: str) -> int:
    """How many lines a text has."""
    return text.count("\n") + 1
