"""Lies that take more than another log: an older database, two histories at once, an edited file, an entry taken back.

Each looks by itself whether it is caught, by the code that would catch it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.audit.cosigners import WitnessDemand, check_cosigners
from ledger.audit.identities import IdentityCheck
from ledger.audit.shown_bundles import ShownBundle
from ledger.core.add_checkpoint import AddCheckpoint, format_add_checkpoint, parse_cosignatures
from ledger.core.completeness import CheckedCompleteness
from ledger.core.faults import FaultList
from ledger.core.note import format_note, parse_note
from ledger.core.proof_files import Known, check_proof_file
from ledger.engines.scalar import ScalarEngine
from ledger.errors import ForkError, QuorumError
from ledger.ports.cosigning import WitnessAnswer
from ledger.store.database_log import DatabaseLog
from ledger.vault.ed25519 import verify_ed25519
from ledger.vault.witness_policies import witness_verifiers
from ledger.witness.place import OpenedWitness, open_witness
from tests.lies.neighbours import WITNESSES, InProcess
from tests.lies.place import PEOPLE, Place
from tests.lies.put_back import PutBack
from tests.lies.shown import Shown, grown
from tests.lies.telling import Stage
from tests.support.forged_logs import report_bytes, verify_source
from tests.support.log_world import ORIGIN, SIGNER


@contextmanager
def _copied(place: Place) -> Iterator[Path]:
    """A copy of the ledger's database, its record and both witnesses, with which anything may be done."""
    directory = place.directory.with_name(place.directory.name + ".copy")
    directory.mkdir()
    back_up(place, directory / "ledger.db")
    shutil.copy(place.directory / "signed", directory / "signed")
    for name in WITNESSES:
        shutil.copytree(place.directory / name, directory / name)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def back_up(place: Place, path: Path) -> None:
    """A copy of the database as it is now."""
    with sqlite3.connect(place.directory / "ledger" / "ledger.db") as live, sqlite3.connect(path) as copy:
        live.backup(copy)
    live.close()
    copy.close()


@contextmanager
def _opened(directory: Path) -> Iterator[sqlite3.Connection]:
    """The copied database, as somebody has it who may do everything there."""
    database = sqlite3.connect(directory / "ledger.db")
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f'DROP TRIGGER "{name}"')
    with database:
        yield database
    database.close()


def _is_caught(error: type[Exception], act: Callable[[], object]) -> bool:
    try:
        act()
    except error:
        return True
    return False


def older_database(stage: Stage) -> None:
    """An older copy of the database is the ledger: the sealer sees its record and signs nothing."""
    _put_back(stage, with_record=False)


def older_database_and_record(stage: Stage) -> None:
    """The same with the record of that time: the witnesses know better, and the sealer asks them first."""
    _put_back(stage, with_record=True)


def _put_back(stage: Stage, *, with_record: bool) -> None:
    place = stage.place
    with _copied(place) as directory:
        (directory / "older").mkdir()
        backup = place.directory / "backup"
        shutil.copy(backup / "ledger.db", directory / "older" / "ledger.db")
        record = backup / "signed" if with_record else place.directory / "signed"
        shutil.copy(record, directory / "signed")
        witnesses = {name: open_witness(directory / name, place.clock) for name in WITNESSES}
        # The first is found without any witness, the second by nobody else.
        put_back = PutBack(directory, place, witnesses, asks=with_record)
        try:
            put_back.append("developer.registered", developer="dev-z")
            assert _is_caught(ForkError, put_back.seal), "a ledger that was put back is not signed"
        finally:
            put_back.close()


def two_histories(stage: Stage) -> None:
    """Each witness is shown another history: neither gets a quorum, and each witness refuses the other's."""
    place, shown = stage.place, stage.shown
    one, other = (
        grown(shown, {"kind": "developer.registered", "developer": f"dev-{letter}"}) for letter in "xy"
    )
    demand = WitnessDemand(place.policy, witness_verifiers(place.policy))
    with _copied(place) as directory:
        for name, first, second in (("w1", one, other), ("w2", other, one)):
            with open_witness(directory / name, place.clock) as witness:
                answer = _ask(witness, first, shown.size)
                assert answer.status == 200
                line = parse_cosignatures(answer.body)[0]
                note = format_note(parse_note(first.note).text, [*parse_note(first.note).signatures, line])
                faults = FaultList()
                check_cosigners(note, demand, faults)
                assert [fault.code for fault in faults.kept] == ["CHECKPOINT_SIGNATURE_INVALID"]
                assert _ask(witness, second, second.size).status == 422


def _ask(witness: OpenedWitness, shown: Shown, old_size: int) -> WitnessAnswer:
    request = AddCheckpoint(old_size, shown.prove_growth(old_size), shown.note)
    answer = witness.witness.add_checkpoint(format_add_checkpoint(request))
    return WitnessAnswer(answer.status, answer.media_type, answer.body)


def replayed_cosignature(stage: Stage) -> None:
    """Somebody answers in a witness's place with what it cosigned before: it counts for nothing."""
    place = stage.place
    lines = [one for one in parse_note(stage.shown.note).signatures if one.name != ORIGIN]
    grown_note = grown(stage.shown)

    class Replaying(InProcess):
        def post(self, url: str, body: bytes) -> WitnessAnswer:
            text = "".join(format_note("x\n", [one]).decode().partition("\n\n")[2] for one in lines[:1])
            return WitnessAnswer(200, "text/plain", text.encode())

    cosigning = place.make_cosigning({}, calls=Replaying({}))
    assert _is_caught(
        QuorumError, lambda: cosigning.cosign(grown_note.bare_note(), grown_note.prove_growth)
    ), "a cosignature of another checkpoint makes up no quorum"


def edited_tile(stage: Stage) -> None:
    """A stored hash is another one than the entries give."""
    with _copied(stage.place) as directory:
        with _opened(directory) as database:
            rows = database.execute("SELECT path, data FROM tiles ORDER BY path").fetchall()
            path, data = rows[stage.choose(len(rows))]
            at = stage.choose(len(data))
            edited = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            database.execute("UPDATE tiles SET data = ? WHERE path = ?", (edited, path))
        found = _codes_of(stage, directory)
    # Only the tiles of the tree that is signed are read; those before it have been outgrown.
    widest = max((int(row[0].rpartition(".p/")[2]), row[0]) for row in rows)[1]
    assert found == ({"TILE_MISMATCH"} if path == widest else set()), (path, found)


def edited_column(stage: Stage) -> None:
    """A column that no hash covers says something else: nobody judges by it."""
    before = verify_source(stage.shown, ScalarEngine()).report
    with _copied(stage.place) as directory:
        with _opened(directory) as database:
            seq = stage.choose(len(stage.shown.entries))
            database.execute("UPDATE entries SET uid = 'edited' WHERE seq = ?", (seq,))
        log = DatabaseLog(f"sqlite:///{directory / 'ledger.db'}")
        after = verify_source(log, ScalarEngine(), hashes_are_tiles=False).report
        log.close()
    assert report_bytes(before) == report_bytes(after)


def edited_leaf_hash(stage: Stage) -> None:
    """The leaf hash that is stored beside an entry is another one."""
    with _copied(stage.place) as directory:
        with _opened(directory) as database:
            seq = stage.choose(len(stage.shown.entries))
            database.execute("UPDATE entries SET leaf_hash = ? WHERE seq = ?", (b"\7" * 32, seq))
        assert _codes_of(stage, directory) == {"TILE_MISMATCH"}


def _codes_of(stage: Stage, directory: Path) -> set[str]:
    """What is found in the copied database beyond what the lies before have left there."""
    log = DatabaseLog(f"sqlite:///{directory / 'ledger.db'}")
    found = verify_source(log, ScalarEngine(), hashes_are_tiles=False).report.findings
    log.close()
    codes: set[str] = {one.code for one in found}
    return codes - set(stage.watchers.codes(stage.shown))


def not_sealed_yet(stage: Stage) -> None:
    """An entry that no checkpoint covers is changed: nothing can tell, and the report says so."""
    on = grown(stage.shown, {"kind": "developer.registered", "developer": "dev-x"})
    lying = Shown(on.entries[:-1], stage.shown.note)
    report = stage.watchers.report(lying, is_kept=True)
    assert {one.code for one in report.findings} == set(stage.watchers.codes(stage.shown))
    assert "1 entries are not sealed yet: they could still be changed unnoticed" in report.notes


def second_tag(stage: Stage) -> None:
    """Somebody has a second tag, under which things can be kept from it: who sees the vault finds both."""
    place, person = stage.place, PEOPLE[stage.choose(len(PEOPLE))]
    hidden = "a_" + "5" * 32
    subject = place.vault.find([person])[person]
    uid = f"account.registered/{hidden}"
    identity = place.commitments.identity(subject, uid, person)
    shown = grown(
        stage.shown, {"kind": "account.registered", "account": hidden, "identity": identity, "uid": uid}
    )

    def accounts_of(tags: object) -> dict[str, str]:
        # The vault of this operator has a row for the hidden tag, too.
        return place.vault.account_of(tags) | {hidden: person}  # type: ignore[arg-type]

    def commit(account_id: str, its_uid: str) -> str | None:
        found = place.vault.find([account_id]).get(account_id)
        return None if found is None else place.commitments.identity(found, its_uid, account_id)

    found = stage.watchers.report(shown, identities=IdentityCheck(accounts_of, commit)).findings
    assert {one.code for one in found} - set(stage.watchers.codes(stage.shown)) == {"SPLIT_IDENTITY"}


def suppressed_revocation(stage: Stage) -> None:
    """An account revoked and was given its ticket; the entry never comes, or comes later with a later time."""
    place = stage.place
    place.clock.ms += 2_000
    grant = place.grant(PEOPLE[stage.choose(len(PEOPLE))], "dev-a")
    place.seal()
    place.clock.ms += 2_000
    before = place.shown()
    stage.watchers.keep(before)
    ticket = place.revoke(grant)
    later = {
        "kind": "grant.revoked",
        "grant": grant.name,
        "account": place.tag(grant.person),
        "developer": "dev-a",
    }
    filler = {"kind": "developer.registered", "developer": "dev-w"}
    shown = grown(before, filler, *([later] if stage.choose(2) else []))
    caught = stage.watchers.look(shown)
    assert ("account", "ticket broken") in caught, (ticket, caught)
    assert stage.watchers.codes(shown) == stage.watchers.codes(before), "nobody else has anything against it"
    place.seal()
    assert ("account", "ticket broken") not in stage.watchers.look(place.shown())


def omission_that_was_shown(stage: Stage) -> None:
    """The signed index leaves out an entry of somebody, who shows an auditor what it was shown."""
    person = PEOPLE[stage.choose(len(PEOPLE))]
    tag = stage.place.tag(person)
    about = [seq for seq, one in enumerate(stage.shown.members()) if one.get("account") == tag]
    left_out = about[stage.choose(len(about))]
    lying = grown(stage.shown, omitted=frozenset({left_out}))
    given = stage.watchers.bundle(lying, person)
    assert stage.watchers.refusal(given, f"acct:{tag}") is None, "the bundle is as it was signed"
    proven = check_proof_file(given, Known(SIGNER.vkey()), verify_ed25519).proven
    assert isinstance(proven, CheckedCompleteness)
    bundle = ShownBundle("what was shown", lying.note, proven)
    found = verify_source(lying, ScalarEngine(), bundles=[bundle]).report.findings
    assert [one.entries for one in found if one.code == "INDEX_OMISSION"] == [(left_out,)]


PLACE_LIES = (
    omission_that_was_shown,
    two_histories,
    replayed_cosignature,
    edited_tile,
    edited_column,
    edited_leaf_hash,
    not_sealed_yet,
    second_tag,
    suppressed_revocation,
    older_database,
    older_database_and_record,
)
NEEDS_BACKUP = (older_database, older_database_and_record)
