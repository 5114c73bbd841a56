"""The second process of a long import: the same ledger, the same rejects, and nothing lost when it dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ledger.errors import StoreError
from ledger.ingest import preparing_process
from ledger.ingest.importer import Progress
from ledger.ingest.preparing import ImportVault
from ledger.ingest.sources import FileSource, RawBatch
from ledger.vault.subjects import SqlVault
from tests.support.ingest_world import IngestWorld, line, open_ingest_world, open_vault_of
from tests.support.record_samples import DELIVERY
from tests.support.records import make_records

START_SECONDS = 60.0


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[IngestWorld]:
    with open_ingest_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def helped(ingest: IngestWorld, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Options of an import that has help after so many records, and waits for it."""
    is_ready = preparing_process._Helper.is_ready
    monkeypatch.setattr(preparing_process._Helper, "is_ready", lambda helper: is_ready(helper, START_SECONDS))

    def options(after: int = 0, **others: Any) -> dict[str, Any]:
        return {"open_vault": ingest.open_vault(), "records_before_help": after, "batch_records": 20} | others

    return options


def processes() -> list[int]:
    return [process.pid for process in multiprocessing.active_children() if process.pid is not None]


def named(ingest: IngestWorld) -> list[str]:
    """The entries, but for registrations, by what the records call them."""
    return [
        f"{entry['kind']} {entry.get('delivery') or entry.get('grant') or ''}"
        for entry in ingest.entries()
        if entry["kind"] != "account.registered"
    ]


def test_an_import_with_help_makes_the_same_entries_in_the_order_of_the_file(
    ingest: IngestWorld, helped: Callable[..., dict[str, Any]]
) -> None:
    records = list(make_records(5, 300))
    seen: list[int] = []
    report = ingest.run(records, **helped(60), on_progress=lambda _: seen.extend(processes()))
    assert (report.created, report.rejects) == (300, [])
    assert len(set(seen)) == 1
    assert named(ingest) == [
        f"{record['kind']} {record.get('delivery') or record.get('grant') or ''}" for record in records
    ]
    # Equal members, tags and commitments: anything else would be a conflict.
    again = ingest.run(records)
    assert (again.duplicates, again.accounts_registered) == (300, 0)


def test_a_tag_is_registered_once_and_before_its_first_use_whoever_prepares(
    ingest: IngestWorld, helped: Callable[..., dict[str, Any]]
) -> None:
    ingest.run(make_records(2, 300), **helped(100))
    ingest.check_tags_are_registered_first()


def test_rejects_from_the_other_process_have_their_lines_and_reasons(
    ingest: IngestWorld, helped: Callable[..., dict[str, Any]]
) -> None:
    lines = [line(record) for record in make_records(3, 100)]
    lines[70] = b"{torn\n"
    lines[90] = line({"kind": "grant.exploded", "at": 1})
    told: list[Progress] = []
    report = ingest.run(b"".join(lines), **helped(20), on_progress=told.append)
    assert [(reject.line, reject.reason[:11]) for reject in report.rejects] == [
        (71, "the line is"),
        (91, "the kind is"),
    ]
    assert (report.records, report.created, told[-1].bytes_done) == (100, 98, sum(map(len, lines)))


def test_an_erased_person_is_refused_by_the_other_process(
    ingest: IngestWorld, helped: Callable[..., dict[str, Any]]
) -> None:
    ingest.run([DELIVERY | {"delivery": "d-w"}])
    ingest.vault.erase([ingest.tag("783214")])
    report = ingest.run([*make_records(3, 60), DELIVERY | {"delivery": "d-x"}], **helped(20))
    assert [(reject.line, "erased" in reject.reason) for reject in report.rejects] == [(61, True)]


def test_rows_of_parquet_go_to_the_other_process_too(
    ingest: IngestWorld, helped: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    records = [record for record in make_records(3, 200) if record["kind"] == "delivery.imported"]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "r.parquet")
    report = ingest.importer(**helped(20)).run(FileSource(tmp_path / "r.parquet"))
    assert (report.created, report.rejects) == (len(records), [])
    assert ingest.run(records).duplicates == len(records)


def test_a_short_source_starts_no_process(ingest: IngestWorld, helped: Callable[..., dict[str, Any]]) -> None:
    seen: list[int] = []
    ingest.run(make_records(3, 100), **helped(100), on_progress=lambda _: seen.extend(processes()))
    assert seen == []


def test_no_process_is_left_after_the_import(
    ingest: IngestWorld, helped: Callable[..., dict[str, Any]]
) -> None:
    ingest.run(make_records(3, 100), **helped())
    assert processes() == []


def test_a_process_that_dies_is_told_and_running_again_completes_the_import(
    ingest: IngestWorld, helped: Callable[..., dict[str, Any]]
) -> None:
    records = list(make_records(6, 400))

    def kill(_progress: Progress) -> None:
        for pid in processes():
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(StoreError, match="the process that prepares the records died"):
        ingest.run(records, **helped(40), on_progress=kill)
    assert processes() == []
    durable = len(named(ingest))
    assert 0 < durable < 400
    report = ingest.run(records, **helped(40))
    assert (report.created, report.duplicates) == (400 - durable, durable)


def _end() -> NoReturn:
    os._exit(3)


def test_a_process_that_cannot_start_is_done_without(
    ingest: IngestWorld, helped: Callable[..., dict[str, Any]]
) -> None:
    report = ingest.run(make_records(3, 200), **helped(20, open_vault=_end))
    assert (report.created, report.rejects) == (200, [])


class _FailingVault(SqlVault):
    """A vault whose database fails."""

    def subjects_of(self, account_ids: Any) -> NoReturn:
        raise StoreError("minting tags: the disk is full")


def _open_failing(directory: str) -> ImportVault:
    vault = open_vault_of(directory)
    vault.__class__ = _FailingVault
    return vault


def test_what_fails_in_the_other_process_is_raised_here_after_everything_before_went_in(
    ingest: IngestWorld, helped: Callable[..., dict[str, Any]]
) -> None:
    opening = partial(_open_failing, str(ingest.world.directory))
    with pytest.raises(StoreError, match="the disk is full"):
        ingest.run(make_records(3, 200), **helped(60, open_vault=opening))
    assert len(named(ingest)) == 60


def test_what_a_failing_source_gave_before_goes_in(
    ingest: IngestWorld, helped: Callable[..., dict[str, Any]]
) -> None:
    source = ingest.write(make_records(3, 200))

    class Torn:
        name, bytes_total = "torn", None

        def batches(self, records_max: int) -> Iterator[RawBatch]:
            for number, batch in enumerate(source.batches(records_max)):
                if number == 5:
                    raise StoreError("the cable was pulled")
                yield batch

    with pytest.raises(StoreError, match="cable"):
        ingest.importer(**helped(20)).run(Torn())
    assert len(named(ingest)) == 100


@pytest.mark.parametrize("is_good", [True, False])
def test_a_strict_import_rehearses_with_help_and_mints_nobody_before_it_is_sure(
    ingest: IngestWorld, helped: Callable[..., dict[str, Any]], is_good: bool
) -> None:
    # Later records name accounts and grants of earlier ones: who rehearses must give the same people the same tags.
    records = list(make_records(3, 300, accounts=10))
    last = records.pop() if is_good else {"kind": "grant.exploded", "at": 1}
    phases: dict[str, set[int]] = {}
    minted: list[dict[str, Any]] = []

    def look(progress: Progress) -> None:
        phases.setdefault(progress.phase, set()).update(processes())
        if progress.phase == "checking":
            minted.append(ingest.vault.find(people))

    people = [record["account"] for record in records if "account" in record]
    report = ingest.run_strictly([*records, last], **helped(60), on_progress=look)
    assert not any(minted)
    assert (report.appended, report.rejected) == (is_good, 0 if is_good else 1)
    assert {phase: len(pids) for phase, pids in phases.items()} == (
        {"checking": 1, "importing": 1} if is_good else {"checking": 1}
    )
