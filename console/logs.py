"""Structured logs, one JSON object a line, with everything that could be a secret taken out.

What Django, Celery and the libraries log goes the same way as what we log ourselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

MASK = "********"

#: Names of fields whose value is never written.
_SECRET_NAME = re.compile(
    r"passw|secret|token|credential|authorization|cookie|verifier|private|encryption_key", re.IGNORECASE
)

#: Clients of clouds, which write each request at INFO, and at DEBUG what came back: secrets as they are.
_TALKATIVE = ("azure", "msal", "boto3", "botocore", "s3transfer")

#: Secrets inside texts, with what precedes them, which is kept.
_SECRETS_IN_TEXT = [
    # postgresql://user:PASSWORD@host
    re.compile(r"(?P<kept>://[^\s:/@]*:)[^\s/@]+(?=@)"),
    # 'password': '…', PASSWORD '…': exceptions quote parameters and statements. What surrounds the word is bounded, since
    # whoever may write into a log, and an address is enough, must not keep us looking for the end of a word for minutes.
    re.compile(
        r"""(?P<kept>(?:password|passwd|secret|token)\w{0,40}['"]?\s{0,9}[=:]?\s{0,9}N?)(?P<quote>['"])(?:(?!(?P=quote)).)+""",
        re.IGNORECASE,
    ),
    # password=…, as in a connection string
    re.compile(r"""(?P<kept>(?:password|passwd|pwd|secret|token)=)[^\s'"&,;)]+""", re.IGNORECASE),
    re.compile(r"(?P<kept>\bIDENTIFIED\s+(?:BY|VIA\s+\w+\s+USING)\s+')[^']+", re.IGNORECASE),
    # What stands for a password on PostgreSQL, on MariaDB and on SQL Server
    re.compile(r"(?P<kept>SCRAM-SHA-256\$)[0-9]+:[A-Za-z0-9+/=]+(?:\$[A-Za-z0-9+/=:]*)?"),
    re.compile(r"(?P<kept>\*)[0-9A-F]{40}\b"),
    re.compile(r"(?P<kept>\b0x0[1-3]00)[0-9A-Fa-f]{48,}\b"),
    # The code and state of a sign-in, in the address that a provider sends the browser back to
    re.compile(r"(?P<kept>[?&](?:code|state)=)[^\s&'\"]+"),
    # The header of a request
    re.compile(r"(?P<kept>\b(?:Basic|Bearer)\s+)[A-Za-z0-9+/=._~-]{8,}"),
]


def redact(logger: object, name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask values whose name looks like a secret's, at any depth, and secrets inside texts."""
    for key, value in event.items():
        event[key] = _redacted(key, value)
    return event


def redact_text(text: str) -> str:
    """The text without the secrets that can be recognised in it."""
    for pattern in _SECRETS_IN_TEXT:
        text = pattern.sub(_keep_what_precedes, text)
    return text


def logging_settings(level: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`: everything, from `level` on, to the standard error stream."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    redact,
                    structlog.processors.JSONRenderer(default=lambda value: redact_text(repr(value))),
                ],
                "foreign_pre_chain": _SHARED,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            **{name: {"level": "WARNING"} for name in _TALKATIVE},
        },
    }


def _redacted(key: str, value: Any) -> Any:
    if _SECRET_NAME.search(key) and not isinstance(value, bool) and value is not None:
        return MASK
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {str(name): _redacted(str(name), each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redacted("", each) for each in value]
    return value


def _keep_what_precedes(match: re.Match[str]) -> str:
    quote = match.groupdict().get("quote") or ""
    return f"{match['kept']}{quote}{MASK}"


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]

structlog.configure(
    processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
