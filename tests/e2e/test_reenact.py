"""The reenactment from end to end: the fault over real TLS, the ledger made of it, and who would have noticed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import UsageError
from ledger.reenactment.auditors import Score
from ledger.reenactment.reenact import Asked, reenact
from tests.support.cli_process import Workplace
from tests.support.played import CASES, Played, ignore, name_of

FAULTY = [case for case in CASES if case.fault != "none"]
PUBLISHED = [case for case in CASES if case.fault == "ip+path"]
RIGHT = CASES[-1]


def auditor(report: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in report["auditors"] if row["id"] == name)
    return found


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def misdelivered_in(directory: Path) -> set[tuple[str, int]]:
    rows = rows_of(directory / "ground-truth.jsonl")
    return {(row["delivery"], row["attempt"]) for row in rows if row["misdelivered"]}


def exposures_in(findings: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return sorted((row["delivery"], row["attempt"]) for row in findings if row["severity"] == "X")


def lasting(report: dict[str, Any]) -> dict[str, Any]:
    """What of a report does not depend on the machine's speed, nor on where it was written."""
    places = ("directory", "database", "verify_command")
    ledger = {name: value for name, value in report["ledger"].items() if name not in places}
    return {**report, "ledger": ledger, "runtime": None}


@pytest.mark.parametrize("asked", FAULTY, ids=name_of)
def test_the_observed_auditor_names_exactly_what_went_astray(played: Played, asked: Asked) -> None:
    _, report = played(asked)
    observed = auditor(report, "observed")
    assert report["truth"]["misdelivered"] >= 5
    assert observed["true_positives"] == report["truth"]["misdelivered"]
    assert (observed["precision"], observed["recall"]) == (1.0, 1.0)


def test_without_a_fault_the_observed_auditor_names_nothing(played: Played) -> None:
    _, report = played(RIGHT)
    observed = auditor(report, "observed")
    assert (report["truth"]["misdelivered"], observed["flagged"]) == (0, 0)
    assert (observed["precision"], observed["recall"]) == (None, None)
    assert report["first"]["finding"] is None
    assert report["developers"] == []


@pytest.mark.parametrize("asked", CASES, ids=name_of)
def test_to_the_auditor_of_intentions_everything_looks_right(played: Played, asked: Asked) -> None:
    _, report = played(asked)
    intended = auditor(report, "intended")
    assert intended["flagged"] == 0
    assert intended["false_negatives"] == report["truth"]["misdelivered"]


@pytest.mark.parametrize("asked", PUBLISHED, ids=name_of)
def test_the_published_circumstances_match_all_that_went_astray_and_more(
    played: Played, asked: Asked
) -> None:
    _, report = played(asked)
    circumstances = auditor(report, "circumstances")
    assert circumstances["recall"] == 1.0
    assert 0.5 < circumstances["precision"] < 1.0
    assert circumstances["false_positives"] == report["exposure"]["possible"]["deliveries"]


def test_circumstances_cannot_tell_a_right_dispatcher_from_a_wrong_one(played: Played) -> None:
    _, report = played(RIGHT)
    assert auditor(report, "circumstances")["flagged"] > 0
    assert report["exposure"]["definite"] == {"accounts": 0, "subjects": 0, "deliveries": 0}


@pytest.mark.parametrize("asked", CASES, ids=name_of)
def test_definite_exposure_is_the_truth(played: Played, asked: Asked) -> None:
    _, report = played(asked)
    truth, definite = report["truth"], report["exposure"]["definite"]
    assert definite["deliveries"] == truth["misdelivered"]
    assert (definite["accounts"], definite["subjects"]) == (truth["accounts"], truth["subjects"])
    assert sum(row["received_wrongly"] for row in report["developers"]) == truth["misdelivered"]
    assert sum(row["misdelivered"] for row in report["timeline"]) == truth["misdelivered"]
    assert report["exposure"]["active_accounts"] == report["world"]["active_accounts"]


@pytest.mark.parametrize("asked", CASES, ids=name_of)
def test_behind_the_gate_nothing_goes_astray_and_verify_is_content(played: Played, asked: Asked) -> None:
    _, report = played(asked)
    gate = report["gate"]
    assert (gate["misdelivered"], gate["findings"], gate["exit_status"]) == (0, 0, 0)
    assert gate["codes"].keys() <= {"ENDPOINT_COLLISION", "DUPLICATE_DELIVERY"}
    assert gate["attempted"] == gate["settled"] + gate["refused"]
    assert gate["refused"] == sum(gate["refusals_by_code"].values())


def test_the_gate_lets_through_what_the_platforms_own_table_would(played: Played) -> None:
    _, report = played(RIGHT)
    assert report["gate"]["settled"] == report["traffic"]["deliveries"] + report["traffic"]["failed"]


@pytest.mark.parametrize("asked", FAULTY, ids=name_of)
def test_the_first_finding_comes_with_the_record_of_the_first_misdelivery(
    played: Played, asked: Asked
) -> None:
    directory, report = played(asked)
    wrong = [row for row in rows_of(directory / "ground-truth.jsonl") if row["misdelivered"]]
    first = min(wrong, key=lambda row: row["started_at"])
    assert report["first"]["misdelivery_at"] == first["started_at"]
    assert report["first"]["finding_at"] == min(row["ended_at"] for row in wrong)
    assert 0 < report["first"]["seconds_to_finding"] < 1


@pytest.mark.parametrize("asked", PUBLISHED, ids=name_of)
def test_every_misdelivery_was_announced_by_a_collision_before(played: Played, asked: Asked) -> None:
    _, report = played(asked)
    days = {}
    announced = {frozenset(row["developers"]): row for row in report["collisions"]}
    for row in report["developers"]:
        for meant_for in row["meant_for"]:
            pair = frozenset((row["developer"], meant_for))
            days[pair] = announced[pair]["before_first_misdelivery_days"]
    # A name that has moved is first met where it leads to now by a delivery, which may be the one that goes astray.
    assert min(days.values()) >= 0
    assert max(days.values()) > 1


@pytest.mark.parametrize("asked", CASES, ids=name_of)
def test_verify_finds_the_truth_in_the_ledger_that_is_left(
    played: Played, asked: Asked, tmp_path: Path
) -> None:
    directory, report = played(asked)
    done = Workplace(tmp_path).run("verify", "--db", str(directory / "ledger.db"), "--json")
    assert done.status == report["ledger"]["exit_status"] == (1 if asked in FAULTY else 0)
    found = done.json()
    assert exposures_in(found["findings"]) == sorted(misdelivered_in(directory))
    assert found["findings"] == rows_of(directory / "findings.jsonl")
    assert (found["tree_size"], found["root"]) == (report["ledger"]["tree_size"], report["ledger"]["root"])


def test_the_published_log_tells_the_same(played: Played, tmp_path: Path) -> None:
    directory, _ = played(CASES[0])
    public = directory / "public"
    done = Workplace(tmp_path).run(
        "verify", "--tiles", str(public), "--vkey", str(public / "log.vkey"), "--json"
    )
    assert done.status == 1
    assert done.json()["findings"] == rows_of(directory / "findings.jsonl")


@pytest.mark.parametrize("asked", [CASES[0], RIGHT], ids=name_of)
def test_the_page_needs_nothing_but_itself(played: Played, asked: Asked) -> None:
    directory, report = played(asked)
    page = (directory / "report.html").read_text("utf-8")
    assert report["ledger"]["root"] in page
    assert not re.search(r"<(script|img|iframe|object|embed|source)\b", page)
    assert not re.search(r"@import|\bsrc=", page)
    assert all(target.startswith(("#", "data:")) for target in re.findall(r"url\(['\"]?([^)]*)", page))
    assert all(target.startswith(("#", "data:")) for target in re.findall(r'href="([^"]*)"', page))


def test_a_reenactment_that_broke_off_is_replaced_by_an_equal_one(played: Played, tmp_path: Path) -> None:
    _, report = played(CASES[0])
    directory = tmp_path / "out"
    directory.mkdir()
    (directory / "reenactment.json").write_text('{"reenactment": 1}')
    (directory / "ledger.db").write_bytes(b"half a page")
    (directory / "public").mkdir()
    (directory / "notes.txt").write_text("mine")
    again = reenact(CASES[0], directory, ignore)
    assert json.loads((directory / "report.json").read_text()) == again
    assert lasting(again) == lasting(report)
    assert (directory / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("content", ["", "not JSON", "[1]", '{"reenactment": 2}'])
def test_a_directory_that_holds_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "ledger.db").write_text("precious")
    (tmp_path / "reenactment.json").write_text(content)
    with pytest.raises(UsageError, match="--out"):
        reenact(CASES[0], tmp_path, ignore)
    assert (tmp_path / "ledger.db").read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_is_no_directory_to_write_to(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="not a directory"):
        reenact(CASES[0], tmp_path / "out", ignore)


def test_a_ratio_of_nothing_is_none() -> None:
    none = Score("observed", 10, frozenset(), frozenset())
    assert (none.precision, none.recall) == (None, None)


def test_an_attempt_named_wrongly_costs_precision_and_one_missed_recall() -> None:
    half = Score("observed", 10, frozenset({("d-1", 1), ("d-2", 1)}), frozenset({("d-2", 1), ("d-2", 2)}))
    assert (half.precision, half.recall) == (0.5, 0.5)


def test_the_command_writes_into_its_directory_and_nowhere_else(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path)
    done = workplace.good("reenact", "--scale", "small", "--fault", "ip", "--no-serve")
    assert "100%" in done.text
    assert "grantledger verify --db reenactment-out/ledger.db" in done.text
    assert [path.name for path in tmp_path.iterdir()] == ["reenactment-out"]


@pytest.mark.parametrize(
    "arguments",
    [("--fault", "dns"), ("--scale", "huge"), ("--seed", "-1"), ("--db", "elsewhere.db")],
    ids=lambda words: words[0],
)
def test_arguments_that_mean_nothing_are_refused_before_anything_is_written(
    tmp_path: Path, arguments: tuple[str, str]
) -> None:
    done = Workplace(tmp_path).run("reenact", *arguments)
    assert done.status == 3
    assert list(tmp_path.iterdir()) == []
