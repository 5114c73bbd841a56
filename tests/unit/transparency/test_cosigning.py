"""Asking witnesses: what is taken from them, what is told of them, and what stops the log."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.core.add_checkpoint import SIZE_MEDIA_TYPE, format_cosignatures, parse_add_checkpoint
from ledger.core.checkpoint import open_checkpoint
from ledger.core.note import Verifier, parse_note
from ledger.core.witness_policy import parse_policy
from ledger.errors import ForkError, QuorumError, StoreError
from ledger.ports.cosigning import WitnessAnswer
from ledger.transparency.asking_witness import ROUNDS_MAX, TIME_OFF_S_MAX
from ledger.transparency.cosigning import WitnessCosigning
from ledger.vault.cosignatures import CosignatureSigner, cosigner_from_seed
from ledger.vault.ed25519 import from_seed
from tests.support.histories import History
from tests.support.witness_world import HandClock, make_witness

LOG = from_seed("ledger.example/acme", bytes(32))
HISTORY = History("a", LOG)
KEYS = [cosigner_from_seed(f"witness.example/{number}", bytes([number] * 32)) for number in range(3)]
NOW_S = HandClock().ms // 1_000
SIZE = 9

Respond = Callable[[bytes], WitnessAnswer]


class Scripted:
    """Witnesses that answer as told: URL -> what a request's body is answered with."""

    def __init__(self, answers: dict[str, Respond]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, int]] = []

    def post(self, url: str, body: bytes) -> WitnessAnswer:
        name = url.removeprefix("http://").removesuffix("/add-checkpoint")
        self.asked.append((name, parse_add_checkpoint(body).old_size))
        return self.answers[name](body)


def text_in(body: bytes) -> str:
    return parse_note(parse_add_checkpoint(body).note).text


def cosigning_with(key: CosignatureSigner, off_s: int = 0, text: str | None = None) -> Respond:
    """One that cosigns whatever it is shown."""

    def respond(body: bytes) -> WitnessAnswer:
        line = key.cosign(text_in(body) if text is None else text, NOW_S + off_s)
        return WitnessAnswer(200, "text/plain", format_cosignatures([line]))

    return respond


def saying(status: int, body: bytes = b"", media_type: str = "text/plain") -> Respond:
    return lambda _: WitnessAnswer(status, media_type, body)


def knowing(size: int, then: Respond) -> Respond:
    """One that has cosigned ``size`` entries last."""

    def respond(body: bytes) -> WitnessAnswer:
        if parse_add_checkpoint(body).old_size != size:
            return WitnessAnswer(409, SIZE_MEDIA_TYPE, f"{size}\n".encode())
        return then(body)

    return respond


class Asked:
    """Cosigning under a policy of the witnesses ``a``, ``b`` and ``c``, as far as they are scripted."""

    def __init__(
        self, answers: dict[str, Respond], threshold: str = "all", seconds: float = 5, extra: str = ""
    ) -> None:
        self.calls = Scripted(answers)
        self.kept: list[bytes] = []
        lines = [
            f"witness {name} {key.vkey()} http://{name}\n"
            for name, key in zip("abc", KEYS, strict=True)
            if name in answers
        ]
        group = f"group g {threshold} {' '.join(answers)}\nquorum g\n"
        policy = parse_policy("".join([*lines, extra, group]).encode())
        verifiers: dict[str, Verifier] = {name: key.verifier() for name, key in zip("abc", KEYS, strict=True)}
        self.clock = HandClock()
        self.cosigning = WitnessCosigning(
            policy,
            verifiers,
            self.calls,
            self.clock,
            self.keep,
            log_verifiers=[LOG.verifier()],
            quorum_seconds=seconds,
        )

    def keep(self, data: bytes) -> str:
        self.kept.append(data)
        return "a safe place"

    def cosign(self, size: int = SIZE, history: History = HISTORY) -> bytes:
        return self.cosigning.cosign(history.note(size), lambda old: history.prove(old, size))


def test_the_note_comes_back_with_a_line_of_each_witness() -> None:
    note = Asked({"a": cosigning_with(KEYS[0]), "b": cosigning_with(KEYS[1])}).cosign()
    opened = open_checkpoint(note, LOG.name, [LOG.verifier(), *(key.verifier() for key in KEYS)])
    assert opened.note.verified == (LOG.name, KEYS[0].name, KEYS[1].name)
    assert opened.checkpoint == HISTORY.checkpoint(SIZE)


def test_the_next_question_begins_where_the_last_answer_ended() -> None:
    asked = Asked({"a": cosigning_with(KEYS[0])})
    asked.cosign(5)
    asked.cosign(9)
    assert asked.calls.asked == [("a", 0), ("a", 5)]


def test_a_witness_that_knows_another_size_is_shown_the_proof_from_there() -> None:
    asked = Asked({"a": knowing(4, cosigning_with(KEYS[0]))})
    asked.cosign()
    assert asked.calls.asked == [("a", 0), ("a", 4)]


def test_a_witness_that_cosigned_this_very_checkpoint_cosigns_it_again() -> None:
    asked = Asked({"a": knowing(SIZE, cosigning_with(KEYS[0]))})
    assert KEYS[0].name in asked.cosign().decode()


def refused(respond: Respond) -> str:
    """Why a witness that is needed did not count."""
    asked = Asked({"a": respond, "b": cosigning_with(KEYS[1])})
    with pytest.raises(QuorumError) as error:
        asked.cosign()
    assert asked.kept == []
    return str(error.value).partition("(a: ")[2].rpartition("); it is not")[0]


def test_an_answer_for_another_checkpoint_does_not_count() -> None:
    other = parse_note(HISTORY.note(5)).text
    assert refused(cosigning_with(KEYS[0], text=other)) == (
        "what it answered is no signature of its key on this checkpoint"
    )


def test_an_answer_by_another_key_does_not_count() -> None:
    assert "no signature of its key" in refused(cosigning_with(KEYS[2]))


def test_the_line_of_another_witness_does_not_count_twice() -> None:
    assert "no signature of its key" in refused(cosigning_with(KEYS[1]))


def test_a_line_by_an_unknown_key_beside_the_right_one_is_left_out() -> None:
    def respond(body: bytes) -> WitnessAnswer:
        lines = [key.cosign(text_in(body), NOW_S) for key in (KEYS[2], KEYS[0])]
        return WitnessAnswer(200, "text/plain", format_cosignatures(lines))

    note = Asked({"a": respond}).cosign()
    assert [line.name for line in parse_note(note).signatures] == [LOG.name, KEYS[0].name]


def test_a_repeated_line_counts_once() -> None:
    def respond(body: bytes) -> WitnessAnswer:
        return WitnessAnswer(
            200, "text/plain", format_cosignatures([KEYS[0].cosign(text_in(body), NOW_S)] * 9)
        )

    assert len(parse_note(Asked({"a": respond}).cosign()).signatures) == 2
    with pytest.raises(QuorumError):
        Asked({"a": respond, "b": saying(500)}).cosign()


def test_a_repeated_line_of_which_one_fails_does_not_count() -> None:
    def respond(body: bytes) -> WitnessAnswer:
        lines = [KEYS[0].cosign(text, NOW_S) for text in (text_in(body), "x\n")]
        return WitnessAnswer(200, "text/plain", format_cosignatures(lines))

    assert "no signature of its key" in refused(respond)


@pytest.mark.parametrize("off_s", [TIME_OFF_S_MAX + 1, -TIME_OFF_S_MAX - 1, 2**62, -NOW_S])
def test_a_cosignature_of_an_absurd_time_does_not_count(off_s: int) -> None:
    assert "its cosignature says a time" in refused(cosigning_with(KEYS[0], off_s))


@pytest.mark.parametrize("off_s", [TIME_OFF_S_MAX, -TIME_OFF_S_MAX, 0])
def test_clocks_may_differ_by_minutes(off_s: int) -> None:
    assert Asked({"a": cosigning_with(KEYS[0], off_s)}).cosign()


@pytest.mark.parametrize("body", [b"", b"ok\n", b"\xff\xfe\n", b"\xe2\x80\x94 x AAAA\n", b"\n" * 1000])
def test_an_answer_that_is_no_signature_line_does_not_count(body: bytes) -> None:
    assert "what it answered is no" in refused(saying(200, body))


@pytest.mark.parametrize(
    ("respond", "told"),
    [
        (saying(404), "does not know the log"),
        (saying(403), "does not know the key"),
        (saying(400, b"bad\n"), "answered 400: 'bad'"),
        (saying(500, b"x" * 500), "answered 500"),
        (saying(418, "\x1b[31m\u2028.".encode()), r"answered 418: '\x1b[31m\u2028.'"),
        (saying(302), "answered 302"),
    ],
)
def test_a_refusal_is_told_in_words(respond: Respond, told: str) -> None:
    assert told in refused(respond)


@pytest.mark.parametrize(
    "body", [b"", b"x\n", b"01\n", b"-1\n", b"3", b"9007199254740992\n", b"3\n3\n", b"\xd9\xa1\n"]
)
def test_a_conflict_without_a_size_is_no_reason_to_stop(body: bytes) -> None:
    assert "not with which size" in refused(saying(409, body, SIZE_MEDIA_TYPE))


def test_a_conflict_of_another_media_type_tells_no_size() -> None:
    assert "not with which size" in refused(saying(409, b"3\n", "text/plain"))


def test_a_witness_that_tells_ever_other_sizes_is_left_after_a_few_rounds() -> None:
    sizes = iter(range(1, 100))

    def respond(body: bytes) -> WitnessAnswer:
        return WitnessAnswer(409, SIZE_MEDIA_TYPE, f"{next(sizes) % SIZE}\n".encode())

    assert refused(respond) == f"it told another size {ROUNDS_MAX} times"


def test_a_witness_that_says_no_to_nothing_cannot_stop_the_log() -> None:
    assert "answered 422" in refused(saying(422))


def contradicted(respond: Respond) -> tuple[str, bytes]:
    """What is told and kept when one of two witnesses contradicts the log, though the other one would do."""
    asked = Asked({"a": respond, "b": cosigning_with(KEYS[1])}, threshold="1")

    def seal_on() -> None:
        # The witness that agrees may be faster: what the other one said then stops the next checkpoint.
        for size in range(SIZE, SIZE + 50):
            asked.cosign(size)
            threading.Event().wait(0.01)

    with pytest.raises(ForkError, match="a safe place") as error:
        seal_on()
    return str(error.value), asked.kept[0]


def test_a_witness_that_is_ahead_stops_the_log() -> None:
    told, kept = contradicted(saying(409, b"9007199254740991\n", SIZE_MEDIA_TYPE))
    assert "it has cosigned 9007199254740991 entries, more than" in told
    assert json.loads(kept)["said"] == "9007199254740991\n"


def test_a_witness_to_which_the_log_cannot_prove_itself_stops_the_log() -> None:
    told, kept = contradicted(knowing(4, saying(422, b"no\n")))
    assert "does not accept that the tree continues the one of 4 entries" in told
    assert json.loads(kept)["checkpoint"].startswith(LOG.name)


def test_a_conflict_over_the_very_size_of_the_checkpoint_stops_the_log() -> None:
    def respond(body: bytes) -> WitnessAnswer:
        size = int(text_in(body).split("\n")[1])
        return WitnessAnswer(409, SIZE_MEDIA_TYPE, f"{size}\n".encode())

    assert "another tree of" in contradicted(respond)[0]


def test_the_evidence_of_a_real_witness_is_kept_as_it_came(tmp_path: Path) -> None:
    clock = HandClock()
    opened = make_witness(tmp_path / "w", KEYS[0].name, clock=clock)
    opened.book.add_key(LOG.vkey(), 0)
    opened.witness.add_checkpoint(HISTORY.request(0, 5))

    def respond(body: bytes) -> WitnessAnswer:
        answer = opened.witness.add_checkpoint(body)
        return WitnessAnswer(answer.status, answer.media_type.partition(";")[0], answer.body)

    asked = Asked({"a": respond})
    with pytest.raises(ForkError):
        asked.cosign(9, HISTORY.fork(3))
    assert asked.kept == [opened.book.evidence()[0].data]
    opened.engine.dispose()


def test_evidence_that_a_witness_made_up_is_not_taken_for_evidence() -> None:
    members = {
        "format": "grantledger/fork-evidence/v1",
        "vkey": LOG.vkey(),
        "known": "x",
        "shown": "y",
        "proof": [],
    }
    body = json.dumps(members | {"seen_by": "w", "seen_at": 1}).encode()
    _, kept = contradicted(knowing(4, saying(422, body, "application/json")))
    assert json.loads(kept)["format"] == "grantledger/witness-refusal/v1"


def test_a_witness_that_cannot_be_reached_is_told() -> None:
    def respond(body: bytes) -> WitnessAnswer:
        raise StoreError("it cannot be reached: no route")

    assert refused(respond) == "it cannot be reached: no route"


def test_who_hangs_is_waited_for_only_where_the_quorum_needs_it() -> None:
    released = threading.Event()

    def hang(body: bytes) -> WitnessAnswer:
        released.wait(30)
        return cosigning_with(KEYS[0])(body)

    needed = Asked({"a": hang, "b": cosigning_with(KEYS[1])}, seconds=0.2)
    with pytest.raises(QuorumError, match="a: it did not answer in time"):
        needed.cosign()
    spare = Asked({"a": hang, "b": cosigning_with(KEYS[1])}, threshold="1", seconds=30)
    assert KEYS[1].name in spare.cosign().decode()
    with pytest.raises(QuorumError, match="a: it has not answered about an earlier checkpoint yet"):
        needed.cosign()
    assert needed.calls.asked.count(("a", 0)) == 1
    released.set()
    for _ in range(200):
        if spare.cosigning.standings()[0].state == "cosigned":
            break
        spare.cosign()
        threading.Event().wait(0.02)
    assert [one.state for one in spare.cosigning.standings()] == ["cosigned", "cosigned"]


def test_a_witness_without_a_url_counts_as_not_having_cosigned() -> None:
    asked = Asked({"a": cosigning_with(KEYS[0])}, extra=f"witness d {KEYS[2].vkey()}\n")
    verifiers = {one.name: one for one in asked.cosigning.standings()}
    assert set(verifiers) == {"a", "d"}
    asked.cosign()
    assert [one.state for one in asked.cosigning.standings()] == ["cosigned", "failed"]


def test_each_proof_is_made_once_for_all_witnesses() -> None:
    made: list[int] = []

    def prove(old_size: int) -> tuple[bytes, ...]:
        made.append(old_size)
        return HISTORY.prove(old_size, SIZE)

    asked = Asked({name: knowing(4, cosigning_with(key)) for name, key in zip("abc", KEYS, strict=True)})
    asked.cosigning.cosign(HISTORY.note(SIZE), prove)
    assert made == [4]
