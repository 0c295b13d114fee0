"""The two sheets of a row of Approvals: approve for less, and deny.

A page has fifteen pairs that differ in a few words, and each takes longer to write than all the rest of its row. So a pair is
written once for a stand-in, and filled in for each request that is to be decided on.
"""

from __future__ import annotations

import html
import re
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from access.models import AccessRequest, AccessRole
from console.views.requests import deciding_forms
from people.models import User

_REFERENCE, _HASH, _ROLE, _NAME, _EMAIL, _TOKEN = (f"standsfor{number}here" for number in range(6))
_STAND_IN = re.compile(r"(standsfor[0-5]here)")
_TEMPLATE = "approvals/_sheets.html"


def sheets_of(asked: AccessRequest, token: str) -> SafeString:
    """Both, with nothing typed in them yet; `token` goes into their forms."""
    who = asked.requester
    words = {
        _REFERENCE: asked.reference,
        _HASH: asked.content_hash,
        _ROLE: asked.role.name,
        _NAME: who.display_name,
        _EMAIL: who.email,
        _TOKEN: token,
    }
    filled = {stand_in: html.escape(word) for stand_in, word in words.items()}
    pieces = _pieces(asked.duration, bool(who.display_name))
    return mark_safe("".join(filled.get(piece, piece) for piece in pieces))  # noqa: S308 - each word is escaped above


@lru_cache(maxsize=500)
def _pieces(duration: timedelta, has_name: bool) -> tuple[str, ...]:
    """The text between the stand-ins, and the stand-ins."""
    who = User(email=_EMAIL, display_name=_NAME if has_name else "")
    role = AccessRole(name=_ROLE)
    asked = AccessRequest(reference=_REFERENCE, content_hash=_HASH, requester=who, role=role, duration=duration)
    context: dict[str, Any] = {"request_": asked, "back": "approvals", "csrf_token": _TOKEN, **deciding_forms(asked)}
    return tuple(_STAND_IN.split(render_to_string(_TEMPLATE, context)))
