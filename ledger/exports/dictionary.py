"""The dictionary of an export: what each member of an entry is, and what each code says (exports, section 5.5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib.resources import files
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from ledger.core.cells import format_row
from ledger.core.entries import COMMON_MEMBERS, KINDS
from ledger.core.verdicts import CODES
from ledger.reporting.codes_in_words import words_of

FIELD_COLUMNS = ("kind", "member", "required", "what_it_holds")
CODE_COLUMNS = ("code", "family", "severity", "label", "sentence", "next_step")


@cache
def field_words() -> dict[str, str]:
    """What each member of any kind holds, as docs/formats.md has it."""
    read: dict[str, str] = json.loads(files("ledger.exports").joinpath("field_words.json").read_text("utf-8"))
    return read


def field_rows() -> Iterator[str]:
    """The lines of fields.csv: members that all entries have, then those of each kind."""
    yield format_row(FIELD_COLUMNS)
    words = field_words()
    for name in sorted(COMMON_MEMBERS):
        yield format_row(("(every kind)", name, "yes", words[name]))
    for kind in sorted(KINDS):
        hints = get_type_hints(KINDS[kind], include_extras=True)
        for name in sorted(field.name for field in fields(KINDS[kind])):
            if name not in COMMON_MEMBERS:
                yield format_row((kind, name, "no" if _is_optional(hints[name]) else "yes", words[name]))


def code_rows() -> Iterator[str]:
    """The lines of codes.csv: every code of the verdict rules, in their order."""
    yield format_row(CODE_COLUMNS)
    for code, row in CODES.items():
        words = words_of(code)
        yield format_row((code, row.family, row.severity, words.label, words.sentence, words.next_step))


def _is_optional(hint: Any) -> bool:
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return (isinstance(inner, UnionType) and NoneType in get_args(inner)) or NoneType in get_args(inner)
