"""What a witness answers, and what it then knows (transparency formats, section 4.6)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.core.add_checkpoint import AddCheckpoint, format_add_checkpoint, parse_cosignatures
from ledger.core.checkpoint import sign_checkpoint
from ledger.core.cosignature import decode_cosignature
from ledger.core.fork_evidence import check_fork_evidence, parse_fork_evidence
from ledger.core.note import format_note, open_note, parse_note, sign_note
from ledger.vault.cosignatures import cosigner_from_seed
from ledger.vault.ed25519 import from_seed
from ledger.witness.book import EVIDENCE_MAX, UNEXPLAINED_MAX
from ledger.witness.place import OpenedWitness
from ledger.witness.witness import Answer
from tests.support.histories import History
from tests.support.witness_world import HandClock, make_witness

LOG = from_seed("ledger.example/acme", bytes(32))
STRANGER = from_seed("ledger.example/stranger", bytes(32))
HISTORY = History("a", LOG)
SIZE_TYPE = "text/x.tlog.size"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def opened(tmp_path: Path, clock: HandClock) -> Iterator[OpenedWitness]:
    made = make_witness(tmp_path / "w1", clock=clock)
    made.book.add_key(LOG.vkey(), 0)
    yield made
    made.engine.dispose()


def ask(opened: OpenedWitness, old_size: int, size: int, history: History = HISTORY) -> Answer:
    return opened.witness.add_checkpoint(history.request(old_size, size))


def known_size(opened: OpenedWitness) -> int:
    last = opened.book.load(LOG.name)
    return 0 if last is None else last.size


def test_the_first_checkpoint_of_a_known_log_is_cosigned(opened: OpenedWitness, clock: HandClock) -> None:
    answer = ask(opened, 0, 5)
    assert answer.status == 200
    text = parse_note(HISTORY.note(5)).text
    note = open_note(format_note(text, parse_cosignatures(answer.body)), [opened.signer.verifier()])
    assert decode_cosignature(note.verified_signatures[0].signature).time_s == clock.ms // 1_000


def test_what_continues_it_is_cosigned_with_a_proof(opened: OpenedWitness) -> None:
    assert [ask(opened, old, new).status for old, new in ((0, 5), (5, 9), (9, 300))] == [200, 200, 200]
    assert known_size(opened) == 300


def test_what_was_cosigned_is_cosigned_again(opened: OpenedWitness, clock: HandClock) -> None:
    ask(opened, 0, 5)
    clock.ms += 60_000
    answer = ask(opened, 5, 5)
    assert answer.status == 200
    line = parse_cosignatures(answer.body)[0]
    assert decode_cosignature(line.signature).time_s == clock.ms // 1_000


def test_the_time_never_goes_back(opened: OpenedWitness, clock: HandClock) -> None:
    first = decode_cosignature(parse_cosignatures(ask(opened, 0, 5).body)[0].signature).time_s
    clock.ms -= 3_600_000
    second = decode_cosignature(parse_cosignatures(ask(opened, 5, 9).body)[0].signature).time_s
    assert second == first


def test_an_empty_log_is_cosigned(opened: OpenedWitness) -> None:
    assert ask(opened, 0, 0).status == 200
    assert ask(opened, 0, 5).status == 200


@pytest.mark.parametrize("old_size", [0, 3, 4, 6])
def test_another_old_size_is_told_the_right_one(opened: OpenedWitness, old_size: int) -> None:
    ask(opened, 0, 5)
    assert ask(opened, old_size, 9) == Answer(409, b"5\n", SIZE_TYPE)


def test_a_log_never_seen_conflicts_with_size_0(opened: OpenedWitness) -> None:
    assert ask(opened, 3, 5) == Answer(409, b"0\n", SIZE_TYPE)


def test_an_old_size_above_the_checkpoints_is_malformed(opened: OpenedWitness) -> None:
    ask(opened, 0, 9)
    body = format_add_checkpoint(AddCheckpoint(9, (), HISTORY.note(5)))
    assert opened.witness.add_checkpoint(body).status == 400


def test_a_shrunken_log_is_not_cosigned(opened: OpenedWitness) -> None:
    ask(opened, 0, 9)
    assert [ask(opened, old, 5).status for old in (0, 5)] == [409, 409]
    assert known_size(opened) == 9


def test_an_unknown_log_is_not_found(opened: OpenedWitness) -> None:
    assert ask(opened, 0, 5, History("a", STRANGER)).status == 404


def test_a_checkpoint_that_the_log_did_not_sign_is_forbidden(opened: OpenedWitness) -> None:
    text = parse_note(HISTORY.note(5)).text
    foreign = from_seed(LOG.name, bytes(range(32)))
    for signer in (STRANGER, foreign):
        body = format_add_checkpoint(AddCheckpoint(0, (), sign_note(text, [signer])))
        assert opened.witness.add_checkpoint(body).status == 403


def test_a_signature_that_fails_is_forbidden_though_another_holds(opened: OpenedWitness) -> None:
    good = parse_note(HISTORY.note(5))
    bad = parse_note(HISTORY.note(6)).signatures
    body = format_add_checkpoint(AddCheckpoint(0, (), format_note(good.text, [*good.signatures, *bad])))
    assert opened.witness.add_checkpoint(body).status == 403


@pytest.mark.parametrize(
    "body", [b"", b"old 0\n\n", b"old 0\n\nx\n", b"old x\n\n" + HISTORY.note(5), b"\xff"]
)
def test_what_is_no_request_is_malformed(opened: OpenedWitness, body: bytes) -> None:
    assert opened.witness.add_checkpoint(body).status == 400


def test_extension_lines_of_another_log_are_cosigned_with_it(opened: OpenedWitness) -> None:
    text = parse_note(HISTORY.note(5)).text + "extension\n"
    answer = opened.witness.add_checkpoint(
        format_add_checkpoint(AddCheckpoint(0, (), sign_note(text, [LOG])))
    )
    note = format_note(text, parse_cosignatures(answer.body))
    assert open_note(note, [opened.signer.verifier()]).verified == (opened.signer.name,)


def test_other_peoples_lines_on_the_checkpoint_change_nothing(opened: OpenedWitness) -> None:
    text = parse_note(HISTORY.note(5)).text
    junk = [cosigner_from_seed(f"other.example/{number}", bytes(32)).cosign(text, 1) for number in range(9)]
    note = format_note(text, [*junk, *parse_note(HISTORY.note(5)).signatures])
    assert opened.witness.add_checkpoint(format_add_checkpoint(AddCheckpoint(0, (), note))).status == 200
    last = opened.book.load(LOG.name)
    assert last is not None
    assert last.note == HISTORY.note(5)


def test_a_log_may_sign_with_its_next_key(opened: OpenedWitness) -> None:
    following = from_seed(LOG.name, bytes(range(32)))
    ask(opened, 0, 5)
    rotated = History("a", following)
    assert ask(opened, 5, 9, rotated).status == 403
    opened.book.add_key(following.vkey(), 1)
    assert ask(opened, 5, 9, rotated).status == 200


@pytest.mark.parametrize("change", ["drop", "add", "flip", "swap", "other"])
def test_a_proof_that_does_not_hold_is_refused(opened: OpenedWitness, change: str) -> None:
    ask(opened, 0, 5)
    proof = list(HISTORY.prove(5, 300))
    changed = {
        "drop": proof[:-1],
        "add": [*proof, bytes(32)],
        "flip": [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]],
        "swap": [proof[1], proof[0], *proof[2:]],
        "other": list(HISTORY.prove(6, 300)),
    }[change]
    body = format_add_checkpoint(AddCheckpoint(5, tuple(changed), HISTORY.note(300)))
    assert opened.witness.add_checkpoint(body).status == 422
    assert known_size(opened) == 5


def test_a_proof_from_nothing_is_refused(opened: OpenedWitness) -> None:
    body = format_add_checkpoint(AddCheckpoint(0, (bytes(32),), HISTORY.note(5)))
    assert opened.witness.add_checkpoint(body).status == 422
    assert (opened.book.load(LOG.name), opened.book.evidence()) == (None, [])


def test_an_equal_size_with_another_root_is_a_fork_and_kept(opened: OpenedWitness) -> None:
    ask(opened, 0, 5)
    answer = ask(opened, 5, 5, HISTORY.fork(4))
    assert answer.status == 422
    (kept,) = opened.book.evidence()
    assert answer.body == kept.data
    checked = check_fork_evidence(parse_fork_evidence(kept.data), [LOG.verifier()])
    assert (checked.fork, checked.known, checked.shown) == (
        "fork",
        HISTORY.checkpoint(5),
        HISTORY.fork(4).checkpoint(5),
    )


def test_a_fork_of_equal_size_is_kept_though_the_old_size_is_wrong(opened: OpenedWitness) -> None:
    ask(opened, 0, 5)
    assert ask(opened, 0, 5, HISTORY.fork(4)) == Answer(409, b"5\n", SIZE_TYPE)
    assert len(opened.book.evidence()) == 1


def test_a_fork_of_another_size_is_kept_as_unexplained(opened: OpenedWitness) -> None:
    ask(opened, 0, 5)
    assert ask(opened, 5, 9, HISTORY.fork(4)).status == 422
    (kept,) = opened.book.evidence()
    assert check_fork_evidence(parse_fork_evidence(kept.data), [LOG.verifier()]).fork == "unexplained"
    assert ask(opened, 5, 9).status == 200


def test_a_fork_after_the_cosigned_size_cannot_be_told_and_is_none_yet(opened: OpenedWitness) -> None:
    ask(opened, 0, 5)
    assert ask(opened, 5, 9, HISTORY.fork(7)).status == 200
    assert ask(opened, 9, 12).status == 422


def test_the_same_evidence_is_kept_once_and_no_log_fills_the_disk(opened: OpenedWitness) -> None:
    ask(opened, 0, 5)
    for _ in range(3):
        ask(opened, 5, 5, HISTORY.fork(4))
    assert len(opened.book.evidence()) == 1
    for number in range(EVIDENCE_MAX + 5):
        ask(opened, 5, 5, History(f"other {number}", LOG))
    assert len(opened.book.evidence()) == EVIDENCE_MAX


def test_a_wrong_proof_of_what_was_cosigned_is_refused_and_no_evidence(opened: OpenedWitness) -> None:
    ask(opened, 0, 5)
    body = format_add_checkpoint(AddCheckpoint(5, (bytes(32),), HISTORY.note(5)))
    assert opened.witness.add_checkpoint(body).status == 422
    assert opened.book.evidence() == []


def test_a_wrong_proof_of_an_empty_log_is_refused_and_no_evidence(opened: OpenedWitness) -> None:
    ask(opened, 0, 0)
    body = format_add_checkpoint(AddCheckpoint(0, (bytes(32),), HISTORY.note(5)))
    assert opened.witness.add_checkpoint(body).status == 422
    assert opened.book.evidence() == []


def test_strangers_with_proofs_of_nothing_leave_room_for_a_fork(opened: OpenedWitness) -> None:
    ask(opened, 0, 5)
    for size in range(6, 6 + EVIDENCE_MAX + 5):
        body = format_add_checkpoint(AddCheckpoint(5, (bytes(32),), HISTORY.note(size)))
        assert opened.witness.add_checkpoint(body).status == 422
    assert len(opened.book.evidence()) == UNEXPLAINED_MAX
    ask(opened, 5, 5, HISTORY.fork(4))
    kept = parse_fork_evidence(opened.book.evidence()[-1].data)
    assert check_fork_evidence(kept, [LOG.verifier()]).fork == "fork"


def test_of_many_requests_at_once_exactly_one_wins(opened: OpenedWitness) -> None:
    ask(opened, 0, 5)
    sizes = range(6, 22)
    begin = threading.Barrier(len(sizes))
    answers: dict[int, Answer] = {}

    def race(size: int) -> None:
        body = HISTORY.request(5, size)
        begin.wait()
        answers[size] = opened.witness.add_checkpoint(body)

    threads = [threading.Thread(target=race, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [size for size, answer in answers.items() if answer.status == 200]
    assert winners == [known_size(opened)]
    assert {answer for answer in answers.values() if answer.status != 200} == {
        Answer(409, f"{winners[0]}\n".encode(), SIZE_TYPE)
    }


def test_two_processes_on_one_book_cosign_one_history(tmp_path: Path) -> None:
    first = make_witness(tmp_path / "w1")
    second = make_witness(tmp_path / "w1")
    first.book.add_key(LOG.vkey(), 0)
    assert ask(first, 0, 5).status == 200
    assert ask(second, 0, 5, HISTORY.fork(2)).status == 409
    assert ask(second, 5, 5, HISTORY.fork(2)).status == 422
    first.engine.dispose()
    second.engine.dispose()


def test_a_checkpoint_signed_by_the_log_under_another_origin_is_not_taken(opened: OpenedWitness) -> None:
    other = History("a", STRANGER)
    note = sign_checkpoint(other.checkpoint(5), [STRANGER, LOG])
    answer = opened.witness.add_checkpoint(format_add_checkpoint(AddCheckpoint(0, (), note)))
    assert answer.status == 404
