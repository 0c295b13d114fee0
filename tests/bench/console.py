"""A person with a browser, as far as the server can tell: cookies, forms with their hidden fields, and pages read as text."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import datetime

import requests

_HIDDEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_HASH = re.compile(r'name="content_hash" value="([0-9a-f]{64})"')
_GRANT = re.compile(r"/access/(G-[0-9A-Z]+)/")
_PASSWORD = re.compile(r'id="password" value="([^"]+)"')
_PRINCIPAL = re.compile(r"\blg_[a-z0-9_]+")
_ENDS = re.compile(r'data-until="([^"]+)"')


class PageError(Exception):
    """The console did not answer as a person would expect."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the page shows to its owner."""

    principal: str
    password: str
    ends_at: datetime


class Person:
    """Somebody who is signed in."""

    def __init__(self, base: str, email: str, password: str) -> None:
        self._base = base
        self._session = requests.Session()
        self._token = ""
        self._get("/accounts/login/")
        self._post("/accounts/login/", {"login": email, "password": password})

    def close(self) -> None:
        """Close the browser."""
        self._session.close()

    def ask(self, role: str, minutes: int, reason: str) -> str:
        """Ask for an access role; the request's reference."""
        self._get("/request/")
        answer = self._post("/request/", {"role": role, "duration": f"{minutes}m", "reason": reason})
        found = re.search(r"/requests/(R-[0-9A-Z]+)/", answer.url)
        if found is None:
            raise PageError(f"Asking for {role} led to {answer.url}: {_text(answer.text)}")
        return found[1]

    def content_hash(self, reference: str) -> str:
        """What an approver has in front of them."""
        page = self._get(f"/requests/{reference}/")
        found = _HASH.search(page)
        if found is None:
            raise PageError(f"There is nothing to approve on {reference}: {_text(page)}")
        return found[1]

    def approve(self, reference: str, content_hash: str) -> None:
        """The one click."""
        self._post(f"/requests/{reference}/approve/", {"content_hash": content_hash})

    def grant_of(self, reference: str) -> str:
        """The reference of the grant, or nothing while there is none."""
        found = _GRANT.search(self._get(f"/requests/{reference}/"))
        return found[1] if found else ""

    def reveal(self, grant: str) -> Credentials | None:
        """Show the password; None while the access is not ready."""
        answer = self._post(f"/access/{grant}/password/", {}, expect=(200, 422))
        found = _PASSWORD.search(answer.text)
        if found is None:
            return None
        principal, ends = _PRINCIPAL.search(answer.text), _ENDS.search(answer.text)
        if principal is None or ends is None:
            raise PageError("The page shows a password, but no account or no end.")
        return Credentials(principal[0], html.unescape(found[1]), datetime.fromisoformat(ends[1]))

    def status_of(self, grant: str) -> str:
        """What the grant's page says, for an error."""
        return _text(self._get(f"/access/{grant}/"))

    def look(self, path: str, headers: dict[str, str] | None = None) -> requests.Response:
        """Whatever the address answers."""
        return self._session.get(self._base + path, headers=headers, timeout=300, allow_redirects=False)

    def _get(self, path: str) -> str:
        answer = self._session.get(self._base + path, timeout=30)
        answer.raise_for_status()
        return self._read(answer)

    def _post(self, path: str, fields: dict[str, str], expect: tuple[int, ...] = (200,)) -> requests.Response:
        headers = {"Referer": self._base + path}
        fields = {**fields, "csrfmiddlewaretoken": self._token}
        answer = self._session.post(self._base + path, data=fields, headers=headers, timeout=30)
        if answer.status_code not in expect:
            raise PageError(f"{path} answered {answer.status_code}: {_text(answer.text)}")
        self._read(answer)
        return answer

    def _read(self, answer: requests.Response) -> str:
        """The page; the token in its forms is what the next form sends."""
        found = _HIDDEN.search(answer.text)
        self._token = found[1] if found else self._token
        return answer.text


def _text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))[-1500:]
