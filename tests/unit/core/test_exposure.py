"""Circumstances that coincide: the window, the order, and what each of them adds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.exposure import WINDOW_MS, Circumstances, Sent, match_circumstances, parse_circumstances
from ledger.errors import FormatError

DEFAULT = Circumstances()


def sent(seq: int, at_ms: int, developer: str, **other: Any) -> Sent:
    values: dict[str, Any] = {"worker": "w1", "address": "192.0.2.1", "port": 443, "path": "/hook"}
    return Sent(seq, at_ms, developer, **(values | other))


@pytest.mark.parametrize(("later_ms", "is_matched"), [(359_999, True), (360_000, True), (360_001, False)])
def test_the_window_holds_its_last_millisecond(later_ms: int, is_matched: bool) -> None:
    matched = match_circumstances([sent(1, 1_000, "a"), sent(2, 1_000 + later_ms, "b")], DEFAULT)
    assert matched == ({2: {"a"}} if is_matched else {})


def test_deliveries_of_one_instant_match_each_other() -> None:
    assert match_circumstances([sent(1, 5, "a"), sent(2, 5, "b")], DEFAULT) == {1: {"b"}, 2: {"a"}}


def test_a_delivery_before_the_other_developers_is_not_matched() -> None:
    assert 1 not in match_circumstances([sent(1, 5, "a"), sent(2, 6, "b")], DEFAULT)


def test_the_order_in_which_deliveries_come_does_not_matter() -> None:
    told = [sent(1, 5, "a"), sent(2, 6, "b"), sent(3, 6, "c")]
    assert match_circumstances(told[::-1], DEFAULT) == match_circumstances(told, DEFAULT)


def test_deliveries_for_one_developer_never_match() -> None:
    assert match_circumstances([sent(1, 5, "a"), sent(2, 6, "a")], DEFAULT) == {}


def test_the_latest_delivery_for_the_other_developer_counts() -> None:
    told = [sent(1, 0, "a"), sent(2, 300_000, "a"), sent(3, 660_000, "b"), sent(4, 660_001, "b")]
    assert match_circumstances(told, DEFAULT) == {3: {"a"}}


@pytest.mark.parametrize(
    ("other", "dropped"),
    [
        ({"worker": "w2"}, {"same_worker": False}),
        ({"address": "192.0.2.2"}, {"same_ip": False}),
        ({"port": 8443}, {"same_ip": False}),
        ({"path": "/hook?x"}, {"same_path": False}),
    ],
)
def test_a_circumstance_matters_until_it_is_dropped(other: dict[str, Any], dropped: dict[str, bool]) -> None:
    told = [sent(1, 5, "a"), sent(2, 6, "b", **other)]
    assert match_circumstances(told, DEFAULT) == {}
    assert match_circumstances(told, Circumstances(**dropped)) == {2: {"a"}}


@pytest.mark.parametrize("unknown", ["worker", "address", "port", "path"])
def test_what_nobody_recorded_matches_nothing(unknown: str) -> None:
    told = [sent(1, 5, "a", **{unknown: None}), sent(2, 6, "b", **{unknown: None})]
    assert match_circumstances(told, DEFAULT) == {}


def test_what_nobody_recorded_does_not_matter_where_its_circumstance_is_dropped() -> None:
    told = [sent(1, 5, "a", worker=None), sent(2, 6, "b", worker=None)]
    assert match_circumstances(told, Circumstances(same_worker=False)) == {2: {"a"}}


def test_without_any_circumstance_only_the_window_is_left() -> None:
    told = [sent(1, 5, "a", worker="w1", path="/1"), sent(2, 6, "b", worker=None, address=None, path=None)]
    assert match_circumstances(told, Circumstances(False, False, False, 1)) == {2: {"a"}}


DELIVERIES = st.lists(
    st.tuples(
        st.integers(0, 12), st.sampled_from("abc"), st.sampled_from(["w1", "w2", None]), st.sampled_from("xy")
    ),
    max_size=12,
)


@given(DELIVERIES, st.integers(0, 6), st.booleans())
def test_matches_are_those_of_every_pair_compared(told: list[Any], within_ms: int, same_worker: bool) -> None:
    made = [
        sent(seq, at_ms, developer, worker=worker, path=path)
        for seq, (at_ms, developer, worker, path) in enumerate(told)
    ]
    expected: dict[int, set[str]] = {}
    for later in made:
        for earlier in made:
            if later.developer == earlier.developer or later.path != earlier.path:
                continue
            if same_worker and (later.worker is None or later.worker != earlier.worker):
                continue
            if 0 <= later.started_at_ms - earlier.started_at_ms <= within_ms:
                expected.setdefault(later.seq, set()).add(earlier.developer)
    assert match_circumstances(made, Circumstances(same_worker=same_worker, within_ms=within_ms)) == expected


@pytest.mark.parametrize(
    ("text", "circumstances"),
    [
        ("same-worker,same-ip,same-path,within=360s", DEFAULT),
        ("same-path,same-worker,same-ip", DEFAULT),
        ("same-ip", Circumstances(False, True, False, WINDOW_MS)),
        ("within=1500ms", Circumstances(False, False, False, 1_500)),
        ("within=6m,same-ip", Circumstances(False, True, False, WINDOW_MS)),
        ("within=1h", Circumstances(False, False, False, 3_600_000)),
        ("within=0s", Circumstances(False, False, False, 0)),
    ],
)
def test_circumstances_are_read_in_any_order(text: str, circumstances: Circumstances) -> None:
    assert parse_circumstances(text) == circumstances


@pytest.mark.parametrize(
    "text",
    [
        "",
        "same-ip,",
        "same-ip,same-ip",
        "within=1s,within=2s",
        "within=0s,within=0s",
        "within=1",
        "within=-1s",
        "within=1.5s",
        "within=1s ",
        " same-ip",
        "SAME-IP",
        "same-host",
        "within=1234567890s",
        "within=\u0661s",
        "within=1s\n",
    ],
)
def test_what_is_no_circumstance_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_circumstances(text)


@given(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 999_999_999))
def test_circumstances_are_read_as_they_are_written(a: bool, b: bool, c: bool, within_ms: int) -> None:
    circumstances = Circumstances(a, b, c, within_ms)
    assert parse_circumstances(str(circumstances)) == circumstances
