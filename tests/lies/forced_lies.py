"""Entries that no honest ledger takes in, forced into the log behind everything else, sealed and signed.

The log is whole, so that the lie has to be found in what it says: by whoever reads it, with the verifier or the monitor.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ledger.core import canonical
from ledger.core.dsse import pre_auth
from ledger.core.merkle import hash_leaf
from ledger.core.receipts import RECEIPT_TYPE, statement_of
from tests.lies.place import DEVELOPERS, PEOPLE, host_of, key_of, letter_of
from tests.lies.shown import Members, Shown, grown
from tests.lies.telling import Forced, Stage
from tests.support.forged_logs import sign
from tests.support.log_world import ORIGIN

Found = Counter[str]
ZEROS = "0" * 64


def _now(stage: Stage) -> int:
    recorded: int = stage.shown.members()[-1]["recorded_at"]
    return recorded


def _append(stage: Stage, found: Found, *members: Members) -> Forced:
    return Forced(grown(stage.shown, *members), found)


def _person(stage: Stage) -> str:
    """Somebody who is new: nothing that was recorded before is about it."""
    return "a_" + hash_leaf(b"forged person %d" % len(stage.shown.entries)).hex()[:32]


def _registered(stage: Stage) -> Members:
    return {"kind": "account.registered", "account": _person(stage), "identity": ZEROS}


def _granted(stage: Stage, developer: str, *, at: int | None = None) -> Members:
    return {
        "kind": "grant.issued",
        "grant": "g-forged",
        "account": _person(stage),
        "developer": developer,
        "app": f"app-{letter_of(developer)}",
        "environment": "prod",
        "scopes": ["posts"],
        **({} if at is None else {"at": at}),
    }


def _revoked(stage: Stage, developer: str) -> dict[str, Any]:
    return {
        "kind": "grant.revoked",
        "grant": "g-forged",
        "account": _person(stage),
        "developer": developer,
        "at": _now(stage) - 1,
    }


def _attempted(stage: Stage, developer: str, seq: int, **members: Any) -> Members:
    return {
        "kind": "delivery.attempted",
        "via": "gate",
        "delivery": "d-forged",
        "attempt": 1,
        "event": "e_" + "f" * 32,
        "event_type": "tweet_create_events",
        "private": False,
        "channel": "push",
        "account": _person(stage),
        "subjects": [],
        "developer": developer,
        "app": f"app-{letter_of(developer)}",
        "environment": "prod",
        "endpoint": f"wh-{letter_of(developer)}",
        "grant": "g-forged",
        "grant_version": 1,
        "decided_at_size": seq,
        "send_before": _now(stage) + 1_000,
        "payload": ZEROS,
        "body_bytes": 512,
        **members,
    }


def _settled(stage: Stage, developer: str, received_by: str | None = None, **members: Any) -> Members:
    host, end = host_of(developer), letter_of(received_by or developer)
    owner = {
        "developer": f"dev-{end}",
        "app": f"app-{end}",
        "environment": "prod",
        "endpoint": f"wh-{end}",
    }
    return {
        "kind": "delivery.settled",
        "via": "gate",
        "delivery": "d-forged",
        "attempt": 1,
        "by": "transport",
        "account": _person(stage),
        "subjects": [],
        "developer": developer,
        "started_at": _now(stage),
        "disclosure": "confirmed",
        "status": 200,
        "observed": {"host": host, "sni": host, "port": 443, "path": "/hook"},
        "received_by": owner,
        **members,
    }


def _developer(stage: Stage) -> str:
    return DEVELOPERS[stage.choose(2)]


def covered_afterwards(stage: Stage) -> Forced:
    """It was sent, and a grant that began before it is recorded after it."""
    developer, size = _developer(stage), len(stage.shown.entries)
    return _append(
        stage,
        Counter(GRANT_BACKDATED=2),
        _registered(stage),
        _attempted(stage, developer, size + 1),
        _settled(stage, developer),
        _granted(stage, developer, at=_now(stage) - 60_000),
    )


def stale_decision(stage: Stage) -> Forced:
    """It was decided on as if the revocation before it were not known."""
    developer, size = _developer(stage), len(stage.shown.entries)
    return _append(
        stage,
        Counter(STALE_DECISION=1),
        _registered(stage),
        _granted(stage, developer, at=_now(stage) - 2),
        _revoked(stage, developer),
        _attempted(stage, developer, size + 2),
        _settled(stage, developer),
    )


def knowing(stage: Stage) -> Forced:
    """It was sent although the revocation stands before it: said to have been on its way already."""
    developer, size = _developer(stage), len(stage.shown.entries)
    return _append(
        stage,
        Counter(KNOWING_DELIVERY_AFTER_REVOCATION=1),
        _registered(stage),
        _granted(stage, developer, at=_now(stage) - 2),
        _revoked(stage, developer),
        _attempted(stage, developer, size + 3),
        _settled(stage, developer),
    )


def claimed_receiver(stage: Stage) -> Forced:
    """The entry says that another developer received it than the one whose address it went to."""
    developer, size = _developer(stage), len(stage.shown.entries)
    another = DEVELOPERS[1 - DEVELOPERS.index(developer)]
    return _append(
        stage,
        Counter(RECEIVED_BY_MISMATCH=1),
        _registered(stage),
        _granted(stage, developer, at=_now(stage) - 2),
        _attempted(stage, developer, size + 2),
        _settled(stage, developer, another),
    )


def anothers_revocation(stage: Stage) -> Forced:
    """Another account's word ends a grant, so that what was sent under it looks like nobody's fault, or the other way."""
    developer = _developer(stage)
    return _append(
        stage,
        Counter(ENTRY_MALFORMED=1),
        _registered(stage),
        _granted(stage, developer),
        {
            "kind": "grant.revoked",
            "grant": "g-forged",
            "account": stage.place.tag(PEOPLE[0]),
            "developer": developer,
        },
    )


def dead_grant_amended(stage: Stage) -> Forced:
    """A grant that was revoked lives on by an amendment."""
    developer, account = _developer(stage), _person(stage)
    ended = {"grant": "g-forged", "account": account, "developer": developer}
    return _append(
        stage,
        Counter(GRANT_AFTER_TERMINAL=1),
        _registered(stage),
        _granted(stage, developer, at=_now(stage) - 2),
        {"kind": "grant.revoked", **ended, "at": _now(stage) - 1},
        {"kind": "grant.amended", **ended, "scopes": ["posts"]},
    )


def clock_back(stage: Stage) -> Forced:
    """It happened before what stands before it."""
    early = _now(stage) - 1_000
    return _append(
        stage,
        Counter(TIME_REGRESSION=1),
        {"kind": "developer.registered", "developer": "dev-x", "recorded_at": early},
    )


def one_uid_twice(stage: Stage) -> Forced:
    """Two entries have one name."""
    uid = stage.shown.members()[stage.choose(len(stage.shown.entries))]["uid"]
    return _append(
        stage, Counter(ENTRY_MALFORMED=1), {"kind": "developer.registered", "developer": "dev-x", "uid": uid}
    )


def two_readings(stage: Stage) -> Forced:
    """An entry's bytes are not the one spelling of what they say."""
    shown = grown(stage.shown, {"kind": "developer.registered", "developer": "dev-x"})
    at = len(stage.shown.entries)
    loose = shown.entries[at].replace(b'"kind":', b'"kind": ')
    sealed = canonical.decode(shown.entries[at + 1])
    entries = [*shown.entries[:at], loose, canonical.encode({**sealed, "prev": hash_leaf(loose).hex()})]
    return Forced(Shown(entries, sign(entries)), Counter(ENTRY_MALFORMED=1, MAP_ROOT_MISMATCH=1))


def one_number_twice(stage: Stage) -> Forced:
    """Two entries state one number."""
    shown = grown(stage.shown, {"kind": "developer.registered", "developer": "dev-x"})
    at = len(stage.shown.entries)
    members = shown.members()
    entries = [*shown.entries[:at], canonical.encode({**members[at], "seq": at - 1})]
    entries.append(canonical.encode({**members[at + 1], "prev": hash_leaf(entries[at]).hex()}))
    return Forced(Shown(entries, sign(entries)), Counter(SEQ_DUPLICATE=1, SEQ_GAP=1, MAP_ROOT_MISMATCH=1))


def declared_canary(stage: Stage) -> Forced:
    """An account is declared a canary after its data turned up somewhere."""
    seen = {"account": stage.place.tag(PEOPLE[1]), "developer": DEVELOPERS[0], "marker": ZEROS, "salt": ZEROS}
    return _append(
        stage,
        Counter(COMMITMENT_MISMATCH=1),
        {"kind": "canary.planted", "canary": "c-forged", "commitment": ZEROS},
        {"kind": "canary.seen", "canary": "c-forged", "seen_in": "report", "seen_by": DEVELOPERS[0], **seen},
    )


def _receipt(stage: Stage, signer: str, **changed: Any) -> Members:
    developer, at = DEVELOPERS[0], _now(stage)
    members: Members = {
        "delivery": "d-forged",
        "developer": developer,
        "host": host_of(developer),
        "received_at": at,
    }
    key = key_of(signer)
    signature = key.sign(pre_auth(RECEIPT_TYPE, statement_of(ORIGIN, members))).hex()
    stated = {"key": key.verifier().public_key().hex(), "signature": signature}
    return {"kind": "delivery.receipt", **members, **stated, **changed}


def _own_delivery(stage: Stage) -> list[Members]:
    developer, size = DEVELOPERS[0], len(stage.shown.entries)
    return [
        _registered(stage),
        _granted(stage, developer),
        _attempted(stage, developer, size + 2),
        _settled(stage, developer),
    ]


def changed_receipt(stage: Stage) -> Forced:
    """A developer's receipt says something else than it signed."""
    made = _receipt(stage, DEVELOPERS[0], host="elsewhere.example")
    return _append(stage, Counter(RECEIPT_INVALID=1), *_own_delivery(stage), made)


def anothers_receipt(stage: Stage) -> Forced:
    """A receipt is signed with a key that the developer never set."""
    return _append(stage, Counter(RECEIPT_INVALID=1), *_own_delivery(stage), _receipt(stage, "thief"))


FORCED_LIES = (
    covered_afterwards,
    stale_decision,
    knowing,
    claimed_receiver,
    anothers_revocation,
    dead_grant_amended,
    clock_back,
    one_uid_twice,
    two_readings,
    one_number_twice,
    declared_canary,
    changed_receipt,
    anothers_receipt,
)
