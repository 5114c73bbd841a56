"""Incidents by commands as processes: from findings to a page, a draft and a public update (sections 5.1 and 5.4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_process import Workplace
from tests.support.incident_world import ORIGIN, delivery, grant, parties

HISTORY = [
    *parties("a", "b"),
    grant(1, "1001"),
    grant(2, "1002"),
    delivery(1, "1001", host="b"),
    delivery(2, "1002", host="b"),
    delivery(3, "1002"),
]
WORDS = {"risk_level": "high", "nature": "confidentiality"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A ledger in which two people's messages went to the wrong developer, and the incident of that."""
    made = Workplace(tmp_path_factory.mktemp("incident"))
    (made.directory / "records.jsonl").write_text("".join(json.dumps(one) + "\n" for one in HISTORY))
    for command in (
        ("init", "--origin", ORIGIN),
        ("import", "records.jsonl"),
        ("policy", "defaults", "--set"),
        ("incident", "open", "--by", "eve"),
    ):
        done = made.run(*command)
        assert done.status == 0, done.err
    return made


def incident_of(place: Workplace) -> str:
    (one,) = place.run("incident", "list", "--json").json()["incidents"]
    return str(one["incident"])


def shown(place: Workplace) -> dict[str, Any]:
    return place.run("incident", "show", incident_of(place), "--json").json()


def test_opening_again_changes_nothing(place: Workplace) -> None:
    (one,) = place.run("incident", "open", "--json").json()["incidents"]
    assert (one["is_new"], one["is_assessed"], one["revision"]) == (False, False, 1)


def test_an_incident_is_drawn_for_people(place: Workplace) -> None:
    done = place.run("incident", "show", incident_of(place))
    assert done.status == 0
    for told in (
        "misrouting",
        "4 altogether",
        "dev-b",
        "WRONG_DEVELOPER",
        "authority_notice",
        "operator:eve",
    ):
        assert told in done.text
    assert "#####" in done.text


def test_the_document_counts_what_was_frozen(place: Workplace) -> None:
    made = shown(place)["assessment"]
    assert made["accounts"] == {"definite": 2, "possible": 0}
    assert (made["people"], made["copies"], made["share_of_active_accounts"]) == (4, 2, 1.0)


def test_the_page_is_one_file(place: Workplace) -> None:
    done = place.run("incident", "show", incident_of(place), "--html", "incident.html")
    assert done.status == 0
    page = (place.directory / "incident.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "dev-b" in page


def test_a_page_is_never_written_over_the_ledger(place: Workplace) -> None:
    done = place.run("incident", "show", incident_of(place), "--html", "grantledger.db")
    assert done.status == 3
    assert "a file of the ledger itself" in done.err


def test_the_draft_says_what_is_missing_until_it_is_said(place: Workplace) -> None:
    name = incident_of(place)
    draft = place.run("incident", "art33", name, "--json")
    assert draft.status == 1
    missing = [one["id"] for one in draft.json()["missing"]]
    assert "controller" in missing
    (place.directory / "words.txt").write_text("as the file says\n")
    for one in draft.json()["missing"]:
        field = one["hint"].split()[4]
        done = place.run("incident", "describe", name, field, WORDS.get(field, "@words.txt"))
        assert done.status == 0, done.err
    again = place.run("incident", "art33", name, "--html", "draft.html")
    assert again.status == 0, again.text
    assert "as the file says" in (place.directory / "draft.html").read_text()


def test_an_update_and_a_notification_are_recorded(place: Workplace) -> None:
    name = incident_of(place)
    assert place.run("incident", "update", name, "-", "--json", stdin=b"all is well\n").json()["number"] == 1
    assert place.run("incident", "told", name, "--document", "reference 7").status == 0
    document = shown(place)
    assert document["updates"][0]["text"] == "all is well"
    assert [(one["policy"], one["state"]) for one in document["deadlines"]] == [
        ("authority_notice", "done"),
        ("people_notice", "open"),
    ]
    assert place.run("incident", "deadlines", name).status == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("incident", "show", "i-none"), "grantledger incident list"),
        (("incident", "open", "--cause", "bad_luck"), "misrouting"),
        (("incident", "open", "--of", "dev-x"), "--cause"),
        (("incident", "open", "--circumstances", "full-moon"), "same-worker"),
        (("incident", "describe", "i-none", "title", "@none.txt"), "none.txt cannot be read"),
        (("policy", "set", "coffee_break", "1h"), "authority_notice"),
        (("policy", "set", "authority_notice", "soon"), "such as 72h"),
    ],
)
def test_an_error_names_the_way_out(place: Workplace, arguments: tuple[str, ...], told: str) -> None:
    done = place.run(*arguments)
    assert done.status == 3
    assert told in done.err
    assert "Traceback" not in done.err


def test_a_verification_that_finds_exposures_says_how_to_open_incidents(place: Workplace) -> None:
    done = place.run("verify", "--no-remember")
    assert done.status == 1
    assert "grantledger incident open" in done.err
    assert "incident open" not in place.run("verify", "--no-remember", "--json").err


def test_what_would_be_opened_is_said_before_anything_is(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    (place.directory / "records.jsonl").write_text("".join(json.dumps(one) + "\n" for one in HISTORY))
    assert place.run("init", "--origin", ORIGIN).status == 0
    assert place.run("import", "records.jsonl").status == 0
    done = place.run("incident", "open", "--dry-run")
    assert (done.status, "would be opened" in done.text, "2 findings" in done.text) == (0, True, True)
    assert place.run("incident", "list", "--json").json()["incidents"] == []
    assert "--cause" in place.run("incident", "open", "--dry-run", "--cause", "reported").err


def test_concluding_says_what_is_still_to_be_done(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    (place.directory / "records.jsonl").write_text("".join(json.dumps(one) + "\n" for one in HISTORY))
    for command in (
        ("init", "--origin", ORIGIN),
        ("import", "records.jsonl"),
        ("policy", "defaults", "--set"),
        ("incident", "open"),
    ):
        assert place.run(*command).status == 0
    done = place.run("incident", "status", incident_of(place), "concluded")
    assert done.status == 0
    assert "still open: authority_notice gdpr" in done.err
    assert "still open: dev-b was not asked to delete anything" in done.err


def test_nothing_to_open_is_said(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    assert place.run("init", "--origin", ORIGIN).status == 0
    done = place.run("incident", "open")
    assert done.status == 0
    assert "no exposure was found" in done.text
