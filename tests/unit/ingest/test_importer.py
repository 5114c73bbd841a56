"""A whole source into a real ledger: what can go in does, twice is once, and every reject has its line."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.core.entries import decode_entry
from ledger.errors import StoreError
from ledger.ingest import importer as importer_module
from ledger.ingest.importer import Importer, Progress
from ledger.ingest.sources import FileSource, Reject
from ledger.sequencer.draft import Draft, Outcome
from ledger.vault.commitments import SubjectCommitments, commit, salt_of
from tests.support.ingest_world import IngestWorld, line, open_ingest_world
from tests.support.record_samples import AT, DELIVERY, GRANT, SAMPLES
from tests.support.records import is_misdelivered, make_lines, make_records

PARTIES = [
    sample
    for sample in SAMPLES
    if sample["kind"].endswith(".registered") and sample["kind"] != "account.registered"
]
BAD = {"kind": "grant.exploded", "at": AT}


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[IngestWorld]:
    with open_ingest_world(tmp_path) as opened:
        yield opened


def kinds(ingest: IngestWorld) -> list[str]:
    return [entry["kind"] for entry in ingest.entries()]


def test_a_record_of_every_kind_becomes_an_entry(ingest: IngestWorld) -> None:
    report = ingest.run(SAMPLES)
    assert report.rejects == []
    assert report.created == len(SAMPLES)
    assert [kind for kind in kinds(ingest) if kind != "account.registered"] == [
        sample["kind"] for sample in SAMPLES if sample["kind"] != "account.registered"
    ]
    assert all(decode_entry(row.data).unknown == () for row in ingest.world.store.fetch_range(0, 99))


def test_importing_the_same_file_twice_changes_nothing_and_says_so(ingest: IngestWorld) -> None:
    ingest.run(SAMPLES)
    before = ingest.entries()
    report = ingest.run(SAMPLES)
    assert ingest.entries() == before
    assert (report.created, report.duplicates, report.rejected) == (0, len(SAMPLES), 0)
    assert report.accounts_registered == 0


def test_the_same_record_twice_in_one_file_is_one_entry(ingest: IngestWorld) -> None:
    report = ingest.run([PARTIES[0], PARTIES[0]])
    assert (report.created, report.duplicates) == (1, 1)


def test_another_batch_size_makes_the_same_ledger(tmp_path: Path) -> None:
    logs = []
    for name, size in (("a", 1), ("b", 3), ("c", 1_000)):
        (tmp_path / name).mkdir()
        with open_ingest_world(tmp_path / name) as ingest:
            ingest.run(make_records(5, 200), batch_records=size)
            logs.append(
                [(entry["kind"], entry.get("delivery"), entry.get("grant")) for entry in ingest.entries()]
            )
    assert sorted(logs[0], key=repr) == sorted(logs[1], key=repr) == sorted(logs[2], key=repr)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(1, 120))
def test_a_file_that_is_imported_in_any_two_overlapping_parts_is_imported_once(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, cut: int
) -> None:
    records = list(make_records(seed, count))
    with open_ingest_world(tmp_path_factory.mktemp("parts")) as ingest:
        ingest.run(records[:cut])
        rest = ingest.run(records)
        assert rest.created + min(cut, count) == len({json.dumps(record) for record in records}) == count
        assert ingest.run(records).created == 0


def test_plausible_records_are_all_taken(ingest: IngestWorld) -> None:
    report = ingest.importer(batch_records=500).run(ingest.write(make_lines(3, 3_000)))
    assert (report.created, report.rejects) == (3_000, [])


def test_plausible_records_are_the_same_for_the_same_seed_and_hold_some_misdeliveries() -> None:
    records = list(make_records(1, 5_000))
    assert make_lines(1, 5_000) == b"".join(
        json.dumps(r, separators=(",", ":")).encode() + b"\n" for r in records
    )
    assert make_lines(2, 5_000) != make_lines(1, 5_000)
    assert 5 < sum(map(is_misdelivered, records)) < 100


def test_a_tag_is_registered_before_its_first_use_anywhere(ingest: IngestWorld) -> None:
    ingest.run(make_records(2, 400))
    ingest.check_tags_are_registered_first()


def test_a_registration_that_the_file_states_is_not_added_again(ingest: IngestWorld) -> None:
    report = ingest.run([{"kind": "account.registered", "account": "783214", "at": AT}, *PARTIES, GRANT])
    assert kinds(ingest).count("account.registered") == 1
    assert report.accounts_registered == 0


def test_nobody_stays_unregistered_where_the_stated_registration_is_refused(ingest: IngestWorld) -> None:
    registration = {"kind": "account.registered", "uid": "mine", "at": AT}
    people = [registration | {"account": account} for account in ("1", "783214")]
    report = ingest.run([*people, DELIVERY])
    assert [reject.line for reject in report.rejects] == [2]
    registered = {entry["account"] for entry in ingest.entries() if entry["kind"] == "account.registered"}
    assert ingest.tag("783214") in registered


def test_a_signed_request_that_only_one_of_two_files_has_is_no_conflict(ingest: IngestWorld) -> None:
    evidence = {"method": "oauth1a"}
    signed = GRANT | {"evidence": evidence | {"request": "sig"}}
    ingest.run([*PARTIES, signed])
    report = ingest.run([GRANT | {"evidence": evidence}, signed])
    assert (report.duplicates, report.rejects) == (2, [])


def test_another_method_of_evidence_under_one_uid_is_a_conflict(ingest: IngestWorld) -> None:
    grants = [
        GRANT | {"uid": "mine", "evidence": {"method": method, "request": "sig"}}
        for method in ("oauth1a", "form")
    ]
    assert [reject.line for reject in ingest.run([*PARTIES, *grants]).rejects] == [len(PARTIES) + 2]


def test_a_registration_opens_to_the_id_with_the_vaults_key(ingest: IngestWorld) -> None:
    ingest.run([*PARTIES, GRANT])
    entry = ingest.entry("account.registered")
    key = ingest.vault.find(["783214"])["783214"].key
    assert entry["identity"] == commit(salt_of(key, entry["uid"], "identity"), b"783214")


def test_a_process_that_died_between_minting_and_appending_leaves_nothing_out(ingest: IngestWorld) -> None:
    ingest.vault.subjects_of(["783214"])
    ingest.run([*PARTIES, GRANT])
    assert ingest.entry("account.registered")["account"] == ingest.tag("783214")


def test_no_entry_holds_the_id_of_a_person(ingest: IngestWorld) -> None:
    ingest.run(SAMPLES)
    assert not any(secret in json.dumps(ingest.entries()) for secret in ("783214", "5550001"))


def test_rejects_have_their_line_and_reason_and_the_rest_goes_in(ingest: IngestWorld) -> None:
    data = (
        line(PARTIES[0])
        + b"{torn\n"
        + b"\n"
        + line(BAD)
        + line(PARTIES[2])
        + b'{"kind":"developer.registered","developer":"x","developer":"y","at":1}\n'
        + line(PARTIES[4])
        + line(DELIVERY)[:-9]
    )
    report = ingest.run(data)
    assert [reject.line for reject in report.rejects] == [2, 4, 6, 8]
    words = ("JSON", "unknown", "twice", "JSON")
    assert all(word in reject.reason for word, reject in zip(words, report.rejects, strict=True))
    assert (report.records, report.created, report.rejected, report.accepted) == (7, 3, 4, 3)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"kind": "grant.revoked", "grant": "g-9", "at": AT}, "grant g-9 is unknown"),
        ({"kind": "app.suspended", "app": "app-9", "at": AT}, "app app-9 is unknown"),
        ({"kind": "endpoint.retired", "endpoint": "wh-9", "at": AT}, "endpoint wh-9 is unknown"),
        ({"kind": "grant.revoked", "grant": "g-1", "account": "666", "at": AT}, "another account"),
        (GRANT | {"grant": "g-2", "scopes": ["everything"]}, "scope"),
        (PARTIES[4] | {"endpoint": "wh-2", "url": "https://user:pass@a.example/"}, "user information"),
        (PARTIES[4] | {"endpoint": "wh-2", "url": "ftp://a.example/"}, "URL"),
        (DELIVERY | {"endpoint": "wh-7"}, "taken by entry"),
        (PARTIES[0] | {"uid": "mine", "developer": "dev-c"}, "taken by entry"),
    ],
)
def test_what_the_history_makes_impossible_is_rejected_with_its_line(
    ingest: IngestWorld, record: dict[str, Any], reason: str
) -> None:
    ingest.run([*PARTIES, GRANT, DELIVERY, PARTIES[1] | {"uid": "mine"}])
    report = ingest.run([PARTIES[0], record])
    assert [reject.line for reject in report.rejects] == [2]
    assert reason in report.rejects[0].reason


def test_a_delivery_may_name_what_was_never_registered(ingest: IngestWorld) -> None:
    assert ingest.run([DELIVERY]).created == 1
    assert "developer" not in ingest.entry("delivery.imported")


def test_an_event_on_a_dead_grant_goes_in_from_a_file(ingest: IngestWorld) -> None:
    dead = [
        {"kind": f"grant.{verb}", "grant": "g-1", "at": "2018-02-01T00:00:00Z"}
        for verb in ("revoked", "suspended")
    ]
    assert ingest.run([*PARTIES, GRANT, *dead]).rejects == []


def test_an_erased_person_is_not_minted_again(ingest: IngestWorld) -> None:
    ingest.run([*PARTIES, GRANT])
    ingest.vault.erase([ingest.tag("783214")])
    report = ingest.run(
        [PARTIES[0], DELIVERY | {"delivery": "d-2"}, GRANT | {"grant": "g-2", "account": "42"}]
    )
    assert [(reject.line, "erased" in reject.reason) for reject in report.rejects] == [(2, True)]
    assert (report.created, report.duplicates) == (1, 1)
    assert ingest.vault.find(["783214"]) == {}


@pytest.mark.parametrize("strict", [False, True])
def test_only_the_first_rejects_are_kept_and_all_are_counted_and_told(
    ingest: IngestWorld, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    monkeypatch.setattr(importer_module, "REJECTS_KEPT", 5)
    told: list[Reject] = []
    run = ingest.run_strictly if strict else ingest.run
    report = run([BAD] * 30, on_reject=told.append)
    assert (report.rejected, len(report.rejects), len(told)) == (30, 5, 30)
    assert [reject.line for reject in told] == list(range(1, 31))


def test_progress_grows_and_ends_at_the_whole(ingest: IngestWorld) -> None:
    told: list[Progress] = []
    source = ingest.write(make_lines(4, 100))
    ingest.importer(on_progress=told.append).run(source)
    assert [step.records for step in told] == sorted(step.records for step in told)
    assert (told[-1].records, told[-1].bytes_done) == (100, source.bytes_total)


def test_a_strict_import_with_one_bad_record_leaves_everything_as_it_was(ingest: IngestWorld) -> None:
    records = [*PARTIES, GRANT, {"kind": "grant.revoked", "grant": "g-9", "at": AT}, DELIVERY, BAD]
    report = ingest.run_strictly(records)
    assert not report.appended
    assert [reject.line for reject in report.rejects] == [len(PARTIES) + 2, len(PARTIES) + 4]
    assert (report.created, report.records) == (0, len(records))
    assert ingest.entries() == []
    assert ingest.vault.find(["783214", "5550001"]) == {}


def test_a_strict_import_of_good_records_is_an_import(ingest: IngestWorld) -> None:
    report = ingest.run_strictly(SAMPLES)
    assert report.appended
    assert (report.created, report.rejected) == (len(SAMPLES), 0)
    assert ingest.run_strictly(SAMPLES).duplicates == len(SAMPLES)


def test_a_strict_import_sees_conflicts_within_the_file_and_with_the_ledger(ingest: IngestWorld) -> None:
    ingest.run([*PARTIES, DELIVERY])
    with_ledger = ingest.run_strictly([DELIVERY | {"status": 500}])
    within = ingest.run_strictly(
        [DELIVERY | {"delivery": "d-2"}] + [DELIVERY | {"delivery": "d-2", "status": 500}] * 9
    )
    assert (with_ledger.rejected, within.rejected) == (1, 9)


def test_a_strict_import_refuses_an_erased_person(ingest: IngestWorld) -> None:
    ingest.run([*PARTIES, GRANT])
    ingest.vault.erase([ingest.tag("783214")])
    report = ingest.run_strictly([GRANT | {"grant": "g-2", "account": "42"}, DELIVERY])
    assert [reject.line for reject in report.rejects] == [2]
    assert not report.appended
    assert ingest.vault.find(["42"]) == {}


def test_a_strict_import_registers_people_who_only_the_rehearsal_had_met(ingest: IngestWorld) -> None:
    assert ingest.run_strictly([*PARTIES, GRANT]).accounts_registered == 1
    assert ingest.entry("grant.issued")["account"] == ingest.tag("783214")


@pytest.mark.parametrize("batches_that_work", [0, 1, 3])
def test_an_import_that_the_store_stops_is_finished_by_running_it_again(
    ingest: IngestWorld, batches_that_work: int
) -> None:
    class Failing:
        calls = 0

        def append_many(self, drafts: Sequence[Draft]) -> list[Outcome]:
            self.calls += 1
            if self.calls > batches_that_work:
                raise StoreError("the disk is full")
            return ingest.world.sequencer.append_many(drafts)

    records = list(make_records(6, 60))
    stopped = Importer(ingest.vault, SubjectCommitments(), Failing(), batch_records=ingest.batch_records)
    with pytest.raises(StoreError, match="disk is full"):
        stopped.run(ingest.write(records))
    durable = len([kind for kind in kinds(ingest) if kind != "account.registered"])
    report = ingest.run(records)
    assert (report.created, report.duplicates) == (60 - durable, durable)
    assert ingest.run(records).duplicates == 60


def test_nothing_goes_in_after_a_batch_that_failed(ingest: IngestWorld) -> None:
    # What comes later may name people whom the lost batch registers.
    class FailingOnce:
        calls = 0

        def append_many(self, drafts: Sequence[Draft]) -> list[Outcome]:
            self.calls += 1
            if self.calls == 2:
                raise StoreError("the database is locked")
            return ingest.world.sequencer.append_many(drafts)

    importer = Importer(ingest.vault, SubjectCommitments(), FailingOnce(), batch_records=10)
    with pytest.raises(StoreError, match="locked"):
        importer.run(ingest.write(make_records(6, 60)))
    assert len([kind for kind in kinds(ingest) if kind != "account.registered"]) == 10


def test_lines_gzip_and_parquet_of_the_same_records_are_the_same_import(
    ingest: IngestWorld, tmp_path: Path
) -> None:
    records = list(make_records(7, 300))
    ingest.run(records)
    size = ingest.world.store.size()
    packed = ingest.write(gzip.compress(b"".join(map(line, records))), "records.gz")
    assert ingest.importer().run(packed).duplicates == 300
    flat = [
        {name: value for name, value in record.items() if name != "observed"}
        | {f"observed.{name}": value for name, value in record.get("observed", {}).items()}
        | {"at": record.get("at") if isinstance(record.get("at"), int | None) else 1_493_596_800_000}
        for record in records
    ]
    columns = {name: value for record in flat for name, value in record.items() if value not in (None, [])}
    schema = pa.schema([(name, pa.array([value]).type) for name, value in columns.items()])
    pq.write_table(pa.Table.from_pylist(flat, schema=schema), tmp_path / "records.parquet")
    report = ingest.importer().run(FileSource(tmp_path / "records.parquet"))
    assert (report.duplicates, report.rejects) == (300, [])
    assert ingest.world.store.size() == size


def test_a_shuffled_file_makes_the_same_uids_wherever_it_is_taken(tmp_path: Path) -> None:
    parties = list(make_records(8, 24))
    rest = list(make_records(8, 150))[24:]
    grants = [record for record in rest if record["kind"] == "grant.issued"]
    others = [record for record in rest if record["kind"] != "grant.issued"]
    uids = []
    for name in ("straight", "shuffled"):
        (tmp_path / name).mkdir()
        with open_ingest_world(tmp_path / name) as ingest:
            # Grants go before what refers to them; within each part the order is free.
            ingest.run([*parties, *grants, *others])
            uids.append({entry["uid"] for entry in ingest.entries()})
        random.Random(1).shuffle(grants)
        random.Random(2).shuffle(others)
    # Tags are minted in order of appearance, so that only what names nobody can be compared across two vaults.
    nameless = [
        {uid for uid in one if uid.partition("/")[0] in ("delivery.imported", "grant.revoked")}
        for one in uids
    ]
    assert nameless[0] == nameless[1]
    assert len(uids[0]) == len(uids[1])
