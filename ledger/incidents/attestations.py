"""What a developer attests about a list, signed, and what becomes of it (incidents and exports, section 5.3).

::

    DSSE envelope, payloadType application/vnd.grantledger.attestation+json, over the canonical bytes of
    {"backups":"purged on 2018-09-20","claims":[{"first":0,"last":41,"outcome":"deleted"},
     {"first":42,"forwarded_to":["Acme Analytics"],"last":42,"outcome":"forwarded"}],"developer":"dev-b",
     "incident":"i-1","list_root":"3f0c...","log":"ledger.example/prod","made_at":1537300000000,
     "obligation":"o-1","officer":"J. Doe, head of privacy","read_or_used":"not_read","systems":["db1","logs"],"v":1}

``claims`` are runs of places, ascending, that say of every line of the list exactly one thing; one run is the whole list. The
signature is by the Ed25519 key that the log says is the developer's, of the purpose ``attestations`` or of none. The entry
holds the SHA-256 of the signed bytes; the envelope names people, and lies sealed beside the ledger.

An attestation for another list, obligation, developer or log is refused and leaves no trace: it says nothing about this one.
One that another key has signed is recorded as ``ATTESTATION_INVALID``: somebody has tried. *Attested is not verified*.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args

from ledger.core.canonical import JsonValue
from ledger.core.dsse import Envelope, format_envelope, parse_envelope
from ledger.core.receipts import SignatureCheck
from ledger.errors import FormatError, RejectedError, SignatureError
from ledger.gateway.drafts import append_whole, live_draft
from ledger.incidents.obligation_moves import Move, Moves, finding_of
from ledger.ports import Clock
from ledger.ports.obligations import Attestation, Obligation, Obligations
from ledger.ports.sealing import Sealing
from ledger.sequencer.sequencer import Sequencer

ATTESTATION_TYPE = "application/vnd.grantledger.attestation+json"
PURPOSE = "attestations"
"""The purpose of keys that sign attestations; a key of no purpose signs them as well."""

Outcome = Literal["deleted", "never_stored", "retained_legal", "forwarded", "not_found", "disputed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
GONE: frozenset[Outcome] = frozenset({"deleted", "never_stored", "not_found"})
"""Outcomes that say that the developer has it no more, which later receipts and canaries contradict."""

ReadOrUsed = Literal["not_read", "read", "used", "unknown"]
_READ_OR_USED = get_args(ReadOrUsed)

CLAIMS_MAX = 10_000
TEXT_CHARACTERS_MAX = 1_000
LIST_ITEMS_MAX = 100

_MEMBERS = frozenset(
    {
        "backups",
        "claims",
        "developer",
        "incident",
        "list_root",
        "log",
        "made_at",
        "obligation",
        "officer",
        "read_or_used",
        "systems",
        "v",
    }
)


class Claim(NamedTuple):
    """What became of the lines ``first`` to ``last``; ``forwarded_to`` names whom they were passed on to."""

    first: int
    last: int
    outcome: Outcome
    forwarded_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """What an attestation says. ``log`` is the log's origin; ``list_root`` (hex) says which list it is about.

    ``officer`` is who answers for it at the developer; ``systems`` were searched; ``backups`` says what becomes of those.
    """

    log: str
    obligation: str
    incident: str
    developer: str
    list_root: str
    made_at_ms: int
    claims: tuple[Claim, ...]
    officer: str
    systems: tuple[str, ...]
    backups: str
    read_or_used: ReadOrUsed

    def members(self) -> dict[str, JsonValue]:
        """The members that are signed."""
        claims: list[JsonValue] = []
        for one in self.claims:
            claim: dict[str, JsonValue] = {"first": one.first, "last": one.last, "outcome": one.outcome}
            if one.forwarded_to:
                claim["forwarded_to"] = list(one.forwarded_to)
            claims.append(claim)
        return {
            "backups": self.backups,
            "claims": claims,
            "developer": self.developer,
            "incident": self.incident,
            "list_root": self.list_root,
            "log": self.log,
            "made_at": self.made_at_ms,
            "obligation": self.obligation,
            "officer": self.officer,
            "read_or_used": self.read_or_used,
            "systems": list(self.systems),
            "v": 1,
        }


def read_statement(envelope: Envelope, count: int) -> Statement:
    """What ``envelope`` says about a list of ``count`` lines, whoever signed it; FormatError where it is no attestation."""
    if envelope.payload_type != ATTESTATION_TYPE:
        raise FormatError(f"an attestation has the payloadType {ATTESTATION_TYPE}")
    said: Any = envelope.statement
    if set(said) != _MEMBERS or said["v"] != 1:
        raise FormatError(f"an attestation of version 1 has the members {', '.join(sorted(_MEMBERS))}")
    for name in ("log", "obligation", "incident", "developer", "list_root", "officer", "backups"):
        if not isinstance(said[name], str) or len(said[name]) > TEXT_CHARACTERS_MAX:
            raise FormatError(f"{name} is text of at most {TEXT_CHARACTERS_MAX} characters")
    if not said["officer"].strip():
        raise FormatError("officer names who answers for the attestation")
    if said["read_or_used"] not in _READ_OR_USED:
        raise FormatError(f"read_or_used is one of {', '.join(_READ_OR_USED)}")
    if type(said["made_at"]) is not int or said["made_at"] < 0:
        raise FormatError("made_at is milliseconds")
    return Statement(
        log=said["log"],
        obligation=said["obligation"],
        incident=said["incident"],
        developer=said["developer"],
        list_root=said["list_root"],
        made_at_ms=said["made_at"],
        claims=_read_claims(said["claims"], count),
        officer=said["officer"],
        systems=_read_texts(said["systems"], "systems"),
        backups=said["backups"],
        read_or_used=said["read_or_used"],
    )


def _read_claims(stated: Any, count: int) -> tuple[Claim, ...]:
    if not isinstance(stated, list) or not 1 <= len(stated) <= CLAIMS_MAX:
        raise FormatError(f"claims are 1 to {CLAIMS_MAX} runs of places")
    claims = []
    for one in stated:
        if not isinstance(one, dict) or not {"first", "last", "outcome"} <= set(one) <= {
            "first",
            "last",
            "outcome",
            "forwarded_to",
        }:
            raise FormatError("a claim has the members first, last, outcome, and perhaps forwarded_to")
        if type(one["first"]) is not int or type(one["last"]) is not int or one["first"] > one["last"]:
            raise FormatError("first and last of a claim are places, in order")
        if one["outcome"] not in OUTCOMES:
            raise FormatError(f"outcome is one of {', '.join(OUTCOMES)}")
        to = _read_texts(one.get("forwarded_to", []), "forwarded_to")
        if bool(to) != (one["outcome"] == "forwarded"):
            raise FormatError("forwarded says to whom, in forwarded_to, and nothing else does")
        claims.append(Claim(one["first"], one["last"], one["outcome"], to))
    if claims[0].first != 0 or claims[-1].last != count - 1:
        raise FormatError(f"the claims speak of all places of the list, 0 to {count - 1}")
    if any(before.last + 1 != after.first for before, after in pairwise(claims)):
        raise FormatError("the claims follow one another without a gap, and no place is in two")
    return tuple(claims)


def _read_texts(stated: Any, name: str) -> tuple[str, ...]:
    if not isinstance(stated, list) or len(stated) > LIST_ITEMS_MAX:
        raise FormatError(f"{name} is a list of at most {LIST_ITEMS_MAX} texts")
    if not all(isinstance(one, str) and 0 < len(one) <= TEXT_CHARACTERS_MAX for one in stated):
        raise FormatError(f"each of {name} is text of 1 to {TEXT_CHARACTERS_MAX} characters")
    return tuple(stated)


class Attestations:
    """Takes attestations. Safe from any thread."""

    def __init__(
        self,
        *,
        sequencer: Sequencer,
        obligations: Obligations,
        moves: Moves,
        sealing: Sealing,
        origin: str,
        check: SignatureCheck,
        clock: Clock,
    ) -> None:
        self._sequencer = sequencer
        self._obligations = obligations
        self._moves = moves
        self._sealing = sealing
        self._origin = origin
        self._check = check
        self._clock = clock

    def key_of(self, developer: str) -> str | None:
        """The public key (hex) that counts for attestations of ``developer`` now, None where it has registered none."""
        return self._sequencer.look(
            lambda history, _: history.keys.in_force("developer", developer, purpose=PURPOSE)
        )

    def set_key(self, developer: str, key: str, actor: str) -> bool:
        """Let ``developer`` sign attestations with the public ``key`` (64 hex digits) from now on; False where it does.

        Raises RejectedError where ``key`` is none, or the ledger refuses.
        """
        if self.key_of(developer) == key:
            return False
        stated: dict[str, JsonValue] = {
            "developer": developer,
            "key": key,
            "purpose": PURPOSE,
            # Stated, so that a key which is set again after another one is an entry of its own.
            "at": self._clock.now_ms(),
        }
        return append_whole(self._sequencer, [live_draft("developer.key_set", actor, stated)])[0].created

    def take(self, obligation: Obligation, item: object, actor: str) -> Obligation:
        """Take the envelope ``item`` (a JSON value) for ``obligation``; the same one again changes nothing.

        Raises FormatError where it is no attestation, RejectedError where it is about something else, SignatureError where
        the registered key has not signed it, which is a finding by then.
        """
        envelope = parse_envelope(item)
        statement = read_statement(envelope, obligation.deliveries)
        self._check_subject(obligation, statement)
        key, signed = self.key_of(obligation.developer), envelope.signed_bytes()
        if key is None:
            raise RejectedError("no key to sign attestations with is registered: PUT /v1/obligations/key")
        digest = hashlib.sha256(signed).hexdigest()
        if not self._check(bytes.fromhex(key), signed, envelope.signature):
            self._note_invalid(obligation, digest, envelope.signature)
            raise SignatureError(
                "the attestation is not signed with the developer's registered key; that is recorded"
            )
        if self._obligations.load_attestation(digest) is not None:
            return obligation
        return self._append(obligation, statement, envelope, key, digest, actor)

    def _check_subject(self, obligation: Obligation, said: Statement) -> None:
        told = (
            ("another log", said.log, self._origin),
            ("another developer", said.developer, obligation.developer),
            ("another obligation", said.obligation, obligation.obligation),
            ("another incident", said.incident, obligation.incident),
            ("another list", said.list_root, obligation.list_root),
        )
        for what, stated, expected in told:
            if stated != expected:
                raise RejectedError(f"the attestation is about {what}: here it is {expected}")

    def _note_invalid(self, obligation: Obligation, digest: str, signature: bytes) -> None:
        uid = f"{obligation.obligation}/{hashlib.sha256(digest.encode() + signature).hexdigest()[:32]}"
        append_whole(
            self._sequencer,
            [finding_of("ATTESTATION_INVALID", obligation, self._sequencer.size, uid)],
        )

    def _append(
        self,
        obligation: Obligation,
        statement: Statement,
        envelope: Envelope,
        key: str,
        digest: str,
        actor: str,
    ) -> Obligation:
        now_ms, name = self._clock.now_ms(), obligation.obligation
        claims = json.dumps([[one.first, one.last, one.outcome] for one in statement.claims])
        kept = json.dumps(format_envelope(envelope, key))
        sealed = self._sealing.seal_secret(_context(digest), kept)
        change = self._obligations.put_attestation(Attestation(digest, name, key, now_ms, claims, sealed))
        stated: dict[str, JsonValue] = {
            "list_root": obligation.list_root,
            "attestation": digest,
            "key": key,
        }
        changed: dict[str, Any] = {
            "attested_at_ms": now_ms,
            "attestation": digest,
            "attested_version": obligation.version + (2 if obligation.state == "OPENED" else 1),
            "acknowledged_at_ms": obligation.acknowledged_at_ms or now_ms,
            "reported_at_ms": obligation.reported_at_ms or now_ms,
            "contradicted_by": None,
        }
        moves = [Move("notified")] if obligation.state == "OPENED" else []
        moves.append(Move("attested", stated, changed, changes=(change,)))
        return self._moves.take(obligation, moves, actor).obligation

    def load(self, attestation: str) -> Attestation | None:
        """The attestation of this hash, as it is kept."""
        return self._obligations.load_attestation(attestation)

    def open(self, attestation: str) -> dict[str, Any]:
        """The envelope as it came; raises RejectedError where there is none, StoreError where it was altered."""
        kept = self._obligations.load_attestation(attestation)
        if kept is None:
            raise RejectedError("there is no attestation of this hash")
        opened: dict[str, Any] = json.loads(self._sealing.open_secret(_context(attestation), kept.sealed))
        return opened


Claims = Sequence[tuple[int, int, Outcome]]
"""Runs of places with what is said of them, ascending."""


def read_claims(kept: str) -> Claims:
    """The claims of an attestation as they are kept with it."""
    return [(first, last, outcome) for first, last, outcome in json.loads(kept)]


def claim_at(claims: Claims, place: int) -> Outcome | None:
    """What ``claims`` say of the line at ``place``."""
    after = bisect_right(claims, place, key=lambda run: run[0])
    if not after:
        return None
    _, last, outcome = claims[after - 1]
    return outcome if place <= last else None


def count_claims(kept: str) -> Mapping[Outcome, int]:
    """How many lines the claims that are ``kept`` say each outcome of."""
    counts: dict[Outcome, int] = {}
    for first, last, outcome in read_claims(kept):
        counts[outcome] = counts.get(outcome, 0) + last - first + 1
    return counts


def _context(attestation: str) -> str:
    return f"attestation/{attestation}"
