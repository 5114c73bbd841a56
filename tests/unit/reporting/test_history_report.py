"""The table and the page of an account's history: nothing in them is run, whatever an id looks like."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ledger.reporting.history_report import render_history, write_history_csv
from ledger.reporting.tables import safe_cell, write_csv

PARTY = {"developer": "dev-a", "app": "app-a", "environment": "prod", "endpoint": "wh-a"}
DOCUMENT: dict[str, Any] = {
    "account": "a_" + "0" * 32,
    "origin": "ledger.example/prod",
    "tree_size": 20,
    "root": "00" * 32,
    "at": "2018-09-10T00:00:00.000Z",
    "map_size": 19,
    "count": 6,
    "first": 0,
    "shown": 6,
    "apps": [
        {
            "grant": "g",
            "developer": "dev-a",
            "app": "app-a",
            "environment": "prod",
            "scopes": ["posts"],
            "data": ["your posts"],
            "granted_at": "2018-01-01T00:00:00.000Z",
            "expires_at": None,
            "ended_at": None,
            "has_access": True,
            "last_used_at": None,
        }
    ],
    "deliveries": [
        {
            "delivery": "d-1",
            "attempt": 1,
            "at": "2018-02-01T00:00:00.000Z",
            "event_type": "tweet_create_events",
            "meant_for": PARTY,
            "received_by": PARTY,
            "evidence": "observed",
            "disclosure": "confirmed",
            "verdict": "AUTHORIZED",
            "code": None,
            "codes": [],
            "severity": None,
            "grant": "g",
            "entries": [5, 6],
        }
    ],
    "refused": [],
    "verdicts": {"AUTHORIZED": 1},
    "shows": ["all of them"],
    "does_not_show": ["what was never recorded"],
}


def changed(**members: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    document["deliveries"][0] |= members
    return document


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", " ="])
def test_no_cell_is_a_formula(start: str) -> None:
    assert safe_cell(f"{start}1+1") == f"'{start}1+1"
    table = write_history_csv(changed(delivery=f"{start}cmd"))
    assert f"'{start}cmd" in table


def test_numbers_and_empty_cells_are_left_as_they_are() -> None:
    assert write_csv(["a", "b", "c"], [[-1, None, "x,y"]]) == 'a,b,c\r\n-1,,"x,y"\r\n'


def test_every_delivery_is_a_row() -> None:
    lines = write_history_csv(DOCUMENT).splitlines()
    assert lines[1] == (
        "d-1,1,2018-02-01T00:00:00.000Z,tweet_create_events,dev-a,app-a,dev-a,app-a,AUTHORIZED,,,confirmed,observed,5 6"
    )


def test_the_page_says_what_became_of_the_data() -> None:
    page = render_history(DOCUMENT)
    assert "Every delivery had a valid permission" in page
    assert "until it is ended" in page
    assert "what was never recorded" in page


def test_an_exposure_is_the_headline_and_ids_are_escaped() -> None:
    page = render_history(
        changed(severity="X", verdict="UNAUTHORIZED", code="NO_GRANT", delivery="<script>x")
    )
    assert "1 delivery reached somebody without a valid permission" in page
    assert "<script>" not in page


def test_a_page_of_a_part_says_so() -> None:
    page = render_history({**DOCUMENT, "shown": 2, "deliveries": []})
    assert "this page tells of 2 of them" in page
    assert "Nothing was delivered" in page
