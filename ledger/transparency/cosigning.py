"""Getting the witnesses' cosignatures before a checkpoint is published (transparency formats, section 4.6).

Implements :class:`ledger.ports.cosigning.Cosigning`. All witnesses of the policy are asked at once; what each answers is
:mod:`ledger.transparency.asking_witness`'s business.

Fail closed: without the quorum nothing comes back but a QuorumError. A witness that knows a larger tree than the log has
signed, or to which the log cannot prove that it only grew, makes it a ForkError, whatever the others say: either the log was
put back from a backup, or it has two histories. What was said is kept as evidence.

A witness that hangs costs its time where the quorum needs it, and next to nothing where it does not: it is left behind, and
not asked again before its last answer has come or failed.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Literal

import structlog

from ledger.core.checkpoint import parse_checkpoint
from ledger.core.fork_evidence import check_fork_evidence, parse_fork_evidence
from ledger.core.note import Verifier, format_note, parse_note
from ledger.core.witness_policy import PolicyWitness, WitnessPolicy
from ledger.errors import ForkError, LedgerError, QuorumError
from ledger.ports import Clock
from ledger.ports.cosigning import ProveConsistency, WitnessCalls
from ledger.transparency.asking_witness import Asking, Contradiction, Reply, WitnessAsker

QUORUM_SECONDS = 10.0
"""Longest wait for the quorum."""
GRACE_SECONDS = 0.1
"""What the others get once the quorum is there."""
REFUSAL_FORMAT = "grantledger/witness-refusal/v1"

Keep = Callable[[bytes], str]
"""Keeps evidence durably; says where, in words for a person."""

log = structlog.get_logger()


@dataclass(slots=True)
class WitnessStanding:
    """What came of asking one witness last, for whoever watches."""

    name: str
    state: Literal["unknown", "cosigned", "failed", "contradicts"] = "unknown"
    reason: str = ""
    cosigned_at_ms: int = 0


@dataclass(slots=True)
class _Known:
    """A witness of the policy and what is known of it from one seal to the next."""

    witness: PolicyWitness
    asker: WitnessAsker | None
    standing: WitnessStanding
    size: int = 0
    under_way: Future[Reply] | None = None


class WitnessCosigning:
    """Asks the witnesses of ``policy``, whose keys are ``verifiers`` by the names that the policy gives them.

    ``log_verifiers`` are the log's own keys, to check the evidence that a witness hands over; ``keep`` keeps it. A witness
    without a URL cannot be asked, and counts as not having cosigned.
    """

    def __init__(
        self,
        policy: WitnessPolicy,
        verifiers: Mapping[str, Verifier],
        calls: WitnessCalls,
        clock: Clock,
        keep: Keep,
        *,
        log_verifiers: Sequence[Verifier],
        quorum_seconds: float = QUORUM_SECONDS,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._keep = keep
        self._log_verifiers = log_verifiers
        self._quorum_seconds = quorum_seconds
        self._known = [
            _Known(
                one,
                None if one.url is None else WitnessAsker(one.url, verifiers[one.name], calls, clock.now_ms),
                WitnessStanding(one.name),
            )
            for one in policy.witnesses
        ]

    def standings(self) -> Sequence[WitnessStanding]:
        """What came of asking each witness last, in the policy's order."""
        return [known.standing for known in self._known]

    def cosign(self, note: bytes, prove: ProveConsistency) -> bytes:
        """``note`` with the witnesses' lines that make up the quorum (see the port)."""
        parsed = parse_note(note)
        asking = Asking(parse_checkpoint(parsed.text), parsed.text, note, _Shared(prove))
        replies = self._ask_all(asking)
        for known in self._known:
            reply = replies[known.witness.name]
            if reply.against is not None:
                raise self._contradicted(asking, known, reply.reason, reply.against)
        lines = {name: reply.line for name, reply in replies.items() if reply.line is not None}
        if not self._policy.is_fulfilled(lines):
            missing = "; ".join(
                f"{name}: {reply.reason}" for name, reply in replies.items() if name not in lines
            )
            raise QuorumError(
                f"{len(lines)} of {len(self._known)} witnesses cosigned the checkpoint of {asking.checkpoint.size} "
                f"entries, which is not the quorum {self._policy.quorum!r} ({missing}); it is not published, and the "
                "next seal tries again"
            )
        return format_note(parsed.text, [*parsed.signatures, *lines.values()])

    def _ask_all(self, asking: Asking) -> dict[str, Reply]:
        """Each witness's reply by its name in the policy, in its order, as far as they came in time."""
        waiting: dict[Future[Reply], _Known] = {}
        replies: dict[str, Reply] = {}
        for known in self._known:
            name = known.witness.name
            if known.asker is None:
                replies[name] = Reply(None, 0, "the policy has no URL for it")
            elif (late := self._late_reply(known)) is not None:
                replies[name] = late
            else:
                known.under_way = _in_background(known.asker, asking, known.size)
                waiting[known.under_way] = known
        until_s = time.monotonic() + self._quorum_seconds
        is_enough = False
        while waiting and (left_s := until_s - time.monotonic()) > 0:
            for future in wait(waiting, left_s, FIRST_COMPLETED).done:
                known = waiting.pop(future)
                known.under_way = None
                reply = replies[known.witness.name] = future.result()
                known.size = reply.known_size
            agreed = {name for name, reply in replies.items() if reply.line is not None}
            if not is_enough and self._policy.is_fulfilled(agreed):
                is_enough = True
                until_s = min(until_s, time.monotonic() + GRACE_SECONDS)
        for known in waiting.values():
            replies[known.witness.name] = Reply(None, 0, "it did not answer in time")
        for known in self._known:
            self._note(known.standing, replies[known.witness.name])
        return {known.witness.name: replies[known.witness.name] for known in self._known}

    @staticmethod
    def _late_reply(known: _Known) -> Reply | None:
        """Why ``known`` is not asked now; None where it is: nothing is under way that would speak against the log."""
        if known.under_way is None:
            return None
        if not known.under_way.done():
            return Reply(None, known.size, "it has not answered about an earlier checkpoint yet")
        late, known.under_way = known.under_way.result(), None
        known.size = late.known_size
        return late if late.against is not None else None

    def _note(self, standing: WitnessStanding, reply: Reply) -> None:
        standing.reason = reply.reason
        if reply.line is not None:
            standing.state, standing.cosigned_at_ms = "cosigned", self._clock.now_ms()
            return
        standing.state = "failed" if reply.against is None else "contradicts"
        log.warning("witness.not_cosigned", witness=standing.name, reason=reply.reason)

    def _contradicted(self, asking: Asking, known: _Known, reason: str, against: Contradiction) -> ForkError:
        witness = known.witness
        where = self._keep(self._evidence(asking, witness, against))
        return ForkError(
            f"the witness {witness.name} ({witness.url}) contradicts the log: {reason}. Nothing is published any more. "
            f"Either this log was put back from a backup, or it has two histories; what was said is in {where}"
        )

    def _evidence(self, asking: Asking, witness: PolicyWitness, against: Contradiction) -> bytes:
        """The witness's own evidence where it is good, else what it said."""
        try:
            check_fork_evidence(parse_fork_evidence(against.body), self._log_verifiers)
        except LedgerError:
            refusal = {
                "format": REFUSAL_FORMAT,
                "witness": witness.key.name,
                "url": witness.url,
                "at": self._clock.now_ms() // 1_000,
                "checkpoint": asking.note.decode(),
                "old_size": against.old_size,
                "status": against.status,
                "said": against.body.decode("utf-8", "replace"),
            }
            return json.dumps(refusal, ensure_ascii=False, indent=1).encode() + b"\n"
        return against.body


class _Shared:
    """Consistency proofs, each made once however many witnesses need it."""

    def __init__(self, prove: ProveConsistency) -> None:
        self._prove = prove
        self._made: dict[int, Sequence[bytes]] = {}
        self._lock = threading.Lock()

    def __call__(self, old_size: int) -> Sequence[bytes]:
        with self._lock:
            if old_size not in self._made:
                self._made[old_size] = self._prove(old_size)
            return self._made[old_size]


def _in_background(asker: WitnessAsker, asking: Asking, old_size: int) -> Future[Reply]:
    """Ask in a thread of its own, which ends with the process: nobody waits at the end for a witness that hangs."""
    future: Future[Reply] = Future()

    def ask() -> None:
        try:
            future.set_result(asker.ask(asking, old_size))
        except LedgerError as error:
            future.set_result(Reply(None, 0, str(error)))
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            future.set_exception(error)

    threading.Thread(target=ask, name="witness", daemon=True).start()
    return future
