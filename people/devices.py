"""What a browser says of itself, in words that its owner recognises."""

from __future__ import annotations

import re

#: The first that is found counts: Edge says Chrome too, and Chrome says Safari.
_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device_of(user_agent: str) -> str:
    """'Firefox on Linux'; what is not known as a browser keeps the first word of its own name."""
    browser = next((name for mark, name in _BROWSERS if f"{mark}/" in user_agent or f"{mark}iOS/" in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if not browser:
        first = re.match(r"[\w.-]+", user_agent)
        browser = first[0] if first and first[0] != "Mozilla" else "Unknown browser"
    return f"{browser} on {system}" if system else browser
