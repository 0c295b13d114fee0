"""Names and texts as they stand in SQL, when the statement cannot take bound values (as DDL cannot).

Pure: no connection is asked, so a plan can be shown without one. Each function refuses what its engine cannot hold
instead of cutting it short, because a name cut short is the name of something else. Django's `ops.quote_name` is no
substitute: it leaves quotes inside a name as they are.
"""

from __future__ import annotations

#: Bytes of UTF-8 in a PostgreSQL name (NAMEDATALEN - 1); the server cuts longer ones without an error.
POSTGRESQL_NAME_BYTES = 63
#: Characters in the name of a MariaDB database or table.
MARIADB_NAME_CHARACTERS = 64
#: UTF-16 code units in a SQL Server name (`sysname` is nvarchar(128)); a character beyond U+FFFF counts two.
SQLSERVER_NAME_UNITS = 128


class UnquotableName(ValueError):
    """This name cannot exist on the server: it is empty, too long, or holds a character that no name may hold."""


def postgresql_name(name: str) -> str:
    """One PostgreSQL name, quoted: `odd"name` → `"odd""name"`. Raises `UnquotableName`."""
    _refuse(name, not name, "is empty")
    _refuse(name, "\0" in name, "holds a NUL")
    _refuse(name, not _is_utf8(name), "is not text")
    _refuse(name, len(name.encode()) > POSTGRESQL_NAME_BYTES, f"is longer than {POSTGRESQL_NAME_BYTES} bytes")
    return '"' + name.replace('"', '""') + '"'


def postgresql_text(text: str) -> str:
    """One PostgreSQL text, quoted so that `standard_conforming_strings` does not matter. Raises `UnquotableName`."""
    _refuse(text, "\0" in text, "holds a NUL")
    doubled = text.replace("'", "''")
    if "\\" in doubled:
        return "E'" + doubled.replace("\\", "\\\\") + "'"
    return f"'{doubled}'"


def postgresql_block(body: str) -> str:
    """The body of a DO block between dollar quotes that nothing inside it can close."""
    tag, number = "$lockgate$", 0
    while tag in body:
        number += 1
        tag = f"$lockgate{number}$"
    return f"{tag}{body}{tag}"


def mariadb_name(name: str, at_most: int = MARIADB_NAME_CHARACTERS) -> str:
    """One MariaDB name, quoted: odd`name → `odd``name`. Accounts and roles may be longer. Raises `UnquotableName`."""
    _refuse(name, not name, "is empty")
    _refuse(name, "\0" in name, "holds a NUL")
    _refuse(name, not _is_utf8(name), "is not text")
    _refuse(name, any(ord(character) > 0xFFFF for character in name), "holds a character beyond U+FFFF")
    _refuse(name, name.endswith(" "), "ends with a space")
    _refuse(name, len(name) > at_most, f"is longer than {at_most} characters")
    return "`" + name.replace("`", "``") + "`"


def mariadb_text(text: str) -> str:
    """One MariaDB text, quoted. The session must not have `NO_BACKSLASH_ESCAPES` in its `sql_mode`."""
    _refuse(text, "\0" in text, "holds a NUL")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def sqlserver_name(name: str) -> str:
    """One SQL Server name, quoted whatever QUOTED_IDENTIFIER says: `odd]name` → `[odd]]name]`. Raises `UnquotableName`.

    A space at its end is refused, because the server takes names that differ in nothing else for the same.
    """
    _refuse(name, not name, "is empty")
    _refuse(name, "\0" in name, "holds a NUL")
    _refuse(name, not _is_utf8(name), "is not text")
    _refuse(name, name.endswith(" "), "ends with a space")
    units = len(name.encode("utf-16-le")) // 2 if _is_utf8(name) else 0
    _refuse(name, units > SQLSERVER_NAME_UNITS, f"is longer than {SQLSERVER_NAME_UNITS} characters")
    return "[" + name.replace("]", "]]") + "]"


def sqlserver_text(text: str) -> str:
    """One SQL Server text, quoted, as nvarchar so that no code page changes it. Raises `UnquotableName`.

    A backslash before a line break is refused: the server drops both, wherever a literal may stand.
    """
    _refuse(text, "\0" in text, "holds a NUL")
    _refuse(text, not _is_utf8(text), "is not text")
    _refuse(text, "\\\n" in text or "\\\r\n" in text, "holds a backslash before a line break")
    return "N'" + text.replace("'", "''") + "'"


def _refuse(name: str, when: bool, why: str) -> None:
    if when:
        raise UnquotableName(f"{name!r} {why}.")


def _is_utf8(name: str) -> bool:
    """Half a surrogate pair is a Python string, yet no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
