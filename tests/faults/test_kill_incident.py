"""SIGKILL at each step of opening incidents, then another process: one incident for each cause, frozen once."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.core.frozen_findings import encode_line
from ledger.core.merkle import hash_leaf, root_of
from ledger.store.finding_sets import ABANDONED_MS
from tests.faults.test_incident_faults import HISTORY
from tests.support.incident_world import BY, IncidentWorld

ROOT = Path(__file__).resolve().parents[2]

STEPS = [
    ("append.judged", 1),
    ("store.append.inserted", 1),
    ("store.append.committed", 1),
    ("append.durable", 1),
    ("incidents.staging", 1),
    ("incidents.lines_staged", 1),
    ("incidents.people_staged", 1),
    ("append.judged", 2),
    ("store.append.committed", 2),
    ("append.durable", 2),
    ("incidents.lines_staged", 2),
    ("append.durable", 4),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("prepared")
    with IncidentWorld(directory, HISTORY):
        return directory


@pytest.mark.parametrize(("step", "nth"), STEPS)
def test_killed_at_a_step_the_next_process_comes_to_the_same(
    prepared: Path, tmp_path: Path, step: str, nth: int
) -> None:
    directory = tmp_path / "ledger"
    shutil.copytree(prepared, directory)
    command = [sys.executable, "-m", "tests.faults.incident_child", str(directory), step, str(nth)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with IncidentWorld(directory) as world:
        world.desk.open_from_findings(world.evidence(), BY)
        assert len(world.entries("incident.opened")) == len(world.entries("incident.assessed")) == 2
        for one in world.book.load_all():
            made = world.book.assessment(one.incident)
            assert made is not None
            assert (one.status, one.revision) == ("assessed", 1)
            lines = world.book.deliveries(one.incident, 1)
            assert made.findings_root == root_of(hash_leaf(encode_line(line)) for line in lines).hex()
        # What was staged and never frozen goes when somebody stages later.
        world.book.stage("i-later", world.clock.ms + ABANDONED_MS + 1)
        with world.service.ledger.engine.connect() as connection:
            query = "SELECT COUNT(DISTINCT staging) FROM service_incident_deliveries"
            assert connection.exec_driver_sql(query).scalar_one() == 2
        report = world.evidence().verified.report
        assert report.exit_status == 1
