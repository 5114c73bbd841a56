"""Exports of an incident: its files, its words, and lists held against the entries that state their roots."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.core import bag
from ledger.core.bag_check import CheckedBag, KnownBag
from ledger.core.export_filter import Filter
from ledger.errors import ProofError, UsageError
from ledger.exports.checking import BagChecking
from ledger.exports.parts import Question
from ledger.incidents.export_files import IncidentFiles
from ledger.ports.exports import ExtraFile
from ledger.vault.ed25519 import verify_ed25519
from ledger.wiring.exports import make_exports, make_views
from tests.support.export_world import ONE, TWO, relist
from tests.support.incident_world import BY, IncidentWorld, delivery, grant, parties

CHECKING = BagChecking(verify_ed25519)
WORDS = "Ein Fehler in der Weiterleitung:\nzwei Ziele unter einer Adresse."


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IncidentWorld]:
    """An incident with two receivers, who owe deletion, and words; sealed."""
    records = [
        *parties("a", "b", "c"),
        *(grant(n, str(1000 + n)) for n in range(1, 4)),
        *(delivery(n, str(1000 + n % 3 + 1), host="bc"[n % 2]) for n in range(9)),
    ]
    with IncidentWorld(tmp_path_factory.mktemp("incident"), records) as made:
        made.parts.policies.set("authority_notice", "gdpr", 3_600_000, BY)
        made.desk.open_from_findings(made.evidence(), BY)
        name = name_of(made)
        made.desk.describe(name, "title", WORDS, BY)
        made.desk.decide(name, "stop", "Everything is halted.", BY)
        made.service.ledger.sealer.seal()
        yield made


def name_of(world: IncidentWorld) -> str:
    return world.book.load_all()[0].incident


def question(world: IncidentWorld, wanted: Filter | None = None, **others: Any) -> Question:
    return Question("DPC", "1", "Art. 33", wanted or Filter(incident=name_of(world)), ONE, (), **others)


def approved(world: IncidentWorld, **others: Any) -> Path:
    made = world.service.exports.create(question(world, **others))
    world.service.exports.approve(made.export, TWO)
    return world.service.exports.bag_of(made.export)


def check(world: IncidentWorld, root: Path) -> CheckedBag:
    return CHECKING.whole(root, KnownBag(world.service.ledger.vkey))


def offline(world: IncidentWorld, root: Path) -> subprocess.CompletedProcess[str]:
    """The contained script, with the interpreter alone."""
    command = [sys.executable, "-I", "-S", str(root / "data/verify/verify.py"), str(root)]
    command += ["--vkey", world.service.ledger.vkey]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env={})


def test_it_holds_the_incident_and_every_delivery_of_its_set_and_verifies_offline(
    world: IncidentWorld,
) -> None:
    root = approved(world)
    checked = check(world, root)
    kinds = {item["kind"]: item["count"] for item in checked.manifest["kinds"]}
    assert (kinds["delivery.imported"], kinds["incident.assessed"]) == (9, 1)
    assert len((root / "data/incident/findings.jsonl").read_bytes().splitlines()) == 9
    assert json.loads((root / "data/incident/incident.json").read_bytes())["title"] == WORDS
    done = offline(world, root)
    assert (done.returncode, done.stdout.splitlines()[0], done.stderr) == (0, "PROVEN", "")


def test_its_words_are_opened_so_that_they_can_be_held_against_the_entries(world: IncidentWorld) -> None:
    root = approved(world)
    opened = [json.loads(line) for line in (root / bag.OPENINGS).read_bytes().splitlines()]
    assert {one["value"] for one in opened if one["field"] == "text"} == {WORDS, "Everything is halted."}
    withheld = [json.loads(line) for line in (root / bag.REDACTIONS).read_bytes().splitlines()]
    assert "text" not in {one["field"] for one in withheld}


def test_words_of_incidents_stay_closed_where_nobody_asked_for_an_incident(world: IncidentWorld) -> None:
    root = approved(world, wanted=Filter(kinds=("incident.described",)))
    assert (root / bag.OPENINGS).read_bytes() == b""
    opened = approved(world, wanted=Filter(kinds=("incident.described",)), profile="all")
    assert len((opened / bag.OPENINGS).read_bytes().splitlines()) == 1


class Forged:
    """The files of an incident with another line in a list."""

    def __init__(self, files: IncidentFiles, path: str) -> None:
        self._files = files
        self._path = path

    def files(self, incident: str) -> Iterable[ExtraFile]:
        """Those, one of them forged."""
        for file in self._files.files(incident):
            if file.path == self._path:
                parts = [part.replace(b"dev-b", b"dev-c") for part in file.parts]
                yield ExtraFile(file.path, parts[1:], file.rows)
            else:
                yield file

    def seqs(self, incident: str) -> Iterable[int]:
        """Those."""
        return self._files.seqs(incident)


def test_a_finding_set_that_is_not_the_frozen_one_is_refused_by_both(
    world: IncidentWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = Forged(world.parts.export_files, "incident/findings.jsonl")
    desk = make_exports(world.service, forged)
    made = desk.create(question(world))
    with pytest.raises(ProofError, match="not the list that an entry states") as refused:
        desk.approve(made.export, TWO)
    assert refused.value.code == "VIEW_MISMATCH"
    # An operator that leaves its own check out signs it all the same.
    monkeypatch.setattr(BagChecking, "whole", lambda *_: None)
    desk.approve(made.export, TWO)
    done = offline(world, desk.bag_of(made.export))
    assert (done.returncode, done.stdout.split(": ")[1]) == (1, "VIEW_MISMATCH")


def test_where_bounds_leave_the_assessment_out_the_rest_still_verifies(world: IncidentWorld) -> None:
    wanted = Filter(incident=name_of(world), kinds=("delivery.imported",))
    assert check(world, approved(world, wanted=wanted)).manifest["entries"] == 9


def test_an_incident_that_nobody_knows_is_told_before_anything_is_read(
    world: IncidentWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.exports.making.BagMaker._write_entries", None)
    with pytest.raises(UsageError, match="i-none"):
        world.service.exports.create(question(world, Filter(incident="i-none")))


def test_what_is_not_sealed_yet_is_not_told_by_files_alone(tmp_path: Path) -> None:
    records = [*parties("a", "b"), grant(1, "1001"), *(delivery(n, "1001", host="b") for n in range(3))]
    with IncidentWorld(tmp_path, records) as made:
        made.service.ledger.sealer.seal()
        made.desk.open_from_findings(made.evidence(), BY)
        with pytest.raises(UsageError, match="grantledger seal"):
            made.service.exports.create(question(made))
        made.service.ledger.sealer.seal()
        made.service.exports.create(question(made))


def test_a_table_of_an_incident_has_the_same_entries_as_its_export(world: IncidentWorld) -> None:
    root = approved(world)
    exported = {json.loads(line)["seq"] for line in (root / bag.ENTRIES).read_bytes().splitlines()}
    selection = make_views(world.service.ledger).open(Filter(incident=name_of(world)), ONE)
    shown = {one.row.seq for one in selection.entries()}
    assert exported <= shown
    assert shown - exported <= set(range(check(world, root).manifest["tree_size"], 10**6))


def test_the_bag_of_an_incident_can_be_tampered_with_by_nobody(world: IncidentWorld, tmp_path: Path) -> None:
    root = Path(shutil.copytree(approved(world), tmp_path / "bag"))
    target = root / "data/incident/findings.jsonl"
    target.write_bytes(target.read_bytes().replace(b"dev-b", b"dev-c"))
    relist(root)
    with pytest.raises(ProofError) as refused:
        check(world, root)
    assert refused.value.code == "FILE_CHANGED"
