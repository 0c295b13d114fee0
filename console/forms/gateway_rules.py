"""What an access role allows at the gateway: the part of its form that starts from what the level gives."""

from __future__ import annotations

from typing import Any

from django import forms

from access.gateway_rules import (
    ALWAYS,
    CHOSEN,
    Durability,
    Keep,
    Rules,
    StatementClass,
    Unparsed,
    as_recorded,
    in_words,
    rules_for,
)
from access.models import AccessRole
from access.services.catalogue.gateway import HIGHEST_LIMIT
from connectors.base import Level
from console.forms.durations import DurationField
from console.forms.lines import DurationText, PatternsField, SizeField

_TEXT = {"class": "form-control"}
OF_THE_LEVEL, OF_ITS_OWN = "level", "own"
_WHOSE = {OF_THE_LEVEL: "What the level gives", OF_ITS_OWN: "Rules of its own"}
_CLASSES = {
    StatementClass.READ: "read: SELECT, COPY … TO STDOUT",
    StatementClass.WRITE: "write: INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY … FROM STDIN, SELECT … FOR UPDATE",
    StatementClass.DDL: "ddl: CREATE, ALTER and DROP of tables, views, indexes and the like",
    StatementClass.CALL: "call: CALL and DO, whose text does not tell what they do",
    StatementClass.ADMIN: "admin: GRANT, CREATE ROLE, VACUUM, ANALYZE, COPY with a file of the server",
}
_UNPARSED = {
    Unparsed.REFUSE: "Refuse it",
    Unparsed.PASS: "Pass it to the database's own walls, and mark it in the record",
}
_KEEP = {
    Keep.FINGERPRINT: "Its fingerprint alone: nobody can read what was run",
    Keep.SHAPE: "Its shape: the text with its literals removed",
    Keep.TEXT: "The full text with its parameters, encrypted: auditors read it one by one, and each reading is audited",
}
_DURABILITY = {
    Durability.STRICT: "Strict: each statement is on the disk before it is sent",
    Durability.BATCHED: (
        "Batched: written before it is sent, on the disk a moment later. Quicker; the last ten milliseconds of the record"
        " are at risk if the machine itself dies"
    ),
}


def _one_of(label: str, choices: dict[Any, str], missing: str) -> forms.ChoiceField:
    return forms.ChoiceField(
        label=label,
        choices=[(str(value), words) for value, words in choices.items()],
        widget=forms.RadioSelect,
        error_messages={"required": missing, "invalid_choice": f"“%(value)s” is no choice here. {missing}"},
    )


class GatewayFields(forms.Form):
    """The rules at the gateway; what stands in the fields counts only where the role has rules of its own."""

    gateway_rules = _one_of("Rules", _WHOSE, "Choose what the level gives, or rules of its own.")
    gateway_classes = forms.MultipleChoiceField(
        label="Kinds of statement",
        choices=[(one.value, _CLASSES[one]) for one in CHOSEN],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        error_messages={
            "invalid_choice": f"“%(value)s” is no kind of statement. There are {', '.join(one.value for one in CHOSEN)}."
        },
    )
    gateway_tables = PatternsField(label="Tables", required=False)
    gateway_denied_functions = PatternsField(label="Functions that must not be called", required=False)
    gateway_where_required = forms.BooleanField(required=False)
    gateway_read_only = forms.BooleanField(required=False)
    gateway_unparsed = _one_of("A statement that Lockgate does not understand", _UNPARSED, "Choose one of the two.")
    gateway_longest_statement = DurationField(
        label="Longest statement", required=False, by_seconds=True, widget=DurationText(by_seconds=True)
    )
    gateway_longest_idle = DurationField(
        label="Longest silence", required=False, by_seconds=True, widget=DurationText(by_seconds=True)
    )
    gateway_most_rows = forms.IntegerField(
        label="Most rows of a result",
        min_value=1,
        max_value=HIGHEST_LIMIT,
        required=False,
        widget=forms.NumberInput(attrs=_TEXT),
        error_messages={
            "invalid": "Write a whole number of rows, or leave it empty for no limit.",
            "min_value": "Write 1 row or more, or leave it empty for no limit.",
        },
    )
    gateway_most_bytes = SizeField(label="Largest result", required=False)
    gateway_keep = _one_of("What is kept of a statement", _KEEP, "Choose one of the three.")
    gateway_durability = _one_of("When a statement is on the disk", _DURABILITY, "Choose one of the two.")

    def clean(self) -> dict[str, Any]:
        """`gateway` in place of the fields: the role's own rules, or None for those of the level."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("gateway_rules") == OF_THE_LEVEL:
            # Whatever stands in the fields does not count.
            for name in RULES:
                self.errors.pop(name, None)
        is_whole = cleaned.get("gateway_rules") == OF_ITS_OWN and not set(RULES) & set(self.errors)
        rules = _rules(cleaned) if is_whole else None
        return {
            **{name: value for name, value in cleaned.items() if name not in GatewayFields.base_fields},
            "gateway": rules,
        }

    def level_so_far(self) -> Level:
        """The level that the form shows, sent or not; the first one where it shows none."""
        level = str(self["level"].value() or "")
        return Level(level) if level in list(Level) else Level.READ

    def rules_of_the_level(self) -> str:
        """What the level gives, in words."""
        return in_words(rules_for(self.level_so_far()))

    def gateway_as_recorded(self) -> dict[str, Any]:
        """What was typed, as the audit trail would record it."""
        own: Rules | None = self.cleaned_data["gateway"]
        return as_recorded(own or rules_for(self.cleaned_data["level"]), are_own=own is not None)


#: The fields that say a rule.
RULES = tuple(name for name in GatewayFields.base_fields if name != "gateway_rules")


def _rules(cleaned: dict[str, Any]) -> Rules:
    return Rules(
        classes=ALWAYS | {StatementClass(name) for name in cleaned["gateway_classes"]},
        tables=tuple(cleaned["gateway_tables"]) or None,
        denied_functions=tuple(name.lower() for name in cleaned["gateway_denied_functions"]),
        where_required=cleaned["gateway_where_required"],
        unparsed=Unparsed(cleaned["gateway_unparsed"]),
        read_only=cleaned["gateway_read_only"],
        longest_statement=cleaned["gateway_longest_statement"],
        longest_idle=cleaned["gateway_longest_idle"],
        most_rows=cleaned["gateway_most_rows"],
        most_bytes=cleaned["gateway_most_bytes"],
        keep=Keep(cleaned["gateway_keep"]),
        durability=Durability(cleaned["gateway_durability"]),
    )


def initial_of_level(level: Level) -> dict[str, Any]:
    """The fields as a role of this level has them until somebody says otherwise."""
    return {"gateway_rules": OF_THE_LEVEL, **_shown(rules_for(level))}


def initial_of_gateway(role: AccessRole) -> dict[str, Any]:
    """The fields as the role has them."""
    return {"gateway_rules": OF_ITS_OWN if role.gateway else OF_THE_LEVEL, **_shown(role.gateway_rules)}


def _shown(rules: Rules) -> dict[str, Any]:
    return {
        "gateway_classes": [one.value for one in CHOSEN if one in rules.classes],
        "gateway_tables": list(rules.tables or ()),
        "gateway_denied_functions": list(rules.denied_functions),
        "gateway_where_required": rules.where_required,
        "gateway_read_only": rules.read_only,
        "gateway_unparsed": rules.unparsed.value,
        "gateway_longest_statement": rules.longest_statement,
        "gateway_longest_idle": rules.longest_idle,
        "gateway_most_rows": rules.most_rows,
        "gateway_most_bytes": rules.most_bytes,
        "gateway_keep": rules.keep.value,
        "gateway_durability": rules.durability.value,
    }
