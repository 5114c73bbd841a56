"""Which exposures are due to one cause (section 5.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.incidents.assessing import sort_by_cause
from ledger.incidents.causes import BY_HAND, CAUSES, FLEET
from tests.support.incident_world import IncidentWorld, Record, delivery, grant, parties

ANN, BOB = "1001", "1002"
JUNE = "2017-06-01T00:00:00Z"
START = "2017-05-30T00:00:00Z"


def causes(directory: Path, *records: Record) -> list[tuple[str, str]]:
    with IncidentWorld(directory, [*parties("a", "b"), *records]) as world:
        found = sort_by_cause(world.evidence().verified)
        return sorted((cause.name, cause.of) for cause in found.by_cause)


def event(kind: str, **members: Any) -> Record:
    return {"kind": kind, "at": START, **members}


@pytest.mark.parametrize(
    ("records", "cause"),
    [
        ([grant(1, ANN), delivery(1, ANN, host="b")], ("misrouting", "")),
        ([grant(1, ANN), delivery(1, ANN, host="nobody")], ("misrouting", "")),
        ([grant(1, ANN), event("grant.revoked", grant="g-1"), delivery(1, ANN)], ("grant_revoked", "g-1")),
        ([grant(1, ANN, expires_at=START), delivery(1, ANN)], ("grant_expired", "g-1")),
        (
            [grant(1, ANN), delivery(1, ANN), event("grant.invalidated", grant="g-1")],
            ("grant_invalidated", "g-1"),
        ),
        (
            [grant(1, ANN), event("grant.suspended", grant="g-1"), delivery(1, ANN)],
            ("grant_suspended", "g-1"),
        ),
        ([grant(1, ANN, at="2017-07-01T00:00:00Z"), delivery(1, ANN)], ("grant_not_begun", "g-1")),
        ([grant(1, ANN), event("app.suspended", app="app-a"), delivery(1, ANN)], ("app_suspended", "app-a")),
        (
            [grant(1, ANN), event("developer.suspended", developer="dev-a"), delivery(1, ANN)],
            ("developer_suspended", "dev-a"),
        ),
        (
            [grant(1, ANN), event("account.suspended", account=ANN), delivery(1, ANN)],
            ("account_not_active", ""),
        ),
        (
            [grant(1, ANN, scopes=["posts"]), delivery(1, ANN)],
            ("scope_exceeded", "dev-a.direct_message_events"),
        ),
        (
            [grant(1, ANN, scopes=["all"]), delivery(1, ANN, event_type="new_things")],
            ("event_type_unmapped", "new_things"),
        ),
        ([delivery(1, ANN)], ("never_granted", "dev-a")),
        (
            [
                grant(1, ANN),
                event("endpoint.transferred", endpoint="wh-a", app="app-b"),
                delivery(1, ANN, app="app-a", environment="prod"),
            ],
            ("endpoint_moved", "wh-a"),
        ),
        (
            [grant(1, ANN), event("app.transferred", app="app-a", developer="dev-b"), delivery(1, ANN)],
            ("app_transferred", "app-a"),
        ),
        (
            [grant(1, ANN, environment="staging"), delivery(1, ANN)],
            ("wrong_app", "app-a"),
        ),
    ],
)
def test_each_class_of_exposure_has_its_cause(
    tmp_path: Path, records: list[Record], cause: tuple[str, str]
) -> None:
    assert causes(tmp_path, *records) == [cause]


def test_what_went_astray_is_the_misroutings_even_where_a_grant_had_ended(tmp_path: Path) -> None:
    ended = [grant(1, ANN, "b"), event("grant.revoked", grant="g-1"), grant(2, ANN)]
    assert causes(tmp_path, *ended, delivery(1, ANN, host="b")) == [("misrouting", "")]


def test_many_findings_of_one_grant_are_one_cause_and_another_grant_is_another(tmp_path: Path) -> None:
    records = [
        grant(1, ANN),
        grant(2, BOB),
        *(event("grant.revoked", grant=f"g-{number}") for number in (1, 2)),
        *(delivery(number, ANN) for number in range(5)),
        delivery(9, BOB),
    ]
    assert causes(tmp_path, *records) == [("grant_revoked", "g-1"), ("grant_revoked", "g-2")]


def test_what_exposed_nothing_has_no_cause(tmp_path: Path) -> None:
    nothing = delivery(1, ANN, host="b", disclosure="none")
    del nothing["status"]  # type: ignore[attr-defined]
    assert causes(tmp_path, grant(1, ANN), nothing, delivery(2, ANN)) == []


def test_long_names_of_two_things_make_an_id_that_differs(tmp_path: Path) -> None:
    types = [f"{'t' * 60}{end}" for end in ("aa", "bb")]
    records = [grant(1, ANN), *(delivery(n, ANN, event_type=one) for n, one in enumerate(types))]
    found = [of for _, of in causes(tmp_path, *records)]
    assert len(set(found)) == 2
    assert all(len(of) <= 64 for of in found)


def test_classes_of_the_fleet_and_those_by_hand_are_among_the_known() -> None:
    assert FLEET <= CAUSES
    assert BY_HAND <= CAUSES
