"""What a client asks for when it connects, read as the server reads it, and what of it the server is asked for. Pure.

A setting that does no harm is passed on; one that would change the account, the rules or how a text is read is refused with a
sentence; one that is not known here goes to the server, whose own error the client gets. Nothing is dropped.

Sources: `process_startup_options` and `process_postgres_switches` (the order, and what the switches mean), `pg_split_opts`,
`ParseLongOption`, `parse_bool` and `parse_int` of PostgreSQL 18, which read the same since 13.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from access.gateway_rules import Rules
from gateway.errors import SessionEnded, SettingRefused
from gateway.policy import path_is_within
from gateway.statements.postgresql.encodings import is_unsafe
from gateway.statements.postgresql.settings import is_surely_on
from gateway.statements.statement import Setting

#: What a startup message says that is no setting.
_NO_SETTINGS: Final = frozenset({"user", "database", "replication", "options"})
_SPACES: Final = " \t\n\v\f\r"

_ACCOUNT = "A session keeps the account that Lockgate made for it."
_LIBRARIES = "What the server loads is for its administrators to say."
_NEVER: Final = {
    "role": _ACCOUNT,
    "session_authorization": _ACCOUNT,
    "session_preload_libraries": _LIBRARIES,
    "local_preload_libraries": _LIBRARIES,
}
_READ_ONLY: Final = frozenset({"default_transaction_read_only", "transaction_read_only"})
#: The switches of a single letter that set what `-c` could set as well.
_PLAN_METHODS: Final = {
    "s": "enable_seqscan",
    "i": "enable_indexscan",
    "o": "enable_indexonlyscan",
    "b": "enable_bitmapscan",
    "t": "enable_tidscan",
    "n": "enable_nestloop",
    "m": "enable_mergejoin",
    "h": "enable_hashjoin",
}
#: Milliseconds in each unit of time.
_UNITS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
_TIME = re.compile(
    r"\s*([+-]?)(?:(0[xX][0-9a-fA-F]+)|([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?))"
    r"\s*(us|ms|s|min|h|d)?\s*"
)


def asked_settings(parameters: Mapping[str, str]) -> dict[str, str]:
    """The settings of a startup message, by their names in lower case: its `options` first, then what it names itself.

    Raises `SettingRefused` for options that cannot be read.
    """
    asked = {}
    for name, value in _of_options(parameters.get("options", "")):
        asked[name.lower()] = value
    for name, value in parameters.items():
        if name not in _NO_SETTINGS and not name.startswith("_pq_."):
            asked[name.lower()] = value
    for name in asked:
        # In another case, or from the options, it would be a setting, and no server has one of this name.
        if name in _NO_SETTINGS or name.startswith("_pq_.") or not name:
            raise SettingRefused(name, "There is no such setting.")
    return asked


def server_settings(asked: Mapping[str, str], rules: Rules) -> dict[str, str]:
    """What the server is asked for: all of it, under the rules of the role. Raises `SettingRefused`."""
    for name, value in asked.items():
        _refuse_if_harmful(name, value, rules)
    settings = {**asked, "standard_conforming_strings": "on"}
    if rules.read_only:
        settings["default_transaction_read_only"] = "on"
    if rules.longest_statement is not None:
        longest = int(rules.longest_statement.total_seconds() * 1000)
        settings["statement_timeout"] = _shorter(asked.get("statement_timeout", "0"), longest)
    return settings


def refuse_what_reads_otherwise(reported: Mapping[str, str]) -> None:
    """Look at what the server reports to have: its own defaults may be what no client may ask for."""
    if reported.get("standard_conforming_strings", "on") != "on":
        raise SettingRefused("standard_conforming_strings", "The server has it off, and a text would read otherwise.")
    if is_unsafe(reported.get("client_encoding", "")):
        _refuse_encoding(reported["client_encoding"])


def end_if_it_reads_otherwise(content: bytes) -> None:
    """Look at a setting that the server reports in mid-session, `name NUL value`. Raises `SessionEnded`."""
    name, _, value = content.partition(b"\x00")
    if name == b"standard_conforming_strings" and value != b"on":
        raise SessionEnded("standard_conforming_strings was turned off, and its texts would read otherwise.")
    if name == b"client_encoding" and is_unsafe(value.decode(errors="replace")):
        raise SessionEnded(
            "client_encoding became one in which a part of a letter can look like a backslash. Use UTF8."
        )


def _refuse_if_harmful(name: str, value: str, rules: Rules) -> None:
    if name in _NEVER:
        raise SettingRefused(name, _NEVER[name])
    if name == "standard_conforming_strings" and not is_surely_on(value):
        raise SettingRefused(name, "It stays on: a text would read otherwise.")
    if name == "client_encoding" and is_unsafe(value):
        _refuse_encoding(value)
    if name == "search_path" and not path_is_within(rules, Setting(name, value)):
        raise SettingRefused(name, "The role does not reach all of these schemas.")
    if name in _READ_ONLY and rules.read_only and not is_surely_on(value):
        raise SettingRefused(name, "Sessions of this role are read-only.")


def _refuse_encoding(name: str) -> None:
    raise SettingRefused(
        "client_encoding",
        f"In {name[:20]} a part of a letter can look like a backslash. Use UTF8; the server converts.",
    )


# --- Options, as a command line


def _of_options(options: str) -> Iterator[tuple[str, str]]:
    words = iter(_split(options))
    for word in words:
        switch, value = word[:2], word[2:]
        if switch in ("-c", "-f", "-S") and not value:
            value = next(words, "")
        if switch in ("-c", "--") and value:
            yield _long_option(word, value)
        elif switch == "-S" and value:
            yield "work_mem", value
        elif switch == "-f" and value in _PLAN_METHODS:
            yield _PLAN_METHODS[value], "off"
        elif word == "-e":
            yield "datestyle", "euro"
        else:
            raise SettingRefused(
                "options", f"Of a command line it takes -c name=value and --name=value, not {word[:40]}."
            )


def _long_option(word: str, value: str) -> tuple[str, str]:
    name, equals, value = value.partition("=")
    if not equals:
        raise SettingRefused("options", f"{word[:40]} needs a value: -c name=value.")
    return name.replace("-", "_"), value


def _split(options: str) -> Iterator[str]:
    """Words between white space; a backslash takes the next letter as it is, be it a space or a backslash."""
    word: list[str] = []
    is_word = is_escaped = False
    for letter in options:
        if letter in _SPACES and not is_escaped:
            if is_word:
                yield "".join(word)
            word, is_word = [], False
        elif letter == "\\" and not is_escaped:
            is_word = is_escaped = True
        else:
            word.append(letter)
            is_word, is_escaped = True, False
    if is_word:
        yield "".join(word)


# --- Values


def _shorter(asked: str, longest: int) -> str:
    """The shorter of two timeouts, of which 0 is none; what cannot be read is for the server to refuse."""
    told = _milliseconds(asked)
    if told is None or told < 0:
        return asked
    return str(min(told, longest) if told else longest)


def _milliseconds(value: str) -> int | None:
    found = _TIME.fullmatch(value)
    if found is None:
        return None
    sign, hexadecimal, number, unit = found.groups()
    if hexadecimal:
        told = float(int(hexadecimal, 16))
    elif number.isdigit() and number.startswith("0"):
        # As in C: a number that begins with 0 is octal. One that is none ends the server's reading at its first odd digit.
        if set(number) & set("89"):
            return None
        told = float(int(number, 8))
    else:
        told = float(number)
    told *= _UNITS[unit or "ms"]
    return round(-told if sign == "-" else told) if told < 1 << 31 else None
