"""Each lie of the operator's, as docs/threat-model.md lists them, and what is tried of it here.

Where nothing is tried, or something else catches it than whoever watches the log, the page's own words say why.
"""

from __future__ import annotations

Row = tuple[tuple[str, ...], str]

ABOUT_THE_LOG: dict[str, Row] = {
    "an entry was changed, removed, inserted or moved after it was sealed": (
        ("changed", "removed", "inserted", "moved"),
        "",
    ),
    "the same, with chain, tiles and index made anew to fit": (("relinked",), ""),
    "the same, and signed anew with the log's own key": (
        ("rewritten", "removed_and_rewritten"),
        "Who neither kept a checkpoint nor asks for witnesses, sees one history and cannot know",
    ),
    "entries that no checkpoint covers yet were changed or dropped": (
        ("not_sealed_yet",),
        "nothing can: they are durable, not sealed",
    ),
    "the end of the log never existed": (("cut_off",), ""),
    "an older copy of the database is the ledger": (("older_database",), ""),
    "database *and* record were put back together": (("older_database_and_record",), ""),
    "two people were shown one log, but it was two (a split view)": (
        ("two_histories", "replayed_cosignature"),
        "",
    ),
    "this is the log's checkpoint (it is another log's, or another key's)": (("another_key",), ""),
    "a stored hash or tile is right": (("edited_tile", "edited_leaf_hash"), ""),
    "what a column of the database says": (("edited_column",), "nothing is judged but hashed bytes"),
    "one entry, two readings (other spelling, repeated keys, odd numbers)": (("two_readings",), ""),
    "one number, or one `uid`, for two entries": (("one_number_twice", "one_uid_twice"), ""),
    "the index lists everything about you (it leaves something out)": (
        ("sealed_omission", "omission_that_was_shown"),
        "",
    ),
    "here is all that is recorded about you (a proof that leaves something out)": (
        ("omitting_bundle", "older_seal_in_bundle"),
        "",
    ),
    "nothing of you ever went to that developer": (("false_absence",), ""),
    "you are this tag (and a second one that you are not told of)": (("second_tag",), ""),
    "the log was damaged by a crash, not by us": (
        (),
        "a crash at any step leaves a log that verifies; so damage is damage",
    ),
}

TO_WHOEVER_FOLLOWS_IT: dict[str, Row] = {
    "what is new is what was signed (a bit of it is another)": (("new_bit",), ""),
    "this is the log that you followed (a fork, of equal, larger or smaller size)": (
        ("rewritten", "forked_on", "forked_back"),
        "",
    ),
    "there is nothing new (an older checkpoint, a shrunken log)": (("shrunk",), ""),
    "nobody answers (a server that hangs, floods, fails)": ((), "nothing is concluded from it"),
    "the index is complete (a seal omits an entry, or states none)": (
        ("sealed_omission", "older_index", "no_index"),
        "",
    ),
    "it was backed all along (recorded afterwards)": (("covered_afterwards",), ""),
    "the alarm was never raised (the monitor was killed)": ((), "each line is told once, whatever kills it"),
}

ABOUT_WHAT_HAPPENED: dict[str, Row] = {
    "it went to whom it was meant for (it did not: the fault of 2018)": (("misdelivered",), ""),
    "it went there (the Host header was right, the connection another's)": (("another_connection",), ""),
    "the observation was made up, or left out": (("false_observation", "no_observation"), ""),
    "that was only a drill (it was real)": (("misdelivered",), "no verifier knows of drills"),
    "we would notice (the alarms are off, or slow)": (
        (),
        "`grantledger drill` sends one astray and measures",
    ),
    "it was never sent (and is in no entry)": (
        ("never_recorded", "never_recorded_and_counted", "sent_elsewhere", "canary_abroad"),
        "",
    ),
    "nothing of it left (it did)": (("denied",), ""),
    "the receipt is for this delivery (another ticket, another text, no such entry)": (
        ("changed_receipt",),
        "",
    ),
    "the developer signed it (with a key that the operator put into the log)": (
        ("anothers_receipt",),
        "whoever looks there sees a key that it never set",
    ),
    "this is all that the proxy counted (a count was held back, or changed)": (("count_held_back",), ""),
    "it went through the proxy (it went around it, or under another name)": (
        ("around_the_proxy", "sent_elsewhere"),
        "**nothing in a log can**, a firewall must let nothing else out",
    ),
    "that was a canary (it was declared one afterwards)": (("declared_canary",), ""),
    "we do not know what became of it": (("unsettled",), ""),
    "it had been decided on (there was no attempt, or it came after)": (("without_attempt",), ""),
    "the revocation was not known yet": (("stale_decision", "knowing"), ""),
    "it was on its way already (an excuse by a back-dated revocation)": (("old_permit", "knowing"), ""),
    "an old permit still held": (("old_permit",), ""),
    "it left before the suspension, the transfer (it left while that was being recorded)": (
        ("after_suspension",),
        "",
    ),
    "the clock stood still, so nobody can say what came first": (
        (),
        "a restriction is recorded a millisecond after every delivery before it",
    ),
    "the grant was there (it was recorded afterwards, live)": (("covered_afterwards", "backdated_grant"), ""),
    "the same, for deliveries imported from old logs, with a grant from a later file": (
        (),
        "**nothing in the verdict**: of imports only what is known now is asked",
    ),
    "the account granted it (it never did)": ((), "**nothing in a ledger can**: only the account"),
    "the account revoked it later than it did": (("late_revocation", "suppressed_revocation"), ""),
    "the grant still lived; another account's word ended or changed it": (
        ("anothers_revocation", "dead_grant_amended"),
        "",
    ),
    "the entry says who received it": (("claimed_receiver",), ""),
    "it was a harmless sort of event, about nobody else": (
        (),
        "**nothing in a ledger can**: no payload is kept after it was delivered",
    ),
    "it happened then": (("clock_back",), "**times are claimed.**"),
    "nobody could have foreseen it": (
        (),
        "`ENDPOINT_COLLISION` stands from the day on which two developers share address, port and path",
    ),
    "the rule was a different one": (
        (),
        "every report names rule set and hash over codes, severities and scopes",
    ),
}

ROWS: dict[str, Row] = ABOUT_THE_LOG | TO_WHOEVER_FOLLOWS_IT | ABOUT_WHAT_HAPPENED
