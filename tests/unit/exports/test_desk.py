"""Exports from request to download: two people, entries of every step, runs that are interrupted or repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from ledger.core import bag
from ledger.core.export_filter import Filter
from ledger.errors import ConflictError, LedgerError, ProofError, RejectedError, StoreError, UsageError
from ledger.exports.desk import Question
from ledger.exports.sealed_file import open_files
from ledger.ports.exports import ExtraFile
from ledger.settings import load_settings
from ledger.vault.recipients import NaclSealing
from ledger.wiring import create_ledger, open_ledger
from ledger.wiring.exports import make_export_desk
from ledger.wiring.surroundings import SYSTEM_RANDOMNESS
from tests.support.export_world import ONE, PRIVATE_KEY, PUBLIC_KEY, TWO, ExportWorld, change, export_world

SEALING = NaclSealing(SYSTEM_RANDOMNESS)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ExportWorld]:
    with export_world(tmp_path) as made:
        yield made


class Died(BaseException):
    """The process is gone."""


def test_every_step_is_an_entry_and_the_recipient_gets_what_was_approved(
    world: ExportWorld, tmp_path: Path
) -> None:
    desk = world.desk
    made = desk.create(world.question(export="x-1"))
    assert desk.approve("x-1", TWO).state == "approved"
    sealed = desk.seal("x-1", ONE)
    path = desk.download("x-1", "regulator:dpc")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sealed.file_sha256
    with path.open("rb") as opened:
        header = open_files(opened, PRIVATE_KEY, SEALING, tmp_path / "opened")
    desk.note_opened("x-1", "regulator:dpc")
    assert header.manifest.hex() == made.manifest
    assert world.check(tmp_path / "opened", export="x-1").approved_by == TWO
    ends = ("requested", "approved", "sealed", "downloaded", "opened")
    assert world.kinds_of_exports() == [f"export.{end}" for end in ends]


def test_nobody_approves_or_rejects_their_own_export(world: ExportWorld) -> None:
    world.desk.create(world.question(export="x-1"))
    for decide in (world.desk.approve, world.desk.reject):
        with pytest.raises(RejectedError, match="second person"):
            decide("x-1", ONE)
    assert world.kinds_of_exports() == ["export.requested"]


def test_nothing_is_sealed_or_handed_out_that_nobody_approved(world: ExportWorld) -> None:
    world.desk.create(world.question(export="x-1"))
    with pytest.raises(UsageError, match="approves it first"):
        world.desk.seal("x-1", ONE)
    with pytest.raises(UsageError, match="not sealed"):
        world.desk.download("x-1", ONE)


def test_a_bag_edited_before_approval_is_not_approved(world: ExportWorld) -> None:
    world.desk.create(world.question(export="x-1"))
    change(world.desk.bag_of("x-1"), "data/README.html", lambda data: data + b" ")
    with pytest.raises(ProofError) as refused:
        world.desk.approve("x-1", TWO)
    assert refused.value.code == "FILE_CHANGED"
    assert world.kinds_of_exports() == ["export.requested"]


@pytest.mark.parametrize("path", ["data/README.html", bag.ENTRIES, bag.MANIFEST, bag.CUSTODY])
def test_a_bag_edited_after_approval_is_not_sealed(world: ExportWorld, path: str) -> None:
    root = world.approved(export="x-1")
    change(root, path, lambda data: data.replace(b"a", b"b", 1))
    with pytest.raises(LedgerError):
        world.desk.seal("x-1", ONE)
    assert world.desk.load("x-1").state == "approved"


def test_a_sealed_file_that_was_changed_is_not_handed_out(world: ExportWorld) -> None:
    world.approved(export="x-1")
    world.desk.seal("x-1", ONE)
    path = world.desk.sealed_of("x-1")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ProofError):
        world.desk.download("x-1", "regulator:dpc")
    assert "export.downloaded" not in world.kinds_of_exports()


def test_each_step_again_is_what_is_there(world: ExportWorld) -> None:
    question = world.question(export="x-1")
    assert world.desk.create(question) == world.desk.create(question)
    assert world.desk.approve("x-1", TWO) == world.desk.approve("x-1", "operator:three")
    assert world.desk.seal("x-1", ONE) == world.desk.seal("x-1", ONE)
    assert world.kinds_of_exports() == ["export.requested", "export.approved", "export.sealed"]


def test_an_id_is_of_one_question(world: ExportWorld) -> None:
    world.desk.create(world.question(export="x-1"))
    with pytest.raises(ConflictError):
        world.desk.create(world.question(Filter(seq_to=3), export="x-1"))


def test_a_rejected_export_is_gone_and_stays_so(world: ExportWorld) -> None:
    world.desk.create(world.question(export="x-1"))
    assert world.desk.reject("x-1", TWO).state == "rejected"
    assert not world.desk.bag_of("x-1").exists()
    with pytest.raises(UsageError, match="rejected"):
        world.desk.approve("x-1", TWO)


def test_an_export_for_nobody_is_approved_but_not_sealed(world: ExportWorld) -> None:
    world.check(world.approved(export="x-1", recipients=()))
    with pytest.raises(UsageError, match="names no recipient"):
        world.desk.seal("x-1", ONE)


@pytest.mark.parametrize("step", ["renamed", "appended"])
def test_a_run_killed_before_its_entry_leaves_no_export_and_the_next_one_begins_anew(
    world: ExportWorld, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die(*_arguments: object, **_named: object) -> None:
        raise Died

    target = (
        "ledger.exports.desk.sync_directory"
        if step == "renamed"
        else "ledger.exports.desk.ExportDesk._append"
    )
    with monkeypatch.context() as patch:
        patch.setattr(target, die)
        with pytest.raises(Died):
            world.desk.create(world.question(export="x-1"))
    assert list(world.desk.load_all()) == []
    made = world.desk.create(world.question(export="x-1"))
    world.desk.approve("x-1", TWO)
    assert world.check(world.desk.bag_of("x-1")).manifest["export"] == made.export


def test_a_run_killed_while_writing_leaves_nothing_that_has_a_name(
    world: ExportWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def die(*_arguments: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("ledger.exports.making.BagMaker._add_help", die)
        with pytest.raises(Died):
            world.desk.create(world.question(export="x-1"))
    shown = [
        path.name for path in (tmp_path / "ledger.db.exports").iterdir() if not path.name.startswith(".")
    ]
    assert shown == []
    world.check(world.approved(export="x-1"))


def test_an_approval_that_was_cut_off_is_finished_by_the_same_call(
    world: ExportWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_arguments: object) -> None:
        raise Died

    world.desk.create(world.question(export="x-1"))
    for name in ("write_whole", "finish_bag"):
        with monkeypatch.context() as patch:
            patch.setattr(f"ledger.exports.desk.{name}", die)
            with pytest.raises(Died):
                world.desk.approve("x-1", TWO)
    world.desk.approve("x-1", TWO)
    assert world.check(world.desk.bag_of("x-1")).approved_by == TWO
    assert world.kinds_of_exports() == ["export.requested", "export.approved"]


def test_a_seal_that_was_cut_off_is_made_anew(
    world: ExportWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def die(*_arguments: object, **_named: object) -> None:
        raise Died

    world.approved(export="x-1")
    with monkeypatch.context() as patch:
        patch.setattr("ledger.exports.desk.ExportDesk._append", die)
        with pytest.raises(Died):
            world.desk.seal("x-1", ONE)
    sealed = world.desk.seal("x-1", ONE)
    with world.desk.download("x-1", TWO).open("rb") as opened:
        open_files(opened, PRIVATE_KEY, SEALING, tmp_path / "opened")
    assert sealed.file_bytes == world.desk.sealed_of("x-1").stat().st_size


def test_two_runs_do_not_work_on_one_export(world: ExportWorld) -> None:
    places = world.desk._parts.places
    with places.turn("x-1"), pytest.raises(StoreError, match="another process"):
        world.desk.create(world.question(export="x-1"))


@pytest.mark.parametrize(
    "others",
    [
        {"requester": " "},
        {"case": "a\nb"},
        {"legal_basis": ""},
        {"profile": "everything"},
        {"export": "../x"},
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(world: ExportWorld, others: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        world.desk.create(world.question(**others))  # type: ignore[arg-type]


def test_the_entry_of_a_request_tells_nobody_who_asked(world: ExportWorld) -> None:
    world.desk.create(world.question(export="x-1", requester="Somebody Else"))
    found = world.ledger.store.fetch_by_uids(["export.requested/x-1"])["export.requested/x-1"]
    assert b"Somebody" not in found.data
    told = json.loads((world.desk.bag_of("x-1") / bag.MANIFEST).read_bytes())
    salt = bytes.fromhex(told["salt"])
    commitment = bag.commit_request(salt, told["requester"], told["case"], told["legal_basis"])
    assert commitment.encode() in found.data


class IncidentParts:
    """An incident of two entries with two files."""

    def files(self, incident: str) -> Iterable[ExtraFile]:
        """Its description and its obligations."""
        yield ExtraFile("incident/incident.json", [b"{", f'"incident":"{incident}"'.encode(), b"}"])
        yield ExtraFile("obligations/list.jsonl", [b"{}\n", b"{}\n"], 2)

    def seqs(self, incident: str) -> Iterable[int]:
        """Two entries."""
        assert incident == "inc-1"
        return [9, 4]


def test_an_incident_brings_its_files_and_the_entries_of_its_deliveries(tmp_path: Path) -> None:
    with export_world(tmp_path, IncidentParts()) as world:
        root = world.approved(Filter(incident="inc-1"))
        checked = world.check(root)
        seqs = [json.loads(line)["seq"] for line in (root / bag.ENTRIES).read_bytes().splitlines()]
        assert seqs == [4, 9]
        assert (root / "data/incident/incident.json").read_bytes() == b'{"incident":"inc-1"}'
        rows = {file["path"]: file.get("rows") for file in checked.manifest["files"]}
        assert (rows["incident/incident.json"], rows["obligations/list.jsonl"]) == (None, 2)


def test_an_export_needs_a_seal(tmp_path: Path) -> None:
    settings = load_settings({}, str(tmp_path / "ledger.db"))
    create_ledger(settings, "ledger.example/new")
    question = Question("a", "b", "c", Filter(), ONE, (PUBLIC_KEY,))
    with open_ledger(settings) as ledger:
        desk = make_export_desk(ledger)
        with pytest.raises(UsageError, match="seal"):
            desk.create(question)
