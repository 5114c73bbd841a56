"""One suite for all engines: the same log, the same report but for the engine's name (verdict rules, section 2.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.engines import pool
from ledger.engines.duck import DuckEngine
from ledger.engines.scalar import ScalarEngine
from ledger.ports import Engine
from tests.conformance.forged_scenarios import CHUNK, SCENARIOS
from tests.support.forged_logs import (
    MemoryLog,
    add_seal,
    encode_log,
    faults_of,
    open_log,
    pad,
    publish,
    report_bytes,
    sign,
    verify_directory,
    verify_source,
)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scalar_engine_finds_what_the_rule_says(name: str) -> None:
    entries, codes = SCENARIOS[name]()
    report = verify_source(MemoryLog(entries), ScalarEngine()).report
    assert report.codes() == codes


@pytest.mark.parametrize("name", SCENARIOS)
def test_duckdb_gives_the_report_of_the_scalar_engine_in_chunks_of_any_size(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, _ = SCENARIOS[name]()
    scalar = report_bytes(verify_source(MemoryLog(entries), ScalarEngine()).report)
    for chunk in (CHUNK, 65_536) if len(entries) > CHUNK else (CHUNK,):
        monkeypatch.setattr(pool, "CHUNK_ENTRIES", chunk)
        assert report_bytes(verify_source(MemoryLog(entries), DuckEngine(1)).report) == scalar


@pytest.mark.parametrize("name", SCENARIOS)
def test_duckdb_gives_the_report_of_the_scalar_engine_where_all_entries_are_read_as_columns(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, _ = SCENARIOS[name]()
    scalar = report_bytes(verify_source(MemoryLog(entries), ScalarEngine()).report)
    monkeypatch.setattr(pool, "CHUNK_ENTRIES", CHUNK)
    assert report_bytes(verify_source(MemoryLog(entries), DuckEngine(1, group_entries=1)).report) == scalar


@pytest.mark.parametrize(
    "name",
    [
        "settlements in another chunk than their attempts",
        "copies of attempts whose end lies in another chunk",
        "repeated uids near and far",
        "several seals with their real roots",
    ],
)
def test_two_processes_give_the_report_of_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, _ = SCENARIOS[name]()
    monkeypatch.setattr(pool, "CHUNK_ENTRIES", CHUNK)
    directory = publish(tmp_path, entries)
    reports = [verify_directory(directory, engine) for engine in (ScalarEngine(), DuckEngine(2))]
    assert report_bytes(reports[1]) == report_bytes(reports[0])


@pytest.mark.parametrize("chunk", [CHUNK, 65_536])
@pytest.mark.parametrize("missing", ["tile/entries/001", "tile/0/001", "tile/entries/017.p/100"])
def test_engines_stop_reading_at_the_same_place(
    missing: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "CHUNK_ENTRIES", chunk)
    directory = publish(tmp_path, LONG)
    (directory / missing).unlink()
    reports = [verify_directory(directory, engine) for engine in (ScalarEngine(), DuckEngine(1))]
    assert report_bytes(reports[1]) == report_bytes(reports[0])
    assert reports[0].exit_status == 2


@pytest.mark.parametrize("claimed", [2**62, 1_000])
@pytest.mark.parametrize("engine", [ScalarEngine(), DuckEngine(1)], ids=lambda engine: engine.name)
def test_a_source_that_claims_more_entries_than_it_gives_has_a_gap_where_they_end(
    engine: Engine, claimed: int
) -> None:
    report = verify_source(MemoryLog(LONG[:700], claimed=claimed), engine).report
    assert faults_of(report) == {("SEQ_GAP", 700)}


@pytest.mark.parametrize("engine", [ScalarEngine(), DuckEngine(1)], ids=lambda engine: engine.name)
def test_an_empty_log_with_a_signed_checkpoint_is_clean(engine: Engine) -> None:
    report = verify_source(MemoryLog([], sign([])), engine).report
    assert (report.exit_status, report.tree_size, report.findings) == (0, 0, [])


@pytest.mark.parametrize("engine", [ScalarEngine(), DuckEngine(1)], ids=lambda engine: engine.name)
def test_a_log_that_grows_while_it_is_verified_is_not_called_truncated(engine: Engine) -> None:
    source = GrowingLog(LONG[:4_400], sign(LONG[:4_400]), grown=LONG)
    assert verify_source(source, engine).report.codes() == {"MAP_ROOT_MISMATCH": 1}


class GrowingLog(MemoryLog):
    """A live log: as soon as its size was asked for, more entries stand there and are signed."""

    def __init__(self, entries: list[bytes], note: bytes, grown: list[bytes]) -> None:
        super().__init__(entries, note)
        self._grown = grown

    def size_available(self) -> int:
        size = len(self.entries)
        self.entries, self.note = self._grown, sign(self._grown)
        return size


def make_long() -> list[bytes]:
    """17 full groups of 256 entries and 100 more: longer than a chunk of either engine is in these tests."""
    log = open_log()
    log.parties()
    pad(log, 17 * 256 + 99 - log.size)
    add_seal(log)
    return encode_log(log)


LONG = make_long()
