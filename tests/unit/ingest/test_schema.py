"""What a record may state follows from the entries: no kind and no member is written twice."""

from __future__ import annotations

import msgspec
import pytest

from ledger.core.entries import COMMON_MEMBERS, KINDS
from ledger.ingest.schema import (
    DEFAULTED,
    LOOKED_UP,
    LOOKED_UP_UNLESS_STATED,
    PLATFORM_KINDS,
    record_type,
    shape_of,
)

DIFFERENCES = [
    (kind, name)
    for table in (LOOKED_UP, LOOKED_UP_UNLESS_STATED, DEFAULTED)
    for kind, names in table.items()
    for name in sorted(names)
]


@pytest.mark.parametrize("kind", PLATFORM_KINDS)
def test_every_kind_of_a_record_is_a_kind_of_entry(kind: str) -> None:
    assert kind in KINDS


@pytest.mark.parametrize(("kind", "name"), DIFFERENCES)
def test_every_difference_is_about_a_member_that_the_entry_has(kind: str, name: str) -> None:
    assert kind in PLATFORM_KINDS
    assert name in KINDS[kind].__dataclass_fields__


@pytest.mark.parametrize("kind", PLATFORM_KINDS)
def test_a_records_members_are_the_entrys_but_for_the_differences(kind: str) -> None:
    made = next(struct for struct in record_type().__args__ if struct.__struct_config__.tag == kind)
    stated = {field.name for field in msgspec.structs.fields(made)}
    own = set(KINDS[kind].__dataclass_fields__) - set(COMMON_MEMBERS)
    assert stated == own - LOOKED_UP.get(kind, frozenset()) - {"identity"} | {"at", "uid"}


@pytest.mark.parametrize("kind", PLATFORM_KINDS)
def test_what_the_struct_leaves_open_is_listed_once(kind: str) -> None:
    shape = shape_of(kind)
    matched = [f"{outer}.{name}" if outer else name for outer, name, _, _ in shape.matched]
    inner = [f"{outer}.{name}" for outer, name in shape.inner_ids]
    listed = [*shape.instants, *shape.ids, *inner, *matched, *shape.sets]
    assert len(listed) == len(set(listed))
