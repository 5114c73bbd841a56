"""Every way to alter a published log, and what ``verify`` says of each (verdict rules, section 2.3).

The log was sealed twice and signed by its operator. Where the operator itself lies, it re-links, re-tiles and signs
with the real key; whoever has not the key leaves the checkpoint that was signed. The same for a live database is in
``test_tampering_database``.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.audit.report import Report
from ledger.audit.verify import Verified
from ledger.core import canonical
from ledger.core.merkle import hash_leaf
from ledger.settings import load_settings
from ledger.vault.ed25519 import Ed25519Signer
from ledger.verifying import Asked, run_verification
from tests.support.builders import seen
from tests.support.cli_process import Workplace
from tests.support.forged_logs import (
    ATTACKER,
    add_seal,
    encode_log,
    faults_of,
    ignore_progress,
    members_of,
    open_log,
    pad,
    publish,
    relink,
    sign,
    tell_events_apart,
)

SIZE = 600
FIRST_SEAL = 299
HERE = 100
Entries = list[bytes]
Faults = set[tuple[str, int]]


def make_honest() -> Entries:
    """600 entries, the 300th and the last of them seals; a few deliveries, all backed."""
    log = open_log()
    log.parties()
    log.add("endpoint.verified", 1, endpoint="wh-a")
    log.issue()
    for number in range(20):
        log.settle(log.attempt(f"d-{number}", at=1_000 + number))
        log.imported(f"i-{number}", at=2_000 + number, observed=seen())
    pad(log, FIRST_SEAL - log.size)
    add_seal(log)
    pad(log, SIZE - 1 - log.size)
    add_seal(log)
    return encode_log(tell_events_apart(log))


HONEST = make_honest()
SIGNED = sign(HONEST)


def ask(directory: Path, engine: str = "scalar", **asked: Any) -> Verified:
    """Verify a published log as the command does, with nothing remembered but in its own directory."""
    settings = load_settings({"GRANTLEDGER_STATE_DIR": str(directory.parent / "state")})
    vkey = asked.pop("vkey", directory / "log.vkey")
    return run_verification(
        settings, Asked(tiles=directory, vkey=vkey, engine=engine, processes=1, **asked), ignore_progress
    )


def look(directory: Path, engine: str = "scalar", **asked: Any) -> Report:
    """The report of :func:`ask`, remembering nothing."""
    return ask(directory, engine, remember=False, **asked).report


@pytest.fixture(params=["scalar", "duckdb"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """The honest log, published."""
    return publish(tmp_path / "public", HONEST)


def test_the_honest_log_is_clean(public: Path, engine: str) -> None:
    report = look(public, engine)
    assert (report.exit_status, report.findings, report.checkpoint_size) == (0, [], SIZE)
    assert report.verdicts["AUTHORIZED"] == 40


# --- Somebody without the key: files changed, the signed checkpoint stays.


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def files_of(public: Path, folder: str) -> list[Path]:
    return sorted(path for path in (public / folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("folder", ["tile/entries", "tile/0", "tile/1"])
def test_any_flipped_bit_in_a_bundle_or_a_tile_breaks_the_log(public: Path, folder: str) -> None:
    chance = random.Random(folder)
    for path in files_of(public, folder):
        honest = path.read_bytes()
        for _ in range(8):
            flip(path, chance.randrange(len(honest) * 8))
            report = look(public)
            assert report.exit_status == 2
            assert faults_of(report) & {
                (code, seq) for code in ("TILE_MISMATCH", "ENTRY_MALFORMED") for seq in range(SIZE)
            }
            path.write_bytes(honest)


def test_a_flipped_bit_in_an_entry_is_told_where_it_is(public: Path, engine: str) -> None:
    bundle = public / "tile/entries/000"
    at = bundle.read_bytes().index(HONEST[HERE]) + HONEST[HERE].index(b'"identity":"0') + len('"identity":"')
    flip(bundle, at * 8)
    assert faults_of(look(public, engine)) == {
        ("TILE_MISMATCH", HERE),
        ("TILE_MISMATCH", 0),  # of level 1, which holds the root of the group
        ("CHAIN_BROKEN", HERE + 1),
        ("ROOT_MISMATCH", SIZE - 1),
        ("MAP_ROOT_MISMATCH", FIRST_SEAL),
        ("MAP_ROOT_MISMATCH", SIZE - 1),
    }


def test_a_bundle_that_cannot_be_taken_apart_is_told_where_it_is(public: Path, engine: str) -> None:
    flip(public / "tile/entries/001", 7)
    assert faults_of(look(public, engine)) >= {("ENTRY_MALFORMED", 256), ("TRUNCATED", 256)}


def test_any_flipped_bit_in_the_checkpoint_makes_its_signature_invalid(tmp_path: Path) -> None:
    log = open_log()
    add_seal(log)
    public = publish(tmp_path / "public", encode_log(log))
    honest = (public / "checkpoint").read_bytes()
    for place in range(len(honest)):
        flip(public / "checkpoint", place * 8 + place % 8)
        report = look(public)
        assert report.exit_status == 2
        assert ("CHECKPOINT_SIGNATURE_INVALID", 0) in faults_of(report), place
        (public / "checkpoint").write_bytes(honest)


def test_a_checkpoint_that_claims_more_entries_than_anybody_could_read_is_refused(
    public: Path, engine: str
) -> None:
    note = SIGNED.replace(b"\n600\n", b"\n9007199254740991\n")
    (public / "checkpoint").write_bytes(note)
    assert ("CHECKPOINT_SIGNATURE_INVALID", 0) in faults_of(look(public, engine))


@pytest.mark.parametrize(
    ("path", "position"),
    [("tile/0/000", 17), ("tile/0/001", 256 + 17), ("tile/0/002.p/88", 512 + 17), ("tile/1/000.p/2", 0)],
)
def test_an_edited_tile_is_told_where_it_is(public: Path, engine: str, path: str, position: int) -> None:
    flip(public / path, 17 * 32 * 8 if path.startswith("tile/0") else 300)
    assert faults_of(look(public, engine)) == {("TILE_MISMATCH", position)}


@pytest.mark.parametrize("path", ["tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"])
@pytest.mark.parametrize("how", ["missing", "short", "long"])
def test_a_tile_that_is_missing_or_of_another_length_is_found(
    public: Path, engine: str, path: str, how: str
) -> None:
    data = (public / path).read_bytes()
    (public / path).unlink()
    if how != "missing":
        (public / path).write_bytes(data[:-1] if how == "short" else data + b"\0" * 32)
    report = look(public, engine)
    assert {code for code, _ in faults_of(report)} == {"TILE_MISMATCH"}


def removed(entries: Entries) -> tuple[Entries, Faults]:
    return entries[:HERE] + entries[HERE + 1 :], {("SEQ_GAP", HERE), ("CHAIN_BROKEN", HERE)}


def added(entries: Entries) -> tuple[Entries, Faults]:
    new = json.dumps(canonical.decode(entries[HERE]) | {"uid": "x/1"}, sort_keys=True, separators=(",", ":"))
    grown = [*entries[:HERE], new.encode(), *entries[HERE:]]
    return grown, {("SEQ_DUPLICATE", HERE + 1), ("CHAIN_BROKEN", HERE + 1)}


def doubled(entries: Entries) -> tuple[Entries, Faults]:
    grown = [*entries[: HERE + 1], *entries[HERE:]]
    return grown, {("SEQ_DUPLICATE", HERE + 1), ("CHAIN_BROKEN", HERE + 1), ("ENTRY_MALFORMED", HERE + 1)}


def swapped(entries: Entries) -> tuple[Entries, Faults]:
    turned = [*entries[:HERE], entries[HERE + 1], entries[HERE], *entries[HERE + 2 :]]
    return turned, {
        ("SEQ_GAP", HERE),
        ("SEQ_DUPLICATE", HERE + 1),
        ("SEQ_GAP", HERE + 2),
        *(("CHAIN_BROKEN", HERE + place) for place in range(3)),
    }


def moved(entries: Entries) -> tuple[Entries, Faults]:
    rest = entries[:HERE] + entries[HERE + 1 :]
    return [*rest[:400], entries[HERE], *rest[400:]], {
        ("SEQ_GAP", HERE),
        ("CHAIN_BROKEN", HERE),
        ("SEQ_DUPLICATE", 400),
        ("CHAIN_BROKEN", 400),
        ("CHAIN_BROKEN", 401),
    }


def cut(entries: Entries) -> tuple[Entries, Faults]:
    return entries[:512], {("TRUNCATED", 512)}


def beheaded(entries: Entries) -> tuple[Entries, Faults]:
    return entries[1:], {("SEQ_GAP", 0), ("CHAIN_BROKEN", 0), ("ENTRY_MALFORMED", 0)}


ORDERS: list[Callable[[Entries], tuple[Entries, Faults]]] = [
    removed,
    added,
    doubled,
    swapped,
    moved,
    cut,
    beheaded,
]


@pytest.mark.parametrize("tamper", ORDERS, ids=lambda tamper: tamper.__name__)
def test_entries_removed_added_or_moved_are_told_where(tmp_path: Path, engine: str, tamper: Any) -> None:
    entries, expected = tamper(HONEST)
    report = look(publish(tmp_path / "public", entries, SIGNED), engine)
    assert report.exit_status == 2
    assert expected <= faults_of(report)


@pytest.mark.parametrize("tamper", [removed, added, swapped], ids=lambda tamper: tamper.__name__)
def test_all_linked_tiled_and_counted_again_without_the_key_has_another_root_than_the_signed_one(
    tmp_path: Path, engine: str, tamper: Any
) -> None:
    entries = tamper(HONEST)[0]
    members = [canonical.decode(entry) for entry in entries]
    for seq, each in enumerate(members):
        each["seq"] = seq
        if each["kind"] == "index.sealed":
            each["map_size"] = seq
        if "decided_at_size" in each:
            each["decided_at_size"] = seq
    made = relink([canonical.encode(each) for each in members])
    # As many as were signed, so that nothing but the root can tell.
    made = (made + relink_tail(made))[:SIZE]
    assert ("ROOT_MISMATCH", SIZE - 1) in faults_of(look(publish(tmp_path / "public", made, SIGNED), engine))


def relink_tail(entries: Entries) -> Entries:
    """One more filler, linked to the last of ``entries``."""
    last = canonical.decode(entries[FIRST_SEAL - 5])
    return [
        canonical.encode(last | {"seq": len(entries), "prev": hash_leaf(entries[-1]).hex(), "uid": "x/2"})
    ]


def rewritten() -> Entries:
    """The honest log with another developer in one grant, everything re-linked and re-rooted."""
    members = [canonical.decode(entry) for entry in HONEST]
    members[20]["at"] = 1
    return relink([canonical.encode(each) for each in members])


def test_a_rewritten_log_that_fits_itself_everywhere_has_another_root_than_the_signed_one(
    tmp_path: Path, engine: str
) -> None:
    report = look(publish(tmp_path / "public", rewritten(), SIGNED), engine)
    assert faults_of(report) == {("ROOT_MISMATCH", SIZE - 1)}


def test_a_checkpoint_signed_by_another_key_under_the_same_name_is_refused(
    tmp_path: Path, engine: str
) -> None:
    entries = rewritten()
    report = look(publish(tmp_path / "public", entries, sign(entries, ATTACKER)), engine)
    assert faults_of(report) == {("CHECKPOINT_SIGNATURE_INVALID", 0)}
    assert report.checkpoint_size is None


def test_a_checkpoint_that_another_key_signed_beside_the_logs_counts_by_the_logs(
    public: Path, engine: str
) -> None:
    line = sign(HONEST, ATTACKER).splitlines(keepends=True)[-1]
    (public / "checkpoint").write_bytes(SIGNED + line)
    assert look(public, engine).exit_status == 0


def test_a_log_verified_under_another_key_of_its_name_is_not_the_log_asked_for(
    public: Path, engine: str
) -> None:
    (public / "log.vkey").write_text(ATTACKER.vkey())
    assert faults_of(look(public, engine)) == {("CHECKPOINT_SIGNATURE_INVALID", 0)}


def test_another_log_with_another_name_is_not_the_log_asked_for(public: Path, engine: str) -> None:
    other = Ed25519Signer("ledger.example/other", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    (public / "log.vkey").write_text(other.vkey())
    assert faults_of(look(public, engine)) == {("CHECKPOINT_SIGNATURE_INVALID", 0)}


# --- An older state.


def test_an_older_copy_than_a_checkpoint_kept_elsewhere_is_truncated(tmp_path: Path, engine: str) -> None:
    older = publish(tmp_path / "public", HONEST[: FIRST_SEAL + 1])
    kept = tmp_path / "kept"
    kept.write_bytes(SIGNED)
    assert look(older, engine).exit_status == 0
    assert faults_of(look(older, engine, checkpoint=kept)) == {("TRUNCATED", FIRST_SEAL + 1)}


def test_an_older_copy_than_the_one_verified_before_is_truncated(tmp_path: Path, engine: str) -> None:
    assert ask(publish(tmp_path / "new", HONEST), engine).report.exit_status == 0
    older = publish(tmp_path / "old", HONEST[: FIRST_SEAL + 1])
    for _ in range(2):
        assert faults_of(ask(older, engine).report) == {("TRUNCATED", FIRST_SEAL + 1)}


def test_a_log_that_goes_on_from_the_one_verified_before_is_clean(tmp_path: Path, engine: str) -> None:
    for size in (FIRST_SEAL + 1, SIZE):
        assert ask(publish(tmp_path / str(size), HONEST[:size]), engine).report.exit_status == 0


@pytest.mark.parametrize("size", [FIRST_SEAL + 1, SIZE])
def test_another_history_signed_with_the_real_key_contradicts_the_one_verified_before(
    tmp_path: Path, engine: str, size: int
) -> None:
    assert ask(publish(tmp_path / "seen", HONEST[:size]), engine).report.exit_status == 0
    fork = publish(tmp_path / "fork", rewritten())
    assert faults_of(ask(fork, engine).report) == {("CHECKPOINT_INCONSISTENT", size - 1)}


def test_a_broken_log_is_never_remembered(tmp_path: Path) -> None:
    entries = rewritten()
    ask(publish(tmp_path / "forged", entries, sign(entries, ATTACKER)))
    ask(publish(tmp_path / "forged-2", entries, SIGNED))
    assert not (tmp_path / "state").exists()
    assert ask(publish(tmp_path / "public", HONEST)).report.exit_status == 0


def test_a_checkpoint_kept_of_which_a_bit_was_flipped_is_refused(tmp_path: Path, public: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(SIGNED)
    flip(kept, 8 * 30)
    assert faults_of(look(public, checkpoint=kept)) == {("CHECKPOINT_SIGNATURE_INVALID", 0)}


# --- The operator itself: everything re-linked, re-tiled and signed with the real key.


def with_members(position: int, **changed: Any) -> Entries:
    """The honest log with other members in one entry, re-linked; real roots everywhere else."""
    members = [canonical.decode(entry) for entry in HONEST]
    for each in members:
        if each["kind"] == "index.sealed":
            each["map_root"] = "0" * 64
    members[position] |= changed
    return encode_log(members)


def signed_by_the_operator(tmp_path: Path, entries: Entries) -> Path:
    return publish(tmp_path / "public", entries)


def test_a_duplicated_seq_is_found_though_all_is_signed(tmp_path: Path, engine: str) -> None:
    members: list[dict[str, Any]] = [canonical.decode(entry) for entry in HONEST]
    for each in members[HERE:]:
        each["seq"] -= 1
        if each["kind"] == "index.sealed":
            each["map_root"], each["map_size"] = "0" * 64, each["map_size"] - 1
    report = look(signed_by_the_operator(tmp_path, encode_log(members)), engine)
    # The last seal says that it is one before the last entry, so that no entry of that seq seals the checkpoint.
    assert faults_of(report) == {("SEQ_DUPLICATE", HERE), ("MAP_ROOT_MISMATCH", SIZE - 1)}


def test_a_skipped_seq_is_found_though_all_is_signed(tmp_path: Path, engine: str) -> None:
    members = members_of(open_log())
    members += [members[0] | {"kind": "developer.registered", "developer": "d", "uid": "x", "seq": 2}]
    report = look(signed_by_the_operator(tmp_path, encode_log(members)), engine)
    assert ("SEQ_GAP", 1) in faults_of(report)


MANGLED: dict[str, Callable[[bytes], bytes]] = {
    "a space after a colon": lambda entry: entry.replace(b'"kind":', b'"kind": ', 1),
    "a space at the end": lambda entry: entry + b" ",
    "a newline at the end": lambda entry: entry + b"\n",
    "keys out of order": lambda entry: json.dumps(
        dict(reversed(json.loads(entry).items())), separators=(",", ":")
    ).encode(),
    "an escaped letter": lambda entry: entry.replace(b"account.registered", b"\\u0061ccount.registered"),
    "an escaped slash": lambda entry: entry.replace(b"account.registered/", b"account.registered\\/"),
    "a member twice": lambda entry: entry.replace(b'"v":1', b'"v":1,"v":1'),
    "a float": lambda entry: entry.replace(b'"v":1', b'"v":1.0'),
    "an exponent": lambda entry: entry.replace(b'"v":1', b'"v":1e0'),
    "a null": lambda entry: entry.replace(b'"v":1', b'"v":1,"w":null'),
    "a character beyond ASCII": lambda entry: entry.replace(b'"actor":"test', '"actor":"tést'.encode()),
    "two objects": lambda entry: entry + b",{}",
    "nothing": lambda entry: b"",
    "a byte order mark": lambda entry: b"\xef\xbb\xbf" + entry,
}


@pytest.mark.parametrize("how", MANGLED)
def test_an_entry_that_is_not_canonical_is_malformed_though_all_is_signed(
    tmp_path: Path, engine: str, how: str
) -> None:
    members: list[Any] = [canonical.decode(entry) for entry in HONEST]
    for each in members:
        if each["kind"] == "index.sealed":
            each["map_root"] = "0" * 64
    mangled = MANGLED[how](HONEST[HERE])
    assert mangled != HONEST[HERE]
    members[HERE] = mangled
    report = look(signed_by_the_operator(tmp_path, encode_log(members)), engine)
    assert faults_of(report) == {("ENTRY_MALFORMED", HERE)}


@pytest.mark.parametrize(
    "lie",
    [
        {"map_root": "1" * 64},
        {"map_root": canonical.decode(HONEST[FIRST_SEAL])["map_root"]},
        {"map_size": SIZE},
        {"map_size": FIRST_SEAL},
        {"map_size": 0},
        {"map_size": SIZE - 2, "map_root": canonical.decode(HONEST[-1])["map_root"]},
        {"map_fn": 2},
    ],
    ids=str,
)
def test_a_seal_that_lies_is_found_though_all_is_signed(tmp_path: Path, engine: str, lie: Any) -> None:
    report = look(signed_by_the_operator(tmp_path, with_members(SIZE - 1, **lie)), engine)
    assert faults_of(report) == {("MAP_ROOT_MISMATCH", SIZE - 1)}


def test_a_seal_may_be_as_far_behind_as_the_seal_before_it(tmp_path: Path, engine: str) -> None:
    entries = with_members(SIZE - 1, map_size=FIRST_SEAL + 1)
    assert look(signed_by_the_operator(tmp_path, entries), engine).exit_status == 0


def test_an_entry_left_out_of_the_index_is_found_though_all_is_signed(tmp_path: Path, engine: str) -> None:
    hidden = [canonical.decode(entry) for entry in HONEST]
    hidden[20] = hidden[HERE] | {"seq": 20}
    root = canonical.decode(
        encode_log(
            [each | ({"map_root": "0" * 64} if each["kind"] == "index.sealed" else {}) for each in hidden]
        )[-1]
    )["map_root"]
    entries = with_members(SIZE - 1, map_root=root)
    assert faults_of(look(signed_by_the_operator(tmp_path, entries), engine)) == {
        ("MAP_ROOT_MISMATCH", SIZE - 1)
    }


def test_a_checkpoint_over_something_else_than_a_seal_commits_to_no_index(
    tmp_path: Path, engine: str
) -> None:
    assert faults_of(look(signed_by_the_operator(tmp_path, HONEST[:HERE]), engine)) == {
        ("MAP_ROOT_MISMATCH", HERE - 1)
    }


def test_a_recorded_time_that_goes_back_is_found_though_all_is_signed(tmp_path: Path, engine: str) -> None:
    entries = with_members(HERE, recorded_at=1)
    assert faults_of(look(signed_by_the_operator(tmp_path, entries), engine)) == {("TIME_REGRESSION", HERE)}


def test_a_uid_used_twice_is_found_though_all_is_signed(tmp_path: Path, engine: str) -> None:
    entries = with_members(HERE, uid=canonical.decode(HONEST[3])["uid"])
    assert faults_of(look(signed_by_the_operator(tmp_path, entries), engine)) == {("ENTRY_MALFORMED", HERE)}


# --- Every level of tiles.


@pytest.fixture(scope="module")
def tall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 65,536 entries and some more, so that it has a tile of level 2."""
    log = open_log()
    filler = {"account": "a_" + "0" * 32, "identity": "0" * 64, "kind": "account.registered"}
    opened = members_of(log)
    opened += [opened[0] | filler | {"seq": seq, "uid": f"f/{seq}"} for seq in range(1, 65_536 + 99)]
    for members in opened[1:]:
        for name in ("origin", "vkey", "rule_set", "map_fn"):
            del members[name]
    seal = {"kind": "index.sealed", "map_size": 65_536 + 99, "map_root": "0" * 64, "map_fn": 1}
    common = {name: opened[0][name] for name in ("v", "recorded_at", "at", "actor", "via")}
    opened.append(common | seal | {"seq": 65_536 + 99, "uid": "index.sealed/1"})
    return publish(tmp_path_factory.mktemp("tall") / "public", encode_log(opened))


def test_the_tall_log_is_clean(tall: Path) -> None:
    assert look(tall, "duckdb", with_index=False).findings == []


@pytest.mark.parametrize(
    ("path", "position"),
    [("tile/0/255", 65_280), ("tile/1/000", 0), ("tile/2/000.p/1", 0), ("tile/0/256.p/100", 65_536)],
)
def test_an_edited_tile_of_each_level_is_found(tall: Path, path: str, position: int) -> None:
    honest = (tall / path).read_bytes()
    flip(tall / path, 3)
    try:
        assert faults_of(look(tall, "duckdb", with_index=False)) == {("TILE_MISMATCH", position)}
    finally:
        (tall / path).write_bytes(honest)


# --- As people run it.


def run_verify(place: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = Workplace(place).run(
        "verify", "--tiles", "public", "--vkey", "public/log.vkey", "--json", *arguments
    )
    return done.status, done.json()


def test_the_command_exits_0_on_the_honest_log(public: Path) -> None:
    status, report = run_verify(public.parent)
    assert (status, report["findings"], report["tree_size"]) == (0, [], SIZE)


def test_the_command_exits_2_and_says_where_when_a_bit_was_flipped(public: Path) -> None:
    flip(public / "tile/entries/000", 8 * 3_000)
    status, report = run_verify(public.parent, "--engine", "scalar")
    assert status == 2
    assert "TILE_MISMATCH" in report["codes"]
    assert all(finding["entries"] for finding in report["findings"])


def test_the_command_exits_2_when_the_older_copy_is_put_back(public: Path) -> None:
    assert run_verify(public.parent)[0] == 0
    shutil.rmtree(public)
    publish(public, HONEST[: FIRST_SEAL + 1])
    status, report = run_verify(public.parent)
    assert (status, list(report["codes"])) == (2, ["TRUNCATED"])


def test_the_command_exits_2_when_the_checkpoint_is_no_longer_one(public: Path) -> None:
    (public / "checkpoint").write_bytes(b"gone\n")
    status, report = run_verify(public.parent)
    assert (status, list(report["codes"])) == (2, ["CHECKPOINT_SIGNATURE_INVALID"])
    assert report["tree_size"] == SIZE


def test_the_command_exits_3_when_there_is_no_key_or_no_log(public: Path) -> None:
    place = Workplace(public.parent)
    assert place.run("verify", "--tiles", "public").status == 3
    assert place.run("verify", "--tiles", "nowhere", "--vkey", "public/log.vkey").status == 3
