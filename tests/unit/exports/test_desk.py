"""Exports from request to download: two people, entries of every step, runs that are interrupted or repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey

from ledger.core import bag, canonical
from ledger.core.export_filter import Filter
from ledger.errors import ConflictError, LedgerError, ProofError, RejectedError, StoreError, UsageError
from ledger.exports.checking import BagChecking
from ledger.exports.parts import Question
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
        "ledger.exports.places.Places.publish"
        if step == "renamed"
        else "ledger.exports.creating.append_whole"
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


@pytest.mark.parametrize(
    "name", [".", "..", "../x", "x.sealed", ".x-1.making", ".x-1.lock", "-x", "a/b", "", "x" * 65, "ä", "x\n"]
)
def test_no_id_is_the_name_of_another_file(world: ExportWorld, tmp_path: Path, name: str) -> None:
    world.desk.create(world.question(export="x-1"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="cannot be the id"):
        world.desk.create(world.question(export=name))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "others",
    [
        {"recipients": (bytes(PrivateKey(b"2" * 32).public_key),)},
        {"requester": "Somebody else"},
        {"case": "case-2"},
        {"legal_basis": "Art. 59"},
        {"profile": "identities"},
    ],
)
def test_the_same_id_with_anything_else_is_another_question(
    world: ExportWorld, others: dict[str, Any]
) -> None:
    world.desk.create(world.question(export="x-1"))
    with pytest.raises(ConflictError):
        world.desk.create(world.question(export="x-1", **others))


def test_a_directory_of_somebody_else_is_neither_an_export_nor_removed(
    world: ExportWorld, tmp_path: Path
) -> None:
    theirs = tmp_path / "ledger.db.exports" / "x-1" / "notes.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("keep")
    with pytest.raises(UsageError, match="is there, and no export"):
        world.desk.create(world.question(export="x-1"))
    world.desk.create(world.question())
    assert theirs.read_text() == "keep"


@pytest.mark.parametrize(
    "target", ["ledger.exports.creating.append_whole", "ledger.exports.places.Places.record"]
)
def test_what_a_killed_run_left_is_removed_by_a_run_for_another_export(
    world: ExportWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: str
) -> None:
    def die(*_arguments: object, **_named: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(target, die)
        with pytest.raises(Died):
            world.desk.create(world.question(export="x-dead"))
    (tmp_path / "ledger.db.exports" / ".x-older.making").mkdir()
    world.desk.create(world.question(export="x-2"))
    names = {
        path.name for path in (tmp_path / "ledger.db.exports").iterdir() if not path.name.endswith(".lock")
    }
    is_recorded = world.desk._parts.book.load("x-dead") is not None
    assert names == ({"x-dead", "x-2"} if is_recorded else {"x-2"})
    if is_recorded:
        world.desk.approve("x-dead", TWO)


def test_a_failed_run_leaves_nothing_that_it_opened(
    world: ExportWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ledger.exports.making.BagMaker._add_help", fail)
    with pytest.raises(OSError, match="No space"):
        world.desk.create(world.question(profile="identities"))
    assert [path.name for path in (tmp_path / "ledger.db.exports").iterdir() if path.is_dir()] == []


def test_an_export_of_an_account_is_a_look_at_its_history(world: ExportWorld) -> None:
    wanted = Filter(accounts=(world.tag, f"a_{'0' * 32}"), developers=("dev-a",))
    world.desk.create(world.question(wanted, export="x-1"))
    store = world.ledger.store
    members = [canonical.decode(row.data) for row in store.fetch_range(0, store.size())]
    looks = [one for one in members if one["kind"] == "access.viewed"]
    assert [(one.get("account"), one.get("developer")) for one in looks] == [
        (world.tag, None),
        (None, "dev-a"),
    ]
    assert {(one["actor"], one["purpose"]) for one in looks} == {(ONE, "x-1")}


def test_a_bag_edited_between_its_check_and_its_encryption_is_not_sealed(
    world: ExportWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = world.approved(export="x-1")
    frame = BagChecking.frame

    def then_edit(self: BagChecking, *arguments: Any) -> Any:
        files = frame(self, *arguments)
        change(root, "data/README.html", lambda data: data.replace(b"a", b"b", 1))
        return files

    monkeypatch.setattr(BagChecking, "frame", then_edit)
    with pytest.raises(ProofError, match="changed while the export was sealed"):
        world.desk.seal("x-1", ONE)
    assert "export.sealed" not in world.kinds_of_exports()


def test_whoever_watches_sees_every_long_step_going_on(
    world: ExportWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.exports.selecting.PROGRESS_ENTRIES", 5)
    monkeypatch.setattr("ledger.exports.checking.PROGRESS_ENTRIES", 5)
    told: dict[str, list[tuple[int, int]]] = {"create": [], "approve": [], "seal": []}
    # Nothing is selected, and the log is gone through all the same.
    nothing = Filter(recorded_to=0)
    world.desk.create(world.question(nothing), lambda *seen: told["create"].append(seen))
    world.desk.create(world.question(export="x-1"))
    world.desk.approve("x-1", TWO, lambda *seen: told["approve"].append(seen))
    world.desk.seal("x-1", ONE, lambda *seen: told["seal"].append(seen))
    for seen in told.values():
        assert seen
        assert all(done <= total for done, total in seen)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_sealed_file_that_is_gone_is_told_so(world: ExportWorld) -> None:
    world.approved(export="x-1")
    world.desk.seal("x-1", ONE)
    world.desk.sealed_of("x-1").unlink()
    with pytest.raises(UsageError, match="is gone"):
        world.desk.download("x-1", TWO)
