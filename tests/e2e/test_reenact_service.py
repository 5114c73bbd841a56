"""The reenactment's traffic through a real service: what had to arrive arrived, at whom it had to, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger.cli.exits import UNUSABLE, status_of
from ledger.errors import StoreError, UsageError
from ledger.reenactment.places import claim
from ledger.reenactment.reenact import Asked
from ledger.reenactment.service_process import ServiceProcess, ended_by_sigterm
from tests.support.cli_process import ROOT, Workplace
from tests.support.service_play import play, week
from tests.support.service_world import wait_for

SMALL = ("reenact", "--through-service", "--scale", "small", "--seed", "3")


def services_of(pid: int) -> list[int]:
    """The services that ``pid`` started and that still run."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for path in found for child in path.read_text().split()]
    return [int(child) for child in children if b"\0serve\0" in Path(f"/proc/{child}/cmdline").read_bytes()]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The small reenactment by the command, once for all: its directory, and what it printed."""
    place = tmp_path_factory.mktemp("small")
    done = Workplace(place).good(*SMALL, "--json")
    return place / "reenactment-out", done.json()


def test_what_had_to_arrive_arrived_and_nothing_else(small: tuple[Path, dict[str, Any]]) -> None:
    _, report = small
    service = report["service"]
    assert service["expected"] > 200
    assert (service["arrived"], service["lost"], service["misdelivered"]) == (service["expected"], 0, 0)
    assert service["events"] == report["traffic"]["events"]
    assert service["is_right"] is True


def test_the_ledger_has_an_attempt_for_every_request_and_an_end_for_every_attempt(
    small: tuple[Path, dict[str, Any]],
) -> None:
    directory, report = small
    service, rows = report["service"], rows_of(directory / "service-truth.jsonl")
    assert len(rows) == service["requests"] <= service["attempted"]
    assert service["attempted"] == service["answered"] + service["failed"]
    # An answer that comes too late is one that the service has not seen.
    assert service["answered"] <= sum(row["status"] == 200 for row in rows)


def test_every_body_was_read_by_a_developer_that_it_was_meant_for(small: tuple[Path, dict[str, Any]]) -> None:
    directory, _ = small
    rows = rows_of(directory / "service-truth.jsonl")
    assert all(row["received_developer"] in row["meant_for"] and not row["misdelivered"] for row in rows)


def test_the_fault_misdelivered_what_the_service_did_not(small: tuple[Path, dict[str, Any]]) -> None:
    _, report = small
    assert report["truth"]["misdelivered"] > 0 == report["service"]["misdelivered"]


def test_the_gate_of_the_service_refused_exactly_what_it_had_to(small: tuple[Path, dict[str, Any]]) -> None:
    _, report = small
    service = report["service"]
    assert service["refused"] == sum(service["refusals_by_code"].values()) > 0
    assert service["decided_otherwise"] == 0


def test_the_ledger_that_the_service_left_verifies(
    small: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    directory, report = small
    done = Workplace(tmp_path).run("verify", "--db", str(directory / "service.db"), "--json")
    assert (done.status, report["service"]["exit_status"]) == (0, 0)
    assert done.json()["root"] == report["service"]["root"]


def test_the_page_tells_of_the_service_beside_the_fault(small: tuple[Path, dict[str, Any]]) -> None:
    directory, report = small
    page = (directory / "report.html").read_text("utf-8")
    assert 'id="table-service"' in page
    assert report["service"]["verify_command"] in page
    assert json.loads((directory / "report.json").read_text()) == report


def test_on_a_server_s_database_a_week_of_everything_comes_out_exactly(
    tmp_path: Path, postgresql_url: str
) -> None:
    section = play(claim(tmp_path / "out", {}), week(), postgresql_url)
    assert section["is_right"] is True
    # 2 single messages, 20 of the burst, two posts at b.
    assert (section["expected"], section["arrived"], section["misdelivered"]) == (24, 24, 0)
    assert section["failed"] >= 3
    assert section["starts"] == 2
    # A's messages at b, which has posts only: 12, one of them when b is all that is left. B's message after the change. What
    # came after the end of g-a: the news of it, a message, a post. C's message after the expiry.
    assert section["refused"] == 12 + 1 + 3 + 1


def test_a_database_that_holds_a_ledger_is_not_taken(tmp_path: Path, postgresql_url: str) -> None:
    place = Workplace(tmp_path)
    place.good("init", "--db", postgresql_url)
    with pytest.raises(UsageError, match="empty database"):
        play(claim(tmp_path / "out", {}), week(), postgresql_url)


def test_a_service_that_dies_in_the_middle_is_a_clear_error(tmp_path: Path) -> None:
    def kill(done: int, total: int) -> None:
        if done == total // 2:
            (service,) = services_of(os.getpid())
            os.kill(service, signal.SIGKILL)

    with pytest.raises(StoreError, match=r"ended in the middle of the play \(signal 9\)") as caught:
        play(claim(tmp_path / "out", {}), week(), playing=kill)
    assert status_of(caught.value) == UNUSABLE
    assert str(tmp_path / "out" / "service.log") in str(caught.value)
    assert "worker.started" in str(caught.value)


def test_an_interrupted_play_leaves_no_service_behind(tmp_path: Path) -> None:
    log = tmp_path / "out" / "service.log"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.service_play", str(tmp_path / "out"), "5000"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: log.exists() and '"listening"' in log.read_text(), 180)
    (service,) = services_of(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(180) != 0
    assert services_of(process.pid) == []
    assert not Path(f"/proc/{service}").exists()


def test_a_play_that_is_terminated_ends_as_an_interrupted_one() -> None:
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        signal.raise_signal(signal.SIGTERM)


def test_a_service_that_does_not_start_says_why(tmp_path: Path) -> None:
    process = ServiceProcess({"GRANTLEDGER_DB": str(tmp_path / "nothing.db")}, tmp_path / "service.log")
    with process, pytest.raises(StoreError, match="did not start") as caught:
        process.start("a.example=127.0.0.1:8443")
    assert str(tmp_path / "service.log") in str(caught.value)
    assert "nothing.db" in str(caught.value)


@pytest.mark.parametrize(
    ("through_service", "database", "said"),
    [(False, "postgresql://a@b/c", "--through-service"), (True, "other.db", "PostgreSQL")],
)
def test_a_service_s_database_that_means_nothing_is_refused(
    through_service: bool, database: str, said: str
) -> None:
    asked = Asked(through_service=through_service, service_database=database)
    with pytest.raises(UsageError, match=said):
        asked.check()
