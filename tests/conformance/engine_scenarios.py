"""Logs that every engine must judge alike, each with what the scalar rule says of it.

Most are the verifier's cases of the verdict rules, section 2.6; the others are what an engine could get wrong by its
own means: joins, chunks, hashes, quick ways. ``SCENARIOS`` maps a sentence to a function that makes the entries and
tells the primary codes that the report counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ledger.core import canonical
from tests.support.builders import DM, POST, Log, seen, tag
from tests.support.forged_logs import (
    Members,
    add_seal,
    encode_log,
    members_of,
    open_log,
    pad,
    tell_events_apart,
)

NOON = 1_500_000_000_000
CHUNK = 256
Codes = dict[str, int]
Scenario = Callable[[], tuple[list[bytes], Codes]]
SCENARIOS: dict[str, Scenario] = {}


def scenario(make: Scenario) -> Scenario:
    """Enter a scenario under its name as a sentence."""
    SCENARIOS[make.__name__.strip("_").replace("_", " ")] = make
    return make


def begin() -> Log:
    """Both parties, with endpoints that passed a challenge."""
    log = open_log()
    log.parties()
    for letter in "ab":
        log.add("endpoint.verified", 1, endpoint=f"wh-{letter}")
    return log


def deliver(log: Log, delivery: str, at: int, **settled: Any) -> None:
    """An attempt and its settlement."""
    log.settle(log.attempt(delivery, at=at), **settled)


def end(log: Log, codes: Codes) -> tuple[list[bytes], Codes]:
    """Seal the log, every delivery an event of its own."""
    add_seal(log)
    return encode_log(tell_events_apart(log)), codes


@scenario
def _clean_deliveries_of_both_sorts() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue(scopes=["direct_messages", "posts"])
    for number in range(20):
        deliver(log, f"d-{number}", 1_000 + number)
        log.imported(f"i-{number}", at=2_000 + number, event_type=DM, observed=seen())
        log.imported(f"j-{number}", at=3_000 + number)
    return end(log, {})


@scenario
def _in_flight_and_just_not_in_flight() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    first = log.attempt("d-1", at=NOON - 100)
    second = log.attempt("d-2", at=NOON - 100)
    log.revoke(at=NOON, via="api")
    log.settle(first, NOON + 899)
    log.settle(second, NOON + 900)
    return end(log, {"IN_FLIGHT": 1, "DELIVERED_AFTER_REVOCATION": 1})


@scenario
def _a_retry_after_the_revocation() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.imported("d-1", at=150, disclosure="none")
    log.revoke(at=200)
    log.imported("d-1", at=250, attempt=2)
    return end(log, {"RETRY_AFTER_REVOCATION": 1})


@scenario
def _a_retry_after_a_body_that_was_sent_exposes_twice() -> tuple[list[bytes], Codes]:
    log = begin()
    log.imported("d-1", at=150, disclosure="possible", observed=seen())
    log.imported("d-1", at=160, attempt=2, observed=seen())
    return end(log, {"NO_GRANT": 2})


@scenario
def _knowing_delivery_after_a_revocation() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.revoke(at=200)
    deliver(log, "d-1", 300)
    deliver(log, "d-2", 301, disclosure="none")
    return end(log, {"KNOWING_DELIVERY_AFTER_REVOCATION": 2})


@scenario
def _a_replay_requested_while_live_and_sent_after_the_revocation() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue(at=100)
    log.add("replay.requested", 150, replay="r", endpoint="wh-a", from_at=0, to_at=150, via="api")
    attempted = log.attempt("d-1", at=300, replay="r")
    log.revoke(at=200, recorded_at=310, via="api")
    log.settle(attempted)
    log.settle(log.attempt("d-2", at=310, replay="r-unknown", forced=True), disclosure="none")
    return end(log, {"REPLAY_AFTER_REVOCATION": 1, "KNOWING_DELIVERY_AFTER_REVOCATION": 1})


@scenario
def _deliveries_recorded_late_are_judged_by_their_start() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue(at=100)
    log.revoke(at=200)
    log.imported("d-1", at=199, recorded_at=10_000)
    log.imported("d-2", at=200, recorded_at=20_000)
    return end(log, {"DELIVERED_AFTER_REVOCATION": 1})


@scenario
def _settled_before_attempted() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.settle(begin().attempt("d-1", at=150), 150)
    log.attempt("d-1", at=150)
    return end(log, {"SENT_WITHOUT_ATTEMPT": 1})


@scenario
def _a_settlement_without_any_attempt() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.settle(begin().attempt("d-1", at=150), 150)
    return end(log, {"SENT_WITHOUT_ATTEMPT": 1})


@scenario
def _a_grant_recorded_after_the_delivery() -> tuple[list[bytes], Codes]:
    log = begin()
    deliver(log, "d-1", 150)
    log.imported("d-2", at=150)
    log.issue(at=100, recorded_at=10_000, via="api")
    return end(log, {"GRANT_BACKDATED": 2})


@scenario
def _a_restriction_recorded_late_voids_what_was_sent_in_good_faith() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue(at=100)
    deliver(log, "d-1", 150)
    deliver(log, "d-2", 250)
    log.revoke(at=200, recorded_at=10_000, via="api")
    return end(log, {"DELIVERED_AFTER_REVOCATION": 1, "REVOCATION_RECORDED_LATE": 1})


@scenario
def _granted_again_after_expiry_leaves_a_gap() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue("g-1", at=100, expires_at=200)
    log.issue("g-2", at=300)
    for at in (99, 100, 199, 200, 299, 300):
        log.imported(f"d-{at}", at=at)
    return end(log, {"DELIVERED_BEFORE_GRANT": 1, "DELIVERED_AFTER_EXPIRY": 2})


@scenario
def _narrowed_and_widened_at_one_instant() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue(at=100, scopes=["direct_messages", "posts"])
    log.amend(at=200, scopes=["direct_messages", "likes", "posts"])
    log.amend(at=200, scopes=["likes", "posts"])
    for at in (199, 200, 201):
        log.imported(f"d-{at}", at=at, event_type=DM)
    log.amend(at=300, scopes=["direct_messages"])
    log.imported("d-300", at=300, event_type=DM)
    log.imported("p-300", at=300, event_type=POST)
    return end(log, {"SCOPE_NARROWED": 3})


@scenario
def _an_endpoint_that_moved_to_another_developer() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    attempted = log.attempt("d-1", at=200)
    log.add("endpoint.transferred", 150, endpoint="wh-a", app="app-b")
    log.settle(attempted)
    deliver(log, "d-2", 210)
    log.imported("d-3", at=210, observed=seen(), app="app-a")
    log.imported("d-4", at=140, observed=seen())
    return end(log, {"ENDPOINT_NOT_OWNED": 3})


@scenario
def _a_processor_may_receive_only_while_declared() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.add("processor.declared", 200, developer="dev-a", processor="dev-b", until=300)
    for at in (199, 200, 299, 300):
        log.imported(f"d-{at}", at=at, observed=seen("b.example"))
    return end(log, {"WRONG_DEVELOPER": 2, "DESTINATION_MISMATCH": 2})


@scenario
def _a_shared_address_is_an_advisory_and_the_name_in_tls_decides() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    for letter in "ab":
        log.add("endpoint.verified", 120, endpoint=f"wh-{letter}", addresses=["203.0.113.7"])
    log.imported("d-1", at=150, observed=seen(peer_ip="203.0.113.7"))
    log.imported("d-2", at=150, observed=seen("a.example", sni="b.example"))
    return end(log, {"WRONG_DEVELOPER": 1, "ENDPOINT_COLLISION": 1})


@scenario
def _addresses_that_only_deliveries_tell_of_collide_too() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.issue("g-b", developer="dev-b", app="app-b")
    log.imported("d-1", at=150, observed=seen(), resolved_ip="203.0.113.7")
    pad(log, CHUNK)
    log.imported("d-2", at=160, endpoint="wh-b", observed=seen("b.example"), resolved_ip="203.0.113.7")
    return end(log, {"ENDPOINT_COLLISION": 1})


@scenario
def _a_message_between_two_businesses_needs_two_grants() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue("g-ann", scopes=["direct_messages"])
    log.imported("d-1", at=150, event_type=DM)
    log.imported("d-2", at=150, event_type=DM, account="bob", endpoint="wh-b")
    return end(log, {"NO_GRANT": 1})


@scenario
def _an_app_transferred_while_the_queue_holds_decided_items() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    attempted = log.attempt("d-1", at=200)
    log.add("app.transferred", 200, app="app-a", developer="dev-b", via="api")
    log.settle(attempted, 201)
    deliver(log, "d-2", 210, developer="dev-a")
    log.amend(at=220, developer="dev-b")
    log.settle(log.attempt("d-3", at=230, developer="dev-b"))
    return end(log, {"DEVELOPER_CHANGED_BY_TRANSFER": 2})


@scenario
def _an_invalidated_grant_voids_all_its_deliveries() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue(at=100)
    for at in (150, 160, 170):
        deliver(log, f"d-{at}", at)
    log.add("grant.invalidated", 10_000, grant="g", via="api")
    return end(log, {"GRANT_INVALIDATED": 3})


@scenario
def _an_erased_account_keeps_its_verdicts() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.imported("d-1", at=150)
    log.imported("d-2", at=150, endpoint="wh-b")
    log.add("subject.erased", 300, account=tag("ann"), approved_by="operator:grace", via="system")
    return end(log, {"WRONG_DEVELOPER": 1})


@scenario
def _somebody_is_erased_while_a_legal_hold_stands() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.imported("d-1", at=150)
    log.add("hold.placed", 200, hold="h-1", account=tag("ann"), via="api")
    log.add("subject.erased", 300, account=tag("ann"), via="api", forced=True)
    log.add("hold.lifted", 400, hold="h-1", account=tag("ann"), via="api")
    return end(log, {"HOLD_VIOLATED": 1})


@scenario
def _somebody_is_erased_before_and_behind_the_end_of_a_legal_hold() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.issue("g-2", account="bob")
    for whose in ("ann", "bob"):
        log.add("hold.placed", 200, hold=f"h-{whose}", account=tag(whose), until=350, via="api")
    log.add("subject.erased", 400, recorded_at=300, account=tag("ann"), via="api", forced=True)
    log.add("subject.erased", 400, account=tag("bob"), approved_by="operator:grace", via="api")
    return end(log, {"HOLD_VIOLATED": 1})


@scenario
def _a_deleted_account_and_a_suspended_one() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue("g-1")
    log.issue("g-2", account="bob")
    log.add("account.suspended", 200, account=tag("bob"))
    log.add("account.deleted", 200, account=tag("ann"))
    log.add("account.reactivated", 250, account=tag("bob"))
    for at in (199, 200, 249, 250):
        log.imported(f"a-{at}", at=at)
        log.imported(f"b-{at}", at=at, account="bob")
    return end(log, {"ACCOUNT_NOT_ACTIVE": 5})


@scenario
def _suspended_apps_developers_and_grants() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.add("app.suspended", 200, app="app-a")
    log.add("app.reinstated", 210, app="app-a")
    log.add("developer.suspended", 220, developer="dev-a")
    log.add("developer.reinstated", 230, developer="dev-a")
    log.add("grant.suspended", 240, grant="g")
    log.add("grant.resumed", 250, grant="g")
    for at in range(195, 260, 5):
        log.imported(f"d-{at}", at=at)
    return end(log, {"APP_OR_DEVELOPER_SUSPENDED": 4, "GRANT_SUSPENDED": 2})


@scenario
def _a_developer_suspended_before_and_recorded_after_a_delivery() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    deliver(log, "d-1", 300)
    log.add("developer.suspended", 200, developer="dev-a", recorded_at=400, via="api")
    log.add("developer.reinstated", 250, developer="dev-a", recorded_at=400, via="api")
    deliver(log, "d-2", 500)
    return end(log, {})


@scenario
def _the_transports_settlement_wins_over_the_rescuers() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    attempted = log.attempt("d-1", at=150)
    log.settle(attempted, 150, by="rescuer", disclosure="possible", observed=None)
    log.settle(attempted, 151, observed=seen("b.example"))
    second = log.attempt("d-2", at=160)
    log.settle(second, 160)
    log.settle(second, 161, by="rescuer", observed=None)
    return end(log, {"WRONG_DEVELOPER": 1})


@scenario
def _event_types_that_nobody_knows_and_accounts_that_granted_nothing() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.imported("d-1", at=150, event_type="poll_events")
    log.imported("d-2", at=150, account="zoe")
    log.imported("d-3", at=150, endpoint="wh-nobodys")
    log.imported("d-4", at=150, observed=seen("nobody.example"))
    return end(log, {"EVENT_TYPE_UNMAPPED": 1, "NO_GRANT": 1, "ENDPOINT_UNKNOWN": 2})


@scenario
def _events_on_grants_that_are_not_theirs_forced_in() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.add("grant.revoked", 200, grant="g", account=tag("eve"), developer="dev-a", forced=True)
    log.imported("d-1", at=250)
    log.revoke(at=300)
    log.add("grant.resumed", 310, grant="g", account=tag("ann"), developer="dev-a", forced=True, via="api")
    log.imported("d-2", at=350)
    log.add("grant.amended", 320, grant="g", account=tag("ann"), developer="dev-a", forced=True)
    return end(
        log,
        {"DELIVERED_AFTER_REVOCATION": 1, "GRANT_AFTER_TERMINAL": 2, "ENTRY_MALFORMED": 1},
    )


@scenario
def _attempts_that_were_never_settled() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.attempt("d-old", at=NOON)
    log.attempt("d-edge", at=NOON + 1)
    log.attempt("d-new", at=NOON + 2)
    log.add("developer.registered", NOON + 60_001, developer="dev-z")
    return end(log, {"ATTEMPT_UNSETTLED": 2})


@scenario
def _settlements_in_another_chunk_than_their_attempts() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue(at=100)
    told = [log.attempt(f"d-{number}", at=150 + number) for number in range(4)]
    pad(log, CHUNK)
    log.settle(told[0], 150)
    log.settle(told[1], 151, observed=seen("b.example"))
    pad(log, CHUNK)
    log.settle(told[2], 152, by="rescuer", disclosure="possible", observed=None)
    log.settle(told[0], 150, by="rescuer", disclosure="possible", observed=None)
    return end(log, {"WRONG_DEVELOPER": 1})


@scenario
def _an_attempt_repeated_in_another_chunk() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue(at=100)
    deliver(log, "d-1", 150)
    pad(log, CHUNK)
    deliver(log, "d-1", 400)
    log.imported("d-1", at=500)
    return end(log, {})


@scenario
def _copies_of_one_event_at_one_endpoint() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.imported("d-1", at=150, observed=seen())
    log.imported("d-2", at=151, observed=seen())
    log.imported("d-2", at=152, attempt=2, observed=seen())
    log.imported("d-3", at=153, observed=seen(), disclosure="none")
    deliver(log, "d-4", 160)
    add_seal(log)
    return encode_log(log), {"DUPLICATE_DELIVERY": 3}


@scenario
def _copies_at_another_endpoint_than_the_one_meant() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue("g-a")
    log.issue("g-b", developer="dev-b", app="app-b")
    log.imported("d-1", at=150, observed=seen("b.example"))
    log.imported("d-2", at=151, endpoint="wh-b", observed=seen("b.example"))
    log.imported("d-3", at=152, observed=seen())
    add_seal(log)
    return encode_log(log), {"DUPLICATE_DELIVERY": 1, "DESTINATION_MISMATCH": 1}


@scenario
def _copies_by_two_names_of_one_destination() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.add("endpoint.retired", 120, endpoint="wh-a")
    log.endpoint("wh-new", "app-a", "https://a.example/hook", at=130)
    log.add("endpoint.verified", 131, endpoint="wh-new")
    log.imported("d-1", at=150, observed=seen(), app="app-a")
    log.imported("d-2", at=160, endpoint="wh-new", observed=seen())
    log.imported("d-3", at=170)
    add_seal(log)
    return encode_log(log), {"DUPLICATE_DELIVERY": 2}


@scenario
def _copies_of_attempts_whose_end_lies_in_another_chunk() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    early = log.attempt("d-1", at=150)
    pad(log, CHUNK)
    log.settle(early, 150)
    log.attempt("d-2", at=155)
    deliver(log, "d-3", 160)
    add_seal(log)
    return encode_log(log), {"DUPLICATE_DELIVERY": 1}


@scenario
def _a_copy_of_an_attempt_that_was_never_settled() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.attempt("d-1", at=150)
    log.imported("d-2", at=160)
    add_seal(log)
    return encode_log(log), {"DUPLICATE_DELIVERY": 1}


@scenario
def _attempts_decided_on_another_state() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.settle(log.attempt("d-1", at=150, decided_at_size=3))
    log.settle(log.attempt("d-2", at=151, decided_at_size=10_000))
    return end(log, {"STALE_DECISION": 2})


@scenario
def _settlements_that_name_others_than_their_attempts() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    deliver(log, "d-1", 150, account=tag("bob"))
    deliver(log, "d-2", 151, subjects=[tag("bob")])
    deliver(log, "d-3", 152, developer="dev-b")
    return end(log, {"ENTRY_MALFORMED": 3})


@scenario
def _false_claims_about_who_received() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.imported("d-1", at=150, observed=seen())
    deliver(log, "d-2", 160)
    log.imported("d-3", at=170)
    add_seal(log)
    lying: list[Members] = []
    for members in tell_events_apart(log):
        if members.get("delivery") == "d-1" or members["kind"] == "delivery.settled":
            members["received_by"] = members["received_by"] | {"endpoint": "wh-b"}
        elif members.get("delivery") == "d-3":
            del members["received_by"]
        lying.append(members)
    return encode_log(lying), {"RECEIVED_BY_MISMATCH": 3}


@scenario
def _unverified_endpoints_and_foreign_keys() -> tuple[list[bytes], Codes]:
    log = open_log()
    log.parties()
    log.issue()
    deliver(log, "d-1", 150)
    log.add("endpoint.verified", 200, endpoint="wh-a", spki_sha256="a" * 64)
    log.add("endpoint.verified", 200, endpoint="wh-b", spki_sha256="b" * 64)
    deliver(log, "d-2", 250, observed=seen(spki_sha256="a" * 64))
    deliver(log, "d-3", 260, observed=seen(spki_sha256="b" * 64))
    deliver(log, "d-4", 270, observed=seen(spki_sha256="c" * 64))
    return end(log, {"ENDPOINT_UNVERIFIED": 1, "PEER_KEY_MISMATCH": 1})


@scenario
def _imports_through_the_interface_without_a_ticket() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.imported("d-1", at=150, via="api")
    log.imported("d-2", at=151, via="api", ticket="ledger.example/test/5:x sig")
    return end(log, {"UNTICKETED": 1})


@scenario
def _repeated_uids_near_and_far() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    pad(log, 2 * CHUNK)
    add_seal(log)
    members = members_of(log)
    members[20]["uid"] = members[19]["uid"]
    members[CHUNK + 50]["uid"] = members[2]["uid"]
    members[2 * CHUNK]["uid"] = members[2]["uid"]
    return encode_log(members), {"ENTRY_MALFORMED": 3}


@scenario
def _unknown_kinds_and_unlisted_members() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.imported("d-1", at=150)
    log.imported("d-2", at=160)
    pad(log, 5)
    add_seal(log)
    members = tell_events_apart(log)
    members[-2] |= {"kind": "weather.noted", "account": tag("ann"), "subjects": [tag("bob"), tag("cat")]}
    members[-3] |= {"kind": "grant.blessed", "grant": "g", "received_by": {"developer": "dev-b"}}
    members[-4] |= {"developer": "dev-q", "mood": {"good": True}}
    members[-5] |= {"kind": "delivery.dreamt", "delivery": "d-2", "attempt": 1}
    imported = next(each for each in members if each.get("delivery") == "d-1")
    imported["mood"] = "good"
    imported["observed"] = {"host": "b.example", "path": "/hook", "sni": "b.example", "port": 443, "via": "x"}
    return encode_log(members), {"SCHEMA_UNKNOWN": 5, "RECEIVED_BY_MISMATCH": 1}


@scenario
def _malformed_entries_between_good_ones() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    for number in range(6):
        deliver(log, f"d-{number}", 150 + number)
    pad(log, CHUNK)
    add_seal(log)
    members: list[Members | bytes] = list(tell_events_apart(log))
    members[9] |= {"attempt": 0}  # type: ignore[operator]
    members[10] |= {"subjects": [tag("b"), tag("b")]}  # type: ignore[operator]
    members[12] |= {"account": "a_" + "0" * 31 + "G"}  # type: ignore[operator]
    members[CHUNK] |= {"identity": None}  # type: ignore[operator]
    members[CHUNK + 5] = b"not even JSON"
    return encode_log(members), {"ENTRY_MALFORMED": 5, "SENT_WITHOUT_ATTEMPT": 2}


@scenario
def _a_last_entry_that_is_malformed_hides_no_time() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.attempt("d-1", at=NOON)
    log.add("developer.registered", NOON + 100_000, developer="dev-z")
    pad(log, CHUNK)
    members: list[Members | bytes] = list(members_of(log))
    members[CHUNK - 1] = b"{}"
    members[-1] = b"{}"
    return encode_log(members), {"ATTEMPT_UNSETTLED": 1, "ENTRY_MALFORMED": 2}


@scenario
def _people_by_the_hundred_in_one_delivery() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    people = sorted(tag(f"person {number}") for number in range(700))
    deliver_to = log.attempt("d-1", at=150, subjects=people)
    log.settle(deliver_to, 150)
    return end(log, {})


@scenario
def _entries_too_long_to_be_entries() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    pad(log, 3)
    entries = encode_log(log)
    members = canonical.decode(entries[-1])
    empty = members | {"kind": "key.rotated", "previous_vkey": "", "vkey": ""}
    del empty["account"], empty["identity"]
    room = 65_535 - len(json.dumps(empty, separators=(",", ":")))
    members_list: list[Members] = members_of(log)
    return (
        encode_log([*members_list[:-1], empty | {"vkey": "x" * (room + 1)}]),
        {"ENTRY_MALFORMED": 1},
    )


@scenario
def _more_faults_than_a_report_lists() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    pad(log, 1_300)
    members: list[Members | bytes] = list(members_of(log))
    for place in range(20, 1_250):
        members[place] |= {"identity": "z"}  # type: ignore[operator]
    return encode_log(members), {"ENTRY_MALFORMED": 1_230}


@scenario
def _repeated_and_missing_seqs() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    for number in range(10):
        deliver(log, f"d-{number}", 150 + number)
    log.imported("d-bad", at=180, endpoint="wh-b")
    add_seal(log)
    members = tell_events_apart(log)
    members[-2]["seq"] = 10
    return encode_log(members), {"SEQ_DUPLICATE": 1, "SEQ_GAP": 1, "WRONG_DEVELOPER": 1}


@scenario
def _seqs_of_entries_that_are_nowhere() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    log.imported("d-bad", at=180, endpoint="wh-b")
    attempted = log.attempt("d-1", at=190)
    log.settle(attempted, observed=seen("b.example"))
    log.attempt("d-2", at=200)
    members = tell_events_apart(log)
    for place, each in enumerate(members[-4:]):
        each["seq"] = 10**12 + place
        if "decided_at_size" in each:
            each["decided_at_size"] = each["seq"]
    return encode_log(members), {"SEQ_GAP": 1, "WRONG_DEVELOPER": 2}


@scenario
def _seals_that_stand_where_none_may() -> tuple[list[bytes], Codes]:
    log = begin()
    add_seal(log)
    add_seal(log, map_size=3)
    add_seal(log, map_size=10**9)
    add_seal(log, map_fn=2)
    pad(log, 2)
    add_seal(log)
    return encode_log(log), {"MAP_ROOT_MISMATCH": 3}


@scenario
def _seals_with_seqs_made_up_to_fit() -> tuple[list[bytes], Codes]:
    log = begin()
    add_seal(log)
    pad(log, 2)
    add_seal(log)
    members = members_of(log)
    members[-1] |= {"seq": 10**9, "map_size": 10**9, "map_root": "1" * 64}
    members.append(
        members_of(log)[-1] | {"seq": 3, "uid": "index.sealed/x", "map_size": 2, "map_root": "1" * 64}
    )
    members.append(
        members_of(log)[-1] | {"seq": 5, "uid": "index.sealed/y", "map_size": 4, "map_root": "1" * 64}
    )
    return encode_log(members), {"MAP_ROOT_MISMATCH": 3, "SEQ_GAP": 2, "SEQ_DUPLICATE": 1}


@scenario
def _several_seals_with_their_real_roots() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    for number in range(5):
        deliver(log, f"d-{number}", 150 + number)
        pad(log, 120)
        add_seal(log, map_size=log.size - number)
    return encode_log(tell_events_apart(log)), {}


@scenario
def _recorded_times_that_decrease() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue(recorded_at=5_000)
    deliver(log, "d-1", 6_000)
    pad(log, CHUNK)
    members = tell_events_apart(log)
    members[9]["recorded_at"] = 4_999
    members[CHUNK]["recorded_at"] = 5_999
    return encode_log(members), {"TIME_REGRESSION": 2}


@scenario
def _destinations_that_are_none() -> tuple[list[bytes], Codes]:
    log = begin()
    log.add("app.registered", 1, app="app-x", developer="dev-x")
    log.issue(developer="dev-x", app="app-x", grant="g-x")
    log.add(
        "endpoint.registered",
        1,
        endpoint="wh-x",
        app="app-x",
        developer="dev-x",
        environment="prod",
        url="no url at all",
        forced=True,
    )
    log.imported("d-1", at=150, endpoint="wh-x", forced=True, developer="dev-x")
    log.imported(
        "d-2", at=150, endpoint="wh-x", observed={"host": "a.example"}, forced=True, developer="dev-x"
    )
    return end(log, {"ENDPOINT_UNKNOWN": 2, "ENTRY_MALFORMED": 1})


@scenario
def _events_of_parties_that_were_never_registered_forced_in() -> tuple[list[bytes], Codes]:
    log = begin()
    log.issue()
    party: dict[str, Any] = {"app": "app-x", "developer": "dev-x", "forced": True}
    log.add("endpoint.verified", 120, endpoint="wh-x", addresses=["203.0.113.7"], **party)
    log.add("endpoint.transferred", 121, endpoint="wh-y", **party)
    log.add("endpoint.retired", 122, endpoint="wh-z", **party)
    log.add("app.transferred", 123, **party)
    log.add("app.suspended", 124, **party)
    for letter in "xyz":
        log.imported(f"d-{letter}", at=150, endpoint=f"wh-{letter}", resolved_ip="203.0.113.7")
    log.settle(log.attempt("d-1", at=160, endpoint="wh-x"), observed=seen())
    return end(log, {"ENDPOINT_UNKNOWN": 3, "ENTRY_MALFORMED": 4})
