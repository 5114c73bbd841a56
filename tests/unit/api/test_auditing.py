"""The audit loop says what it found, and what to do about it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from api.auditing import Auditor
from api.metrics import Metrics
from ledger.errors import StoreError
from tests.support.service_world import ServiceWorld


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    with ServiceWorld(tmp_path) as world:
        yield Metrics(world.service)


def auditor(metrics: Metrics, status: int, severities: str) -> Auditor:
    report = {"tree_size": 7, "findings": [{"severity": one} for one in severities]}

    def run(_: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], status, json.dumps(report).encode(), b"it said this")

    return Auditor("sqlite:///x", metrics, run)


@pytest.mark.parametrize(("severities", "told"), [("XXP", "grantledger incident open"), ("P", None)])
def test_exposures_point_at_the_command_that_opens_incidents(
    metrics: Metrics, severities: str, told: str | None
) -> None:
    with capture_logs() as logged:
        assert auditor(metrics, 1, severities).audit() == 1
    (line,) = [one for one in logged if one["event"] == "audit.done"]
    assert (line.get("next"), line["tree_size"]) == (told, 7)


def test_a_verifier_that_could_not_work_is_a_failure_and_no_clean_report(metrics: Metrics) -> None:
    with pytest.raises(StoreError, match="status 3: it said this"):
        auditor(metrics, 3, "").audit()
