"""The environment as the settings read it: values, files that hold values, and sentences about what is missing or weak."""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

#: Never accepted outside development, where they spare everybody the making of secrets that protect nothing.
DEVELOPMENT_SECRET_KEY = "development-only" * 4
DEVELOPMENT_CHECKPOINT_KEY = "bG9ja2dhdGUtZGV2ZWxvcG1lbnQtY2hlY2twb2ludHM="
DEVELOPMENT_ENCRYPTION_KEY = "bG9ja2dhdGUtZGV2ZWxvcG1lbnQtb25seS1rZXktMDE="

#: Outside development. It is on a disk that keeps what was fsynced.
_JOURNAL = "/var/lib/lockgate/journal"


class FilesAndValues(Mapping[str, str]):
    """`os.environ`, where `NAME_FILE` names a file that holds the value of `NAME`."""

    def __getitem__(self, name: str) -> str:
        path = os.environ.get(f"{name}_FILE", "")
        if not path:
            return os.environ[name]
        if os.environ.get(name):
            raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; keep one of them.")
        try:
            # Files usually end with a line break, and no value of ours does.
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: {error.strerror}: {path}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(os.environ)

    def __len__(self) -> int:
        return len(os.environ)


class Environment(environ.Env):  # type: ignore[misc]
    """django-environ, reading files too."""

    ENVIRON = FilesAndValues()

    @property
    def is_development(self) -> bool:
        """Whether this is a developer's machine, where nothing has to be set. Anything that is not said is production."""
        name = self.text("LOCKGATE_ENV", "production")
        if name not in ("development", "production"):
            raise ImproperlyConfigured(f"LOCKGATE_ENV is {name!r}; set it to 'development' or 'production'.")
        return name == "development"

    @property
    def is_beat(self) -> bool:
        """Whether this is the process that only counts seconds and sends names of tasks: it is given no secret."""
        process = self.text("LOCKGATE_PROCESS", "")
        if process not in ("", "beat"):
            raise ImproperlyConfigured(f"LOCKGATE_PROCESS is {process!r}; set it to 'beat' for beat, or leave it out.")
        return process == "beat"

    def text(self, name: str, default: str) -> str:
        """A value as it is; `str` would take one that begins with a dollar sign for the name of another variable."""
        return self.ENVIRON.get(name, default)

    def required(self, name: str, *, development: str, what: str) -> str:
        """A value that has a default in development only."""
        value = self.text(name, development if self.is_development else "")
        if not value:
            raise ImproperlyConfigured(f"{name} is missing. Set it, or {name}_FILE, to {what}.")
        return value

    def base_url(self) -> str:
        """The address that people type, without a slash at its end."""
        url = self.required("LOCKGATE_BASE_URL", development="http://127.0.0.1:8000", what="the address people type")
        if not url.startswith("https://") and not self.is_development:
            raise ImproperlyConfigured(f"LOCKGATE_BASE_URL is {url!r}; outside development it begins with https://.")
        return url.rstrip("/")

    def ticket_url(self) -> str:
        """Where the page of a ticket is, with `{ticket}` for its number; empty when tickets are not linked."""
        url = self.text("LOCKGATE_TICKET_URL", "")
        behind_the_host = url.removeprefix("https://").partition("/")[2]
        # A number that were part of the host's name would let whoever types it choose where the link leads.
        if url and (not url.startswith("https://") or url.count("{ticket}") != 1 or "{ticket}" not in behind_the_host):
            raise ImproperlyConfigured(
                f"LOCKGATE_TICKET_URL is {url!r}; it begins with https:// and has {{ticket}} once, behind the host's name:"
                " https://tracker.example.com/browse/{ticket}"
            )
        return url

    def secret_folders(self) -> list[Path]:
        """Where the passwords of servers may lie as files; in development also where the demo and the tests put them."""
        text = self.text("LOCKGATE_SECRET_FOLDERS", "")
        if text:
            return [Path(folder) for folder in text.split(os.pathsep) if folder.strip()]
        if not self.is_development:
            return [Path("/run/servers")]
        demo = Path(self.text("LOCKGATE_DATA", "") or ".lockgate")
        return [Path("/run/servers"), demo.absolute() / "secrets", Path(tempfile.gettempdir())]

    def trusted_proxies(self) -> int:
        """How many proxies of ours stand in front of the console."""
        text = self.text("LOCKGATE_TRUSTED_PROXIES", "") or "0"
        if not (text.isascii() and text.isdecimal()):
            raise ImproperlyConfigured(f"LOCKGATE_TRUSTED_PROXIES is {text!r}; it is a number: 0, 1, 2.")
        return int(text)

    def reauthenticate_after(self) -> timedelta:
        """How old an authentication may be when something that matters is done with it."""
        text = self.text("LOCKGATE_REAUTHENTICATE_AFTER", "") or "15"
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 720):
            raise ImproperlyConfigured(
                f"LOCKGATE_REAUTHENTICATE_AFTER is {text!r}; it is a number of minutes from 1 to 720."
            )
        return timedelta(minutes=int(text))

    def local_sign_in(self) -> str:
        """Who may sign in with a password: everybody, or only an administrator with a second factor."""
        who = self.text("LOCKGATE_LOCAL_SIGN_IN", "") or ("everybody" if self.is_development else "break-glass")
        if who not in ("everybody", "break-glass"):
            raise ImproperlyConfigured(f"LOCKGATE_LOCAL_SIGN_IN is {who!r}; set it to 'everybody' or 'break-glass'.")
        return who

    def database(self) -> dict[str, Any]:
        """Where Lockgate keeps its own state, as Django wants it: one PostgreSQL database."""
        what = "postgresql://user:password@host:5432/lockgate"
        if self.is_beat:
            nowhere: dict[str, Any] = self.db_url_config("postgresql://127.0.0.1:1/none")
            return nowhere
        url = self.required("DATABASE_URL", development="postgresql:///lockgate", what=what)
        if not url.startswith(("postgresql://", "postgres://")):
            # The value itself is not shown: it holds a password.
            raise ImproperlyConfigured(f"DATABASE_URL names no PostgreSQL database. It looks like this: {what}")
        found: dict[str, Any] = self.db_url_config(url)
        return found

    def secret_key(self) -> str:
        """Django's key, under which sessions and forms are signed."""
        if self.is_beat:
            return secrets.token_urlsafe(64)
        key = self.text("LOCKGATE_SECRET_KEY", DEVELOPMENT_SECRET_KEY if self.is_development else "")
        is_weak = len(key) < 50 or len(set(key)) < 10 or key == DEVELOPMENT_SECRET_KEY
        if is_weak and not self.is_development:
            raise ImproperlyConfigured(
                "LOCKGATE_SECRET_KEY is missing or weak. Set it, or LOCKGATE_SECRET_KEY_FILE, to at least 50 random"
                " characters: python3 -c 'import secrets; print(secrets.token_urlsafe(64))'"
            )
        return key

    def gateway_journal(self, development: Path) -> Path:
        """The folder in which the gateway keeps what is not in the database yet."""
        return Path(self.text("LOCKGATE_GATEWAY_JOURNAL", "") or (development if self.is_development else _JOURNAL))

    def listen(self, name: str, default: str) -> tuple[str, int]:
        """An address and a port to listen on: `0.0.0.0:6432`, `[::]:6432`."""
        text = self.text(name, "") or default
        host, _, port = text.rpartition(":")
        if not host or not (port.isascii() and port.isdecimal() and int(port) < 1 << 16):
            raise ImproperlyConfigured(f"{name} is {text!r}; it is an address and a port, as {default}.")
        return host.strip("[]"), int(port)

    def networks(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        """Networks and single addresses with commas between: `10.0.0.0/24, 2001:db8::7`."""
        words = [word.strip() for word in self.text(name, "").split(",")]
        try:
            return tuple(ip_network(word) for word in words if word)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name} is a list of networks, as 10.0.0.0/24, 192.0.2.7: {error}.") from None

    def count(self, name: str, default: int) -> int:
        """A whole number from 1 up to a thousand million."""
        text = self.text(name, "") or str(default)
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 10**9):
            raise ImproperlyConfigured(f"{name} is {text!r}; it is a whole number from 1, as {default}.")
        return int(text)

    def encryption_keys(self) -> list[str]:
        """The Fernet keys under which secrets are stored: the first seals, all of them open."""
        if self.is_beat:
            return [Fernet.generate_key().decode()]
        text = self.text("LOCKGATE_ENCRYPTION_KEYS", DEVELOPMENT_ENCRYPTION_KEY if self.is_development else "")
        keys = [key.strip() for key in text.split(",") if key.strip()]
        if not keys or not all(_is_fernet_key(key) for key in keys) or (not self.is_development and _any_weak(keys)):
            raise ImproperlyConfigured(
                "LOCKGATE_ENCRYPTION_KEYS is missing, weak or not usable. Set it, or LOCKGATE_ENCRYPTION_KEYS_FILE, to one"
                " or more Fernet keys, newest first, with commas between: python3 -c"
                " 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
            )
        return keys

    def checkpoint_keys(self) -> list[bytes]:
        """The Ed25519 keys of checkpoints, 32 bytes each: the first signs. Empty: there are no checkpoints."""
        text = self.text("LOCKGATE_CHECKPOINT_KEY", DEVELOPMENT_CHECKPOINT_KEY if self.is_development else "")
        names = [name.strip() for name in text.split(",") if name.strip()]
        keys = [_decoded(name) for name in names]
        known = DEVELOPMENT_CHECKPOINT_KEY in names and not self.is_development
        if known or any(len(key) != 32 or len(set(key)) < 12 for key in keys):
            raise ImproperlyConfigured(
                "LOCKGATE_CHECKPOINT_KEY is weak or not usable. Set it, or LOCKGATE_CHECKPOINT_KEY_FILE, to one or more keys"
                " of 32 random bytes as base64, newest first, with commas between: openssl rand -base64 32"
            )
        return keys


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True


def _any_weak(keys: list[str]) -> bool:
    # Of 43 random characters, hardly ever fewer than 20 are different ones.
    return any(key == DEVELOPMENT_ENCRYPTION_KEY or len(set(key)) < 12 for key in keys)
