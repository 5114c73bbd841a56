"""Exports on disk: bags that two programs check, what they hold, and what they refuse."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bagit
import pytest

from ledger.core import bag
from ledger.core.export_filter import Filter
from ledger.core.proof_files import code_of
from ledger.errors import LedgerError, ProofError
from ledger.exports.checking import BagChecking
from ledger.exports.selecting import Selected, Selection
from tests.support.export_world import TWO, ExportWorld, change, export_world, lose_entry, relist
from tests.support.proof_samples import ACCOUNT_ID


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExportWorld]:
    with export_world(tmp_path_factory.mktemp("exports")) as made:
        yield made


@pytest.fixture(scope="module")
def whole(world: ExportWorld) -> Path:
    """The bag of the whole log, approved, with identities opened."""
    return world.approved(profile="identities")


@pytest.fixture(scope="module")
def of_account(world: ExportWorld) -> Path:
    return world.approved(Filter(accounts=(world.tag,)))


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    """A bag to be tampered with."""
    return Path(shutil.copytree(whole, tmp_path / "bag"))


def refusal(world: ExportWorld, root: Path) -> str:
    with pytest.raises(LedgerError) as refused:
        world.check(root)
    return code_of(refused.value)


def offline(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The contained script, with the interpreter alone."""
    command = [sys.executable, "-I", "-S", str(root / "data/verify/verify.py"), str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={})


def lines(root: Path, path: str) -> list[bytes]:
    return (root / path).read_bytes().splitlines()


def test_the_bagit_package_finds_a_bag_of_version_1_0(whole: Path) -> None:
    made = bagit.Bag(str(whole))
    made.validate()
    assert made.version == "1.0"
    assert made.algorithms == ["sha256"]


def test_the_whole_log_is_in_it_to_the_byte_and_none_is_missing(world: ExportWorld, whole: Path) -> None:
    checked = world.check(whole)
    rows = world.ledger.store.fetch_range(0, checked.opened.checkpoint.size)
    assert lines(whole, bag.ENTRIES) == [row.data for row in rows]
    assert checked.is_contiguous
    assert checked.is_trusted


def test_the_contained_script_proves_it_with_the_standard_library_alone(
    world: ExportWorld, whole: Path
) -> None:
    done = offline(whole, "--vkey", world.ledger.vkey)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("PROVEN\nThis shows:\n")
    assert "They are all entries from 0 to" in done.stdout


def test_checking_leaves_no_file_in_the_bag(world: ExportWorld, whole: Path) -> None:
    before = sorted(path for path in whole.rglob("*"))
    offline(whole)
    world.check(whole)
    assert sorted(path for path in whole.rglob("*")) == before


def test_without_a_key_the_script_says_that_this_is_self_consistency_only(whole: Path) -> None:
    assert offline(whole).stdout.startswith("NOT CHECKED AGAINST A TRUSTED KEY")


def test_the_script_refuses_another_log_key_than_the_trusted_one(whole: Path) -> None:
    other = "ledger.example/demo+51820809+AWS654qA14jk2FdC6nBZBYP/+Goetd4ozHHkJlTogkzp"
    done = offline(whole, "--vkey", other)
    assert (done.returncode, done.stdout.split(": ")[1]) == (1, "KEY_NOT_TRUSTED")


def test_everything_about_an_account_is_in_its_export_and_that_is_proven(
    world: ExportWorld, of_account: Path
) -> None:
    checked = world.check(of_account)
    claims = {
        item["key"]: (item["claim"], item["recorded"], item["shown"]) for item in checked.manifest["keys"]
    }
    with world.ledger.proofs.snapshot() as snapshot:
        row = snapshot.load_row(f"acct:{world.tag}")
    assert row is not None
    assert claims[f"acct:{world.tag}"] == ("complete", row.count, row.count)


def test_few_entries_carry_proofs_that_other_tools_read(world: ExportWorld, of_account: Path) -> None:
    proofs = [json.loads(line)["proof"] for line in lines(of_account, bag.INCLUSION)]
    assert all(proof.startswith("c2sp.org/tlog-proof@v1\nextra ") for proof in proofs)
    assert len(proofs) == world.check(of_account).manifest["entries"]


def test_many_entries_are_proven_together(
    world: ExportWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.core.bag_entries.EACH_MAX", 1)
    root = world.approved(Filter(kinds=("grant.issued", "delivery.imported")))
    checked = world.check(root)
    assert checked.manifest["proofs"] == bag.TOGETHER
    proof = lines(root, bag.INCLUSION)
    assert 0 < len(proof) < 5 * checked.manifest["entries"]
    for place in range(len(proof)):
        copy = Path(shutil.copytree(root, tmp_path / f"bag-{place}"))
        changed = [*proof]
        changed[place] = changed[place].replace(b'"hash":"', b'"hash":"' + b"0" * 64 + b'","x":"', 1)
        change(copy, bag.INCLUSION, lambda _, made=changed: b"\n".join(made) + b"\n")  # type: ignore[misc]
        with pytest.raises(LedgerError):
            world.check(copy)


def test_a_narrowed_export_says_how_many_entries_there_are(world: ExportWorld) -> None:
    root = world.approved(Filter(accounts=(world.tag,), kinds=("grant.issued",)))
    (claim, _) = world.check(root).manifest["keys"]
    assert claim["claim"] == "counted"
    assert claim["shown"] < claim["recorded"]


def test_that_nothing_is_recorded_about_a_pair_is_proven(world: ExportWorld) -> None:
    root = world.approved(Filter(pairs=(f"{world.tag}:dev-other",)))
    checked = world.check(root)
    assert (checked.manifest["entries"], checked.manifest["keys"][0]["recorded"]) == (0, 0)


def test_a_stretch_of_the_log_holds_just_that(world: ExportWorld) -> None:
    checked = world.check(world.approved(Filter(seq_from=3, seq_to=9)))
    assert (checked.first_seq, checked.manifest["entries"], checked.is_contiguous) == (3, 6, True)


def test_identities_are_opened_only_where_the_profile_says_so(whole: Path, of_account: Path) -> None:
    assert ACCOUNT_ID in [json.loads(line)["value"] for line in lines(whole, bag.OPENINGS)]
    assert lines(of_account, bag.OPENINGS) == []
    withheld = [json.loads(line) for line in lines(of_account, bag.REDACTIONS)]
    assert {"field": "identity", "reason": "not_asked"}.items() <= withheld[0].items()


def test_redaction_drops_no_row(world: ExportWorld, whole: Path) -> None:
    closed = world.approved()
    assert lines(closed, bag.ENTRIES)[:18] == lines(whole, bag.ENTRIES)[:18]


def test_the_table_has_a_row_for_each_entry_and_runs_no_formula(whole: Path) -> None:
    with (whole / bag.TABLE).open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [int(row["seq"]) for row in rows] == list(range(len(lines(whole, bag.ENTRIES))))
    assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for row in rows for cell in row.values())


def test_an_edited_bag_is_refused_before_its_lists_are_made_right(world: ExportWorld, copied: Path) -> None:
    change(copied, "data/README.html", lambda data: data + b" ", hide=False)
    assert refusal(world, copied) == "FILE_CHANGED"
    with pytest.raises(bagit.BagError):
        bagit.Bag(str(copied)).validate()


EDITS: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "a file": ("data/README.html", lambda data: data + b" ", "FILE_CHANGED"),
    "an entry": (bag.ENTRIES, lambda data: data.replace(b"dev-a", b"dev-z", 1), "FILE_CHANGED"),
    "the manifest": (bag.MANIFEST, lambda data: data.replace(b"case-1", b"case-2"), "MANIFEST_CHANGED"),
    "custody": (bag.CUSTODY, lambda data: data.replace(b"operator:two", b"operator:six"), "CUSTODY_CHANGED"),
    "the signature": (
        bag.SIGNATURE,
        lambda data: data.replace(b'"sig":"', b'"sig":"' + b"A" * 86 + b'==","x":"'),
        "PROOF_MALFORMED",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_export_edited_after_approval_is_refused(world: ExportWorld, copied: Path, name: str) -> None:
    path, edit, code = EDITS[name]
    change(copied, path, edit)
    assert refusal(world, copied) == code
    assert f"NOT PROVEN: {code}" in offline(copied, "--vkey", world.ledger.vkey).stdout


@pytest.mark.parametrize(
    "path",
    ["bag-info.txt", "bagit.txt", bag.MANIFEST, bag.SIGNATURE, bag.CUSTODY, bag.CHECKPOINT, bag.REDACTIONS],
)
def test_no_byte_can_be_edited_after_approval_even_with_the_lists_made_right(
    world: ExportWorld, copied: Path, path: str
) -> None:
    data = (copied / path).read_bytes()
    for place in range(0, len(data), max(1, len(data) // 120)):
        (copied / path).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        relist(copied, path)
        with pytest.raises(LedgerError):
            world.check(copied)
    (copied / path).write_bytes(data)
    relist(copied, path)
    world.check(copied)


def test_what_no_signature_is_over_says_nothing_of_its_own(world: ExportWorld, copied: Path) -> None:
    edit = (copied / "bag-info.txt").read_bytes().replace(b"case-1", b"case-2")
    (copied / "bag-info.txt").write_bytes(edit)
    relist(copied)
    assert refusal(world, copied) == "FILE_CHANGED"
    assert "NOT PROVEN: FILE_CHANGED" in offline(copied, "--vkey", world.ledger.vkey).stdout


@pytest.mark.parametrize("wanted", [Filter(), Filter(seq_from=3, seq_to=9), Filter(seq_to=10**9)])
def test_an_export_of_everything_that_leaves_something_out_is_not_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Filter
) -> None:
    entries = Selection.entries

    def without_one(self: Selection, *told: Any) -> Iterator[Selected]:
        return (one for one in entries(self, *told) if one.row.seq != 5)

    with export_world(tmp_path) as operator:
        with monkeypatch.context() as patch:
            patch.setattr(Selection, "entries", without_one)
            made = operator.desk.create(operator.question(wanted))
        with pytest.raises(ProofError, match="not all entries that the filter selects"):
            operator.desk.approve(made.export, TWO)
        # An operator that leaves its own check out signs it all the same.
        monkeypatch.setattr(BagChecking, "whole", lambda *_: None)
        operator.desk.approve(made.export, TWO)
        done = offline(operator.desk.bag_of(made.export), "--vkey", operator.ledger.vkey)
        assert (done.returncode, done.stdout.split(": ")[1]) == (1, "INDEX_OMISSION")


def test_an_export_that_nobody_approved_is_refused(world: ExportWorld, copied: Path) -> None:
    (copied / bag.SIGNATURE).unlink()
    relist(copied)
    assert refusal(world, copied) == "NOT_APPROVED"


def test_a_missing_file_and_one_too_many_are_refused(world: ExportWorld, copied: Path) -> None:
    (copied / "data/extra.txt").write_text("x")
    assert refusal(world, copied) == "FILE_UNLISTED"
    relist(copied)
    assert refusal(world, copied) == "FILE_UNLISTED"
    (copied / "data/extra.txt").unlink()
    (copied / "data/README.html").unlink()
    relist(copied)
    assert refusal(world, copied) == "FILE_UNLISTED"


@pytest.mark.parametrize("name", ["a b", "con.txt", "x.", "-x", "bücher", "a\\b", "c:d", "..x"])
def test_a_name_that_another_system_reads_otherwise_is_refused(
    world: ExportWorld, copied: Path, name: str
) -> None:
    (copied / "data" / name).write_text("x")
    assert refusal(world, copied) == "PROOF_MALFORMED"
    assert "NOT PROVEN: PROOF_MALFORMED" in offline(copied).stdout


def test_two_names_that_differ_in_case_alone_are_refused(world: ExportWorld, copied: Path) -> None:
    (copied / "data/readme.HTML").write_text("x")
    assert refusal(world, copied) == "PROOF_MALFORMED"


def test_links_and_pipes_are_refused_before_they_are_read(
    world: ExportWorld, copied: Path, tmp_path: Path
) -> None:
    target = copied / "data/README.html"
    outside = tmp_path / "outside"
    outside.write_bytes(target.read_bytes())
    target.unlink()
    target.symlink_to(outside)
    assert refusal(world, copied) == "PROOF_MALFORMED"
    target.unlink()
    os.mkfifo(target)
    assert refusal(world, copied) == "PROOF_MALFORMED"
    target.unlink()
    (copied / "data/linked").symlink_to(tmp_path)
    assert refusal(world, copied) == "PROOF_MALFORMED"


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "data/../../x", "data//x", "data/./x"])
def test_a_list_that_names_something_outside_is_refused(world: ExportWorld, copied: Path, path: str) -> None:
    listed = (copied / "manifest-sha256.txt").read_bytes()
    (copied / "manifest-sha256.txt").write_bytes(listed + b"0" * 64 + b"  " + path.encode() + b"\n")
    with pytest.raises(LedgerError):
        world.check(copied)


def test_the_manifest_says_what_it_is_and_for_whom(world: ExportWorld, whole: Path) -> None:
    told = json.loads((whole / bag.MANIFEST).read_bytes())
    assert (told["requester"], told["case"], told["legal_basis"]) == ("A regulator", "case-1", "Art. 58")
    assert told["rule_set_sha256"]
    assert told["recorded_at"]["first"] <= told["recorded_at"]["last"]
    assert sum(item["count"] for item in told["kinds"]) == told["entries"]
    rows = {file["path"]: file.get("rows") for file in told["files"]}
    assert rows["ledger/entries.jsonl"] == rows["ledger/entries.csv"] == told["entries"]


def test_an_entry_that_the_database_lost_is_no_export(tmp_path: Path) -> None:
    with export_world(tmp_path) as other:
        lose_entry(other, 4)
        with pytest.raises(LedgerError, match="entry 4 is not in the database"):
            other.desk.create(other.question())
        assert [
            path.name for path in (tmp_path / "ledger.db.exports").iterdir() if "making" in path.name
        ] == []


def test_a_statement_for_another_export_is_refused(
    world: ExportWorld, whole: Path, of_account: Path, tmp_path: Path
) -> None:
    mixed = Path(shutil.copytree(whole, tmp_path / "mixed"))
    shutil.copy(of_account / bag.SIGNATURE, mixed / bag.SIGNATURE)
    relist(mixed)
    with pytest.raises(ProofError) as refused:
        world.check(mixed)
    assert refused.value.code == "MANIFEST_CHANGED"
