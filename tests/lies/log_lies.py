"""Lies about the log: the operator changes what it shows, with or without the log's key."""

from __future__ import annotations

from dataclasses import replace

from ledger.core import canonical
from ledger.core.index import index_keys
from ledger.core.jcs import decode_file, encode_file
from tests.lies.place import PEOPLE
from tests.lies.shown import Shown, grown, renumbered, signed_anew, unsigned
from tests.lies.telling import Stage, Told
from tests.lies.watchers import Caught
from tests.support.forged_logs import ATTACKER, sign

STRUCTURE = {
    ("stranger", code)
    for code in (
        "CHAIN_BROKEN",
        "ROOT_MISMATCH",
        "MAP_ROOT_MISMATCH",
        "SEQ_GAP",
        "SEQ_DUPLICATE",
        "TILE_MISMATCH",
    )
}
"""What one clumsy change may bring along beside what it has to."""

NOTED: Caught = {("developer", "RECEIPT_WITHOUT_DELIVERY"), ("proxy", "EGRESS_COUNT_MISMATCH")}
"""What may become of somebody's signed word where an entry is missing."""

KEPT = ("auditor", "CHECKPOINT_INCONSISTENT")
"""What everybody says who kept a checkpoint."""

UNSIGNED: Caught = {("customer", "CHECKPOINT_SIGNATURE_INVALID")}
"""A checkpoint that no witness has cosigned yet."""


def _sealed_entry(stage: Stage) -> int:
    """Some entry but the first and the last."""
    return 1 + stage.choose(len(stage.shown.entries) - 2)


def changed(stage: Stage) -> Told:
    """An entry says something else, and nothing is made to fit."""
    at, entries = _sealed_entry(stage), list(stage.shown.entries)
    members = canonical.decode(entries[at])
    entries[at] = canonical.encode({**members, "actor": "system:liar"})
    caught = {("stranger", "CHAIN_BROKEN"), ("stranger", "ROOT_MISMATCH"), KEPT}
    if index_keys(members):
        caught.add(("stranger", "MAP_ROOT_MISMATCH"))
    return Told(replace(stage.shown, entries=entries), caught, NOTED)


def removed(stage: Stage) -> Told:
    """An entry is gone; the others stay as they are."""
    entries = list(stage.shown.entries)
    del entries[_sealed_entry(stage)]
    caught = {("stranger", "SEQ_GAP"), ("stranger", "TRUNCATED"), KEPT}
    return Told(
        replace(stage.shown, entries=entries),
        {("stranger", "CHAIN_BROKEN"), ("stranger", "TRUNCATED")},
        STRUCTURE | caught | NOTED | _consequences(),
    )


def _consequences() -> Caught:
    return {
        ("stranger", "ENTRY_MALFORMED"),
        ("stranger", "RECEIVED_BY_MISMATCH"),
        ("stranger", "STALE_DECISION"),
        ("stranger", "COMMITMENT_MISMATCH"),
        ("stranger", "GRANT_AFTER_TERMINAL"),
        ("developer", "RECEIPT_INVALID"),
        ("canary", "CANARY_LEAKED"),
    }


def inserted(stage: Stage) -> Told:
    """An entry stands there twice."""
    at, entries = _sealed_entry(stage), list(stage.shown.entries)
    entries.insert(at, entries[at])
    also = STRUCTURE | NOTED | _consequences() | {KEPT}
    return Told(
        replace(stage.shown, entries=entries),
        {("stranger", "SEQ_DUPLICATE"), ("stranger", "ROOT_MISMATCH")},
        also,
    )


def moved(stage: Stage) -> Told:
    """Two neighbours have changed places."""
    at, entries = 1 + stage.choose(len(stage.shown.entries) - 3), list(stage.shown.entries)
    entries[at], entries[at + 1] = entries[at + 1], entries[at]
    also = STRUCTURE | NOTED | _consequences() | {("stranger", "TIME_REGRESSION")}
    return Told(
        replace(stage.shown, entries=entries),
        {("stranger", "CHAIN_BROKEN"), ("stranger", "ROOT_MISMATCH")},
        also | {KEPT},
    )


def relinked(stage: Stage) -> Told:
    """An entry says something else, and everything is made to fit but what was signed."""
    at, members = _sealed_entry(stage), stage.shown.members()
    members[at]["actor"] = "system:liar"
    return Told(
        unsigned(stage.shown, members),
        {("stranger", "ROOT_MISMATCH"), KEPT},
        NOTED,
    )


def rewritten(stage: Stage) -> Told:
    """The same, and signed anew with the log's own key."""
    at, members = _sealed_entry(stage), stage.shown.members()
    members[at]["actor"] = "system:liar"
    return Told(signed_anew(stage.shown, members), stage.forked() | stage.breaks(at, is_grown=False))


def removed_and_rewritten(stage: Stage) -> Told:
    """An entry was never there; numbers, links, seals and signature are made to fit."""
    at = _sealed_entry(stage)
    members = [one for seq, one in enumerate(stage.shown.members()) if seq != at]
    shown = grown(signed_anew(stage.shown, renumbered(members)))
    caught = {KEPT, *UNSIGNED}
    return Told(shown, caught | {("w1", "fork"), ("w2", "fork")}, _anything())


def forked_on(stage: Stage) -> Told:
    """Another history that has grown on."""
    at, members = _sealed_entry(stage), stage.shown.members()
    members[at]["actor"] = "system:liar"
    shown = grown(signed_anew(stage.shown, members), {"kind": "developer.registered", "developer": "dev-z"})
    return Told(shown, stage.forked("unexplained") | stage.breaks(at, is_grown=True))


def forked_back(stage: Stage) -> Told:
    """Another history that is shorter than what was shown: the last checkpoint but one, with another entry."""
    older = stage.watchers.kept[-2]
    at, members = 1 + stage.choose(len(older.entries) - 2), older.members()
    members[at]["actor"] = "system:liar"
    caught = {KEPT, ("auditor", "TRUNCATED"), *UNSIGNED}
    caught |= {("monitor", "CHECKPOINT_INCONSISTENT"), ("w1", "ahead"), ("w2", "ahead")}
    return Told(signed_anew(older, members), caught, _anything())


def _anything() -> Caught:
    """What those may hold against it who have something in hand, whose place in another order of things is not foretold."""
    words = (
        "ticket broken",
        "HISTORY_CHANGED",
        "CHECKPOINT_STALE",
        "INDEX_OMISSION",
        "CHECKPOINT_INCONSISTENT",
    )
    return {
        *(("account", word) for word in words),
        ("developer", "ticket broken"),
        ("monitor", "CHECKPOINT_INCONSISTENT"),
        ("monitor", "ROOT_MISMATCH"),
        *NOTED,
        *_consequences(),
    }


def cut_off(stage: Stage) -> Told:
    """The end of the log is not shown, and its checkpoint is."""
    gone = 1 + stage.choose(min(4, len(stage.shown.entries) - 2))
    shown = replace(stage.shown, entries=stage.shown.entries[:-gone])
    return Told(
        shown, {("stranger", "TRUNCATED")}, NOTED | _consequences() | {("stranger", "MAP_ROOT_MISMATCH")}
    )


def shrunk(stage: Stage) -> Told:
    """An older state of the log, whole and signed and cosigned, as if nothing had come after it."""
    older = stage.watchers.kept[-2]
    caught = {("auditor", "TRUNCATED"), ("monitor", "stale"), ("w1", "ahead"), ("w2", "ahead")}
    return Told(older, caught, {("account", "CHECKPOINT_STALE")})


def another_key(stage: Stage) -> Told:
    """Another key's checkpoint under the log's own name."""
    shown = replace(stage.shown, note=sign(stage.shown.entries, ATTACKER))
    code = "CHECKPOINT_SIGNATURE_INVALID"
    caught = {
        ("stranger", code),
        ("customer", code),
        ("monitor", code),
        ("w1", "not signed"),
        ("w2", "not signed"),
    }
    return Told(shown, caught)


def new_bit(stage: Stage) -> Told:
    """What is new is signed, and a bit of it is another one."""
    shown = grown(stage.shown, {"kind": "developer.registered", "developer": "dev-y"})
    entries = list(shown.entries)
    at = len(stage.shown.entries)
    entries[at] = entries[at].replace(b"dev-y", b"dev-x")
    caught = {
        ("stranger", "CHAIN_BROKEN"),
        ("stranger", "ROOT_MISMATCH"),
        ("monitor", "ROOT_MISMATCH"),
        *UNSIGNED,
    }
    also = {("stranger", "MAP_ROOT_MISMATCH"), ("monitor", "CHAIN_BROKEN"), ("monitor", "MAP_ROOT_MISMATCH")}
    # The witnesses see hashes alone: of what was signed, they cosign.
    return Told(
        replace(shown, entries=entries, _made=None),
        caught,
        also | {("w1", "unexplained"), ("w2", "unexplained")},
    )


def sealed_omission(stage: Stage) -> Told:
    """The signed index leaves out an entry of somebody; everything else is right."""
    tags = {stage.place.tag(person) for person in PEOPLE}
    about = [seq for seq, one in enumerate(stage.shown.members()) if one.get("account") in tags]
    omitted = frozenset({about[stage.choose(len(about))]})
    shown = grown(stage.shown, omitted=omitted)
    caught = {("stranger", "MAP_ROOT_MISMATCH"), ("monitor", "MAP_ROOT_MISMATCH"), *UNSIGNED}
    # Who asked before has an earlier bundle with it in hand.
    return Told(shown, caught | {("account", "CHECKPOINT_STALE")})


def older_index(stage: Stage) -> Told:
    """The seal states the index of the seal before it as the index of now."""
    shown = grown(stage.shown, {"kind": "account.reactivated", "account": stage.place.tag(PEOPLE[0])})
    members = shown.members()
    members[-1]["map_root"] = members[-3]["map_root"]
    entries = [*shown.entries[:-1], canonical.encode(members[-1])]
    lying = Shown(entries, sign(entries))
    caught = {("stranger", "MAP_ROOT_MISMATCH"), ("monitor", "MAP_ROOT_MISMATCH"), *UNSIGNED}
    return Told(lying, caught)


def no_index(stage: Stage) -> Told:
    """The last entry of the signed tree is no seal."""
    shown = grown(stage.shown, {"kind": "developer.registered", "developer": "dev-x"})
    entries = shown.entries[:-1]
    caught = {("stranger", "MAP_ROOT_MISMATCH"), ("monitor", "MAP_ROOT_MISMATCH"), *UNSIGNED}
    return Told(Shown(entries, sign(entries)), caught)


def _whose(stage: Stage) -> tuple[str, dict[str, object]]:
    person = PEOPLE[stage.choose(len(PEOPLE))]
    return person, dict(decode_file(stage.watchers.bundles[person]))


def omitting_bundle(stage: Stage) -> Told:
    """A bundle shows all entries of an account but one."""
    person, bundle = _whose(stage)
    entries = list(bundle["entries"])  # type: ignore[call-overload]
    del entries[stage.choose(len(entries))]
    given = encode_file({**bundle, "entries": entries})  # type: ignore[dict-item]
    return Told(stage.shown, {("account", "INDEX_OMISSION")}, bundles={person: given})


def false_absence(stage: Stage) -> Told:
    """A bundle says that nothing is recorded about an account."""
    person, bundle = _whose(stage)
    proof = {"present": False, "siblings": bundle["map_proof"]["siblings"]}  # type: ignore[index]
    kept = {name: value for name, value in bundle.items() if name not in ("row", "entries")}
    given = encode_file({**kept, "map_proof": proof})  # type: ignore[dict-item]
    return Told(stage.shown, {("account", "MAP_PROOF_INVALID")}, bundles={person: given})


def older_seal_in_bundle(stage: Stage) -> Told:
    """A bundle puts the index of the seal before it under the newest checkpoint."""
    person, bundle = _whose(stage)
    older = stage.watchers.kept[-2]
    stale = dict(decode_file(stage.watchers.bundle(older, person)))
    given = encode_file({**stale, "checkpoint": bundle["checkpoint"], "cosigners": bundle["cosigners"]})  # type: ignore[dict-item]
    return Told(stage.shown, {("account", "SEAL_STALE")}, bundles={person: given})


LOG_LIES = (
    changed,
    removed,
    inserted,
    moved,
    relinked,
    rewritten,
    removed_and_rewritten,
    forked_on,
    forked_back,
    cut_off,
    shrunk,
    another_key,
    new_bit,
    sealed_omission,
    older_index,
    no_index,
    omitting_bundle,
    false_absence,
    older_seal_in_bundle,
)
NEEDS_TWO_SEALS = (forked_back, shrunk, older_seal_in_bundle)
