"""What follows a reenactment's fault: told to whom, deleted by whom, exported for whom, held against the truth."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ledger.core.history import History
from ledger.core.parties import developer_of_app, is_app_good, is_developer_good
from ledger.reenactment.books import StandingClock
from ledger.reenactment.reenact import Asked
from ledger.settings import load_settings
from ledger.wiring import open_ledger
from tests.support.played import Played

SEEDS = (1, 42)


LATER_MS = 1_538_000_000_000


def is_receiving(history: History, now_ms: int, *, developer: str) -> bool:
    """Whether developer and apps are in the standing that the gate asks for."""
    apps = [app for app in history.apps if developer_of_app(history, app, now_ms) == developer]
    assert apps
    return is_developer_good(history, developer, now_ms) and all(
        is_app_good(history, app, now_ms) for app in apps
    )


@pytest.fixture(scope="module", params=SEEDS)
def directory(request: pytest.FixtureRequest, played: Played) -> Path:
    return played(Asked(request.param, "small", "ip+path"))[0]


def aftermath_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "report.json").read_text())["aftermath"]
    return found


def truth_of(directory: Path) -> list[dict[str, Any]]:
    rows = map(json.loads, (directory / "ground-truth.jsonl").read_text().splitlines())
    return [row for row in rows if row["misdelivered"]]


def test_one_incident_holds_exactly_what_went_astray(directory: Path) -> None:
    after = aftermath_of(directory)
    assert after["incidents"] == 1
    assert after["incident"]["findings"] == after["incident"]["copies"] == len(truth_of(directory))


def test_notices_are_queued_to_exactly_the_people_affected(directory: Path) -> None:
    notices = aftermath_of(directory)["notices"]
    assert (notices["missed"], notices["too_many"]) == (0, 0)
    assert notices["people"] == notices["queued"] == notices["sent"] > 0


def test_exactly_the_wrong_recipients_owe_deletion_and_each_answers_in_its_way(directory: Path) -> None:
    after = aftermath_of(directory)
    owed = {row["developer"]: row for row in after["obligations"]}
    assert set(owed) == {row["received_developer"] for row in truth_of(directory)}
    assert sum(row["deliveries"] for row in owed.values()) == len(truth_of(directory))
    states = {row["character"]: row for row in owed.values()}
    assert states["honest"]["state"] == "ATTESTED"
    assert states["silent"]["state"] == "ESCALATED"
    assert states["silent"]["overdue"][:2] == ["acknowledge", "delete"]
    assert states["silent"]["steps"] == ["remind", "suspend_deliveries", "suspend_app", "tell_authority"]
    assert states["liar"]["state"] == "DISPUTED"
    assert states["liar"]["contradicted_by"] is not None


def test_the_silent_developer_gets_nothing_any_more_and_the_others_do(directory: Path) -> None:
    rows = aftermath_of(directory)["obligations"]
    settings = load_settings({}, str(directory.absolute() / "incident.db"))
    with open_ledger(settings, clock=StandingClock(LATER_MS)) as ledger:
        good = {
            row["developer"]: ledger.sequencer.look(partial(is_receiving, developer=row["developer"]))
            for row in rows
        }
    assert good == {row["developer"]: row["character"] != "silent" for row in rows}


def test_updates_and_the_draft_for_the_authority_are_there(directory: Path) -> None:
    after = aftermath_of(directory)
    draft = json.loads((directory / "art33.json").read_text())
    assert after["updates"] == 2
    assert after["draft"]["filled"] == len(draft["fields"]) > 20
    assert not draft["is_late"]
    assert "Art. 33" in (directory / "art33.html").read_text()


def test_the_recipient_verifies_the_export_with_nothing_but_python(directory: Path) -> None:
    after = aftermath_of(directory)
    assert after["export"]["check_exit_status"] == 0
    vkey = str((directory / "incident.vkey").absolute())
    command = [sys.executable, "-I", "-S", "data/verify/verify.py", "--vkey", vkey, "."]
    done = subprocess.run(command, cwd=directory / "export", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("PROVEN")
    entries = directory / "export" / "data" / "ledger" / "entries.jsonl"
    content = entries.read_bytes()
    try:
        entries.write_bytes(content.replace(b'"disclosure":"confirmed"', b'"disclosure":"possible"', 1))
        again = subprocess.run(command, cwd=directory / "export", capture_output=True, text=True, check=False)
    finally:
        entries.write_bytes(content)
    assert again.returncode == 1
    assert "NOT PROVEN" in again.stdout


def test_the_ledger_of_the_aftermath_verifies_with_the_same_exposures(directory: Path) -> None:
    after = aftermath_of(directory)
    report = json.loads((directory / "report.json").read_text())
    assert after["verify"]["exit_status"] == report["ledger"]["exit_status"] == 1
    assert after["verify"]["codes"]["WRONG_DEVELOPER"] == report["codes"]["WRONG_DEVELOPER"]


def test_the_page_shows_all_of_it(directory: Path) -> None:
    page = (directory / "report.html").read_text()
    for row in aftermath_of(directory)["obligations"]:
        assert f"{row['deliveries']}, {row['state'].lower()}" in page
    assert "art33.html" in page


def test_where_nothing_went_astray_nothing_follows(played: Played) -> None:
    _, report = played(Asked(1, "small", "none"))
    assert report["aftermath"] is None
