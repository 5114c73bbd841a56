"""Streams for SIEM systems: each entry once and in order, with a cursor, as OCSF and as CloudEvents."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ledger.core.chain import leaf_hash
from ledger.core.entries import KINDS
from ledger.errors import ForkError, UsageError
from ledger.exports.ocsf import ocsf_event
from ledger.exports.streaming import CursorFile, EventStream
from ledger.ports import StoredEntry
from tests.support.export_world import ExportWorld, export_world, lose_entry

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExportWorld]:
    with export_world(tmp_path_factory.mktemp("streams")) as made:
        yield made


def events(world: ExportWorld, form: str, start: int = 0) -> list[dict[str, Any]]:
    stream = EventStream(world.ledger.store, world.ledger.origin, form)
    data = b"".join(batch.lines for batch in stream.batches(start))
    return [json.loads(line) for line in data.splitlines()]


def test_every_entry_is_an_event_of_ocsf_with_what_its_class_requires(world: ExportWorld) -> None:
    made = events(world, "ocsf")
    rows = list(world.ledger.store.fetch_range(0, world.ledger.store.size()))
    assert [event["raw_data"].encode() for event in made] == [row.data for row in rows]
    for event, row in zip(made, rows, strict=True):
        assert event["category_uid"] == event["class_uid"] // 1000
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert event["metadata"]["version"] == "1.3.0"
        assert event["metadata"]["product"]["vendor_name"]
        assert event["unmapped"]["leaf_hash"] == leaf_hash(row.data).hex()
        assert {"time", "severity_id"} <= event.keys()
        assert {"actor", "api", "src_endpoint"} <= event.keys() or event["class_uid"] != 6003


def row_of(**members: Any) -> tuple[StoredEntry, dict[str, Any]]:
    told = {"actor": "system:audit", "at": 1, "recorded_at": 2, "seq": 7, "via": "system", **members}
    return StoredEntry(7, "uid", bytes(32), json.dumps(told).encode()), told


@pytest.mark.parametrize(
    ("severity", "severity_id", "is_alert"),
    [("I", 5, True), ("X", 4, True), ("P", 3, False), ("A", 2, False)],
)
def test_a_finding_is_a_detection_finding(severity: str, severity_id: int, is_alert: bool) -> None:
    event = ocsf_event(
        "o", *row_of(kind="finding.recorded", code="WRONG_DEVELOPER", severity=severity, tree_size=5)
    )
    assert (event["class_uid"], event["type_uid"], event["severity_id"]) == (2004, 200401, severity_id)
    assert event["is_alert"] is is_alert
    assert event["finding_info"]["uid"] == "o/7"
    assert event["finding_info"]["title"]


@pytest.mark.parametrize(
    ("kind", "status", "type_uid", "status_id"),
    [
        ("incident.opened", None, 200501, 1),
        ("incident.assessed", None, 200502, 2),
        ("incident.status_set", "mitigated", 200502, 2),
        ("incident.status_set", "concluded", 200503, 5),
    ],
)
def test_an_incident_is_an_incident_finding(
    kind: str, status: str | None, type_uid: int, status_id: int
) -> None:
    members = {"kind": kind, "incident": "inc-1", **({} if status is None else {"incident_status": status})}
    event = ocsf_event("o", *row_of(**members))
    assert (event["type_uid"], event["status_id"]) == (type_uid, status_id)
    assert event["finding_info_list"][0]["uid"] == "inc-1"


def test_every_kind_becomes_an_event() -> None:
    for kind in KINDS:
        row, members = row_of(kind=kind, incident="inc-1", code="NO_GRANT", severity="X")
        assert ocsf_event("o", row, members)["class_uid"] in (2004, 2005, 6003)


def test_every_entry_is_a_cloud_event(world: ExportWorld) -> None:
    made = events(world, "cloudevents")
    assert [event["data"]["seq"] for event in made] == list(range(world.ledger.store.size()))
    assert len({(event["source"], event["id"]) for event in made}) == len(made)
    assert [event["sequence"] for event in made] == sorted(event["sequence"] for event in made)
    for event in made:
        assert event["specversion"] == "1.0"
        assert all(re.fullmatch("[a-z0-9]+", name) for name in event)
        assert None not in event.values()


def test_a_stream_begins_where_it_is_told(world: ExportWorld) -> None:
    assert [event["metadata"]["sequence"] for event in events(world, "ocsf", 5)][:2] == [5, 6]
    assert events(world, "ocsf", world.ledger.store.size()) == []


def test_a_cursor_behind_the_end_of_the_log_is_of_another_one(world: ExportWorld) -> None:
    with pytest.raises(UsageError, match="of another log"):
        events(world, "ocsf", world.ledger.store.size() + 1)


def test_an_entry_that_the_database_lost_is_not_passed_over(tmp_path: Path) -> None:
    with export_world(tmp_path) as damaged:
        lose_entry(damaged, 4)
        with pytest.raises(ForkError, match="entry 4 is not in the database"):
            events(damaged, "cloudevents")


def test_a_format_that_is_none_is_refused(world: ExportWorld) -> None:
    with pytest.raises(UsageError):
        EventStream(world.ledger.store, world.ledger.origin, "cef")


def test_a_cursor_is_of_one_log_and_is_read_strictly(tmp_path: Path) -> None:
    cursor = CursorFile(tmp_path / "cursor", "ledger.example/a")
    assert cursor.load() is None
    cursor.save(17)
    assert cursor.load() == 17
    with pytest.raises(UsageError, match="the cursor of the log"):
        CursorFile(tmp_path / "cursor", "ledger.example/b").load()
    (tmp_path / "cursor").write_bytes(b'{"next":1}')
    with pytest.raises(UsageError, match="no cursor"):
        cursor.load()


def test_killed_at_any_moment_it_loses_nothing_and_repeats_at_most_a_batch(tmp_path: Path) -> None:
    with export_world(tmp_path) as made:
        size = made.ledger.store.size()
    out, cursor = tmp_path / "events.jsonl", tmp_path / "cursor"
    code = (
        "from ledger.exports import streaming; streaming.BATCH = 1; from ledger.cli.app import main; main()"
    )
    arguments = [
        "--db",
        str(tmp_path / "ledger.db"),
        "stream",
        "--format",
        "cloudevents",
        "--cursor",
        str(cursor),
    ]
    runs = 0
    while True:
        runs += 1
        with out.open("ab") as appended:
            process = subprocess.Popen(
                [sys.executable, "-c", slow(code, runs), *arguments],
                stdout=appended,
                cwd=REPOSITORY,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            )
            assert process.wait(60) in (0, -signal.SIGKILL)
        if process.returncode == 0:
            break
        assert runs < 60
    lines = out.read_bytes().split(b"\n")
    seen = [int(json.loads(line)["id"]) for line in lines if line]
    assert sorted(set(seen)) == list(range(size))
    assert runs > 3
    assert len(seen) - size <= runs
    # Within each run the order is the log's: a step back is a repeat of what was not yet counted as taken.
    assert all(later - earlier in (0, 1) for earlier, later in pairwise(seen))


def slow(code: str, run: int) -> str:
    """``code`` in a process that is killed at the n-th event, before or after the cursor moves."""
    when = "before" if run % 2 else "after"
    return (
        "import os, signal\n"
        "from ledger.exports import streaming\n"
        "save, count = streaming.CursorFile.save, [0]\n"
        "def dying(self, following):\n"
        "    count[0] += 1\n"
        f"    die = count[0] == 3 and {run} < 8\n"
        f"    if die and {when!r} == 'before': os.kill(os.getpid(), signal.SIGKILL)\n"
        "    save(self, following)\n"
        "    if die: os.kill(os.getpid(), signal.SIGKILL)\n"
        "streaming.CursorFile.save = dying\n"
        "read = streaming.EventStream.read\n"
        "streaming.EventStream.read = lambda self, start, limit=1: read(self, start, 1)\n"
        f"{code}\n"
    )
