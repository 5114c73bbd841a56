"""``grantledger drill`` as a process: a real service, a real misdelivery, and who noticed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.test_serve import listening, serving
from tests.support.cli_process import ROOT, Done, Workplace
from tests.support.postgresql import PostgresqlServer
from tests.support.service_world import ServiceWorld, free_port, wait_for

SLACK_SECONDS = "15"
"""Within which everything has to be noticed here: a machine that runs other tests beside is slow. The figure itself is
measured by ``scripts/bench drill``."""

CODES = {
    "observed": {"live audit": "WRONG_DEVELOPER", "canary": "CANARY_LEAKED", "verify": "WRONG_DEVELOPER"},
    "lie": {
        "receipts": "RECEIPT_WITHOUT_DELIVERY",
        "canary": "CANARY_LEAKED",
        "verify": "RECEIPT_WITHOUT_DELIVERY",
    },
    "unrecorded": {
        "receipts": "RECEIPT_WITHOUT_DELIVERY",
        "canary": "CANARY_LEAKED",
        "verify": "RECEIPT_WITHOUT_DELIVERY",
    },
}


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def any_world(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_server: PostgresqlServer
) -> Iterator[ServiceWorld]:
    if request.param == "sqlite":
        with ServiceWorld(tmp_path) as made:
            yield made
    else:
        with (
            postgresql_server.database(with_tables=False) as name,
            ServiceWorld(tmp_path, database=postgresql_server.url(name)) as made,
        ):
            yield made


def rows(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["detector"]: row for row in report["detectors"]}


def processes_on(database: Path) -> list[int]:
    """The processes of this machine whose ledger is ``database``."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if (
                process.name.isdecimal()
                and f"GRANTLEDGER_DB={database}\0".encode() in (process / "environ").read_bytes()
            ):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def entries_of(world: ServiceWorld) -> list[dict[str, Any]]:
    store = world.service.ledger.store
    return [json.loads(row.data) for row in store.fetch_range(0, store.size())]


def drill_here(world: ServiceWorld, base_url: str, *arguments: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "ledger.cli", "drill", "--here", "--service", base_url, "--json", *arguments],
        cwd=ROOT,
        env={**os.environ, **world.environment},
        capture_output=True,
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return Done(done.returncode, done.stdout, done.stderr.decode())


@pytest.mark.parametrize("kind", CODES)
def test_each_detector_that_should_notices_what_went_astray_and_when_is_measured(
    place: Workplace, kind: str
) -> None:
    done = place.run("drill", "--kind", kind, "--within", SLACK_SECONDS, "--json")
    assert done.status == 0, done.out + done.err.encode()
    report = done.json()
    noticed = {name: row for name, row in rows(report).items() if row["is_detected"]}
    assert {name: row["code"] for name, row in noticed.items()} == CODES[kind]
    assert all(row["seconds"] > 0 for row in noticed.values())
    assert all(row["finding"]["entries"] for row in noticed.values())
    assert (report["meant_for"], report["went_to"]) == ("drill-developer-a", "drill-developer-b")
    assert report["observed"]["sni"] == "drill-b.example"
    assert report["drill"].startswith("drill-")
    assert report["verify"]["exit_status"] == 1


def test_nothing_is_left_of_a_drill_unless_it_is_kept(place: Workplace) -> None:
    scratch = place.directory / "scratch"
    scratch.mkdir()
    done = place.run("drill", "--within", SLACK_SECONDS, settings={"TMPDIR": str(scratch)})
    assert done.status == 0, done.err
    assert list(scratch.iterdir()) == []
    assert "nothing is left of it" in done.text


def test_a_drill_that_is_kept_is_a_ledger_that_anybody_can_verify(place: Workplace) -> None:
    kept = place.directory / "kept"
    report = place.run("drill", "--within", SLACK_SECONDS, "--keep", str(kept), "--json").json()
    verified = place.run("verify", "--db", str(kept / "drill.db"), "--json")
    assert verified.status == 1
    (found,) = [one for one in verified.json()["findings"] if one.get("delivery") == report["drill"]]
    assert found["code"] == "WRONG_DEVELOPER"
    assert found["actual"]["developer"] == "drill-developer-b"


def test_a_directory_that_holds_something_is_left_alone(place: Workplace) -> None:
    (place.directory / "letter").write_text("mine")
    done = place.run("drill", "--keep", str(place.directory))
    assert (done.status, (place.directory / "letter").read_text()) == (3, "mine")


def test_a_service_whose_audit_is_off_is_told_of_and_fails(place: Workplace) -> None:
    settings = {"GRANTLEDGER_FOLLOW_SECONDS": "0"}
    done = place.run("drill", "--timeout", "5", "--json", settings=settings)
    assert done.status == 1
    found = rows(done.json())
    assert not any(found[one]["is_detected"] for one in ("live audit", "receipts", "canary"))
    assert "live audit is off" in found["live audit"]["note"]
    assert found["verify"]["is_detected"]


def test_what_is_noticed_too_late_fails(place: Workplace) -> None:
    done = place.run("drill", "--within", "0.001", "--json")
    assert done.status == 1
    found = rows(done.json())["live audit"]
    assert found["is_detected"]
    assert not found["is_in_time"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_process_behind(place: Workplace, stop: signal.Signals) -> None:
    database = place.directory / "kept" / "drill.db"
    process = place.start("drill", "--within", "600", "--timeout", "600", "--keep", "kept")
    try:
        wait_for(lambda: processes_on(database), 60)
        # By then it may be starting, or at work, or waiting: it is to end whenever it is told to.
        time.sleep(1)
        process.send_signal(stop)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: not processes_on(database))
    assert processes_on(database) == []


def test_in_the_ledger_that_is_served_it_says_what_that_means_and_does_nothing(world: ServiceWorld) -> None:
    with serving(world, "--json") as process:
        base_url = listening(process)
        size = world.service.ledger.store.size()
        done = drill_here(world, base_url)
        assert done.status == 3
        assert "cannot be undone" in done.err
        assert "--yes" in done.err
        new = [entry["kind"] for entry in entries_of(world)[size:]]
        assert set(new) <= {"index.sealed"}


def test_in_the_ledger_that_is_served_it_is_noticed_by_the_service_that_runs_again_and_again(
    any_world: ServiceWorld,
) -> None:
    world = any_world
    with serving(world, "--json", port=free_port()) as process:
        base_url = listening(process)
        for kind in ("observed", "unrecorded"):
            done = drill_here(world, base_url, "--yes", "--within", SLACK_SECONDS, "--kind", kind)
            assert done.status == 0, done.out + done.err.encode()
            assert not done.json()["is_own_ledger"]
        assert httpx.get(f"{base_url}/readyz").status_code == 200
    registry, now_ms = world.service.registry, world.service.clock.now_ms()
    made = [entry["developer"] for entry in entries_of(world) if entry["kind"] == "developer.registered"]
    assert made == ["drill-developer-a", "drill-developer-b"]
    assert [one for app in ("drill-app-a", "drill-app-b") for one in registry.load_webhooks(app)] == []
    assert all((key.revoked_at_ms or now_ms + 1) <= now_ms for key in world.service.credentials.load_keys())
    assert [entry["kind"] for entry in entries_of(world)].count("account.deleted") == 2
    report = world.verify()
    assert report.codes().keys() >= {"WRONG_DEVELOPER", "CANARY_LEAKED", "RECEIPT_WITHOUT_DELIVERY"}
    assert report.exit_status == 1


def test_without_a_service_there_is_no_drill_in_its_ledger(world: ServiceWorld) -> None:
    done = drill_here(world, f"http://127.0.0.1:{free_port()}", "--yes")
    assert done.status == 3
    assert "no service answers" in done.err


def test_a_service_of_another_log_is_refused(world: ServiceWorld, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with ServiceWorld(tmp_path / "other") as other, serving(other, "--json", port=free_port()) as process:
        done = drill_here(world, listening(process), "--yes")
        assert done.status == 3
        assert "keeps another log" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "small"), "there is no drill"),
        (("--within", "30", "--timeout", "5"), "--within is above 0"),
        (("--db", "ledger.db"), "say --here"),
        (("--service", "http://127.0.0.1:8400"), "say --here"),
    ],
)
def test_what_cannot_be_meant_is_a_clear_error(
    place: Workplace, arguments: tuple[str, ...], said: str
) -> None:
    done = place.run("drill", *arguments)
    assert done.status == 3
    assert said in done.err
