"""Every code of the verdict rules (section 2.3) as a label, a sentence for people, and what to do about it.

For readers who know neither the rules nor the ledger: a permission stands for a grant, a withdrawal for a revocation.
The words explain a code and never decide anything; the codes, their order and severity are those of
:mod:`ledger.core.verdicts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class CodeWords(NamedTuple):
    """A code for people: a label of a few words, one sentence that says what was found, and the next step."""

    label: str
    sentence: str
    next_step: str


_WRONG_RECIPIENT = (
    "Stop deliveries to the receiving address, ask the developer that received the data to delete it and to say in "
    "writing what became of it, and tell the account and the other people concerned."
)
_WRONG_PLACE = (
    "Correct where the account's data is sent, have the copies in the wrong place deleted, and ask the account if it "
    "meant to allow this too."
)
_PERMISSION_ENDED = (
    "Find out why the sender did not know or did not ask, have the data that was sent too late deleted, and tell the "
    "account."
)
_TOO_MUCH = (
    "Stop sending this kind of data under this permission, have what was sent deleted, and tell the account which "
    "kinds of data were concerned."
)
_CHECK_SENDER = (
    "Find the program that sent it, check that it asks for permission immediately before each attempt, and keep its "
    "logs."
)
_CHECK_RECORDS = (
    "Ask whoever handed in this record how it came about, and correct the source if it was a mistake."
)
_BROKEN = (
    "Trust no figure of this ledger until this is explained: keep all copies as they are, compare them with the "
    "published log and with the checkpoints that others hold, and find the first entry that differs."
)
_WRONG_STATEMENT = (
    "Do not rely on this statement: get it again from its source, check the key against one that you received by "
    "another way, and ask who made it."
)
_WATCH = "Nothing has to be undone; keep it in mind when you judge similar deliveries."
_SEPARATE = (
    "Give the two developers' addresses different machines or paths, or make sure that no cache or connection is "
    "shared between them, before anything goes wrong."
)
_ASK_DEVELOPER = (
    "Ask the developer for its records of this delivery, and compare them with the entries named here."
)
_SETTLE = (
    "Find out from the sender's and the receiver's logs how the attempt ended, and record it; until then count the "
    "data as possibly received."
)
_REMIND = "Remind whoever is late, set a date, and take the next step that your policy provides for."
_HOLD = "Stop the deletion at once, find out what is lost, and tell whoever ordered that the data be kept."

CODE_WORDS: Final[Mapping[str, CodeWords]] = MappingProxyType(
    {
        "WRONG_DEVELOPER": CodeWords(
            "Wrong developer",
            "The account's data reached another developer than the one it was for, and no permission allowed that.",
            _WRONG_RECIPIENT,
        ),
        "NO_GRANT": CodeWords(
            "No permission at all",
            "The account's data was sent to a developer to which the account had never given a permission.",
            _WRONG_RECIPIENT,
        ),
        "WRONG_APP": CodeWords(
            "Wrong app",
            "The account had authorized this developer, but for another app than the one that received the data.",
            _WRONG_PLACE,
        ),
        "WRONG_ENVIRONMENT": CodeWords(
            "Wrong environment",
            "The account had authorized this app, but in another environment, such as production instead of testing.",
            _WRONG_PLACE,
        ),
        "ENDPOINT_NOT_OWNED": CodeWords(
            "Address of another app",
            "The address that received the data belonged to another app than the one the delivery was for.",
            _WRONG_RECIPIENT,
        ),
        "DESTINATION_MISMATCH": CodeWords(
            "Went to another address",
            "The connection was seen to lead to another web address than the one the delivery was for.",
            _CHECK_SENDER,
        ),
        "ENDPOINT_UNKNOWN": CodeWords(
            "Nobody's address",
            "The data was sent to an address that belonged to no registered developer at that time.",
            _WRONG_RECIPIENT,
        ),
        "DEVELOPER_CHANGED_BY_TRANSFER": CodeWords(
            "App changed hands",
            "The app had passed to another developer, and the account had not agreed to the new one.",
            _WRONG_RECIPIENT,
        ),
        "DELIVERED_BEFORE_GRANT": CodeWords(
            "Before the permission",
            "The data was sent before the account's permission began.",
            _PERMISSION_ENDED,
        ),
        "DELIVERED_AFTER_REVOCATION": CodeWords(
            "After the withdrawal",
            "The data was sent after the account had withdrawn its permission.",
            _PERMISSION_ENDED,
        ),
        "KNOWING_DELIVERY_AFTER_REVOCATION": CodeWords(
            "After a known withdrawal",
            "The data was sent although the account's withdrawal already stood in the ledger when the sender decided.",
            _PERMISSION_ENDED,
        ),
        "RETRY_AFTER_REVOCATION": CodeWords(
            "Retry after the withdrawal",
            "A repeated attempt sent the data after the account had withdrawn its permission.",
            _PERMISSION_ENDED,
        ),
        "REPLAY_AFTER_REVOCATION": CodeWords(
            "Replay after the withdrawal",
            "A replay of older events sent the data after the account had withdrawn its permission.",
            _PERMISSION_ENDED,
        ),
        "DELIVERED_AFTER_EXPIRY": CodeWords(
            "After the permission ran out",
            "The data was sent after the account's permission had run out.",
            _PERMISSION_ENDED,
        ),
        "GRANT_SUSPENDED": CodeWords(
            "Permission paused",
            "The data was sent while the account's permission was paused.",
            _PERMISSION_ENDED,
        ),
        "ACCOUNT_NOT_ACTIVE": CodeWords(
            "Account not active",
            "The data was sent while the account was suspended or deleted.",
            _PERMISSION_ENDED,
        ),
        "APP_OR_DEVELOPER_SUSPENDED": CodeWords(
            "App or developer suspended",
            "The data was sent while the receiving app or its developer was suspended.",
            _PERMISSION_ENDED,
        ),
        "IN_FLIGHT": CodeWords(
            "Withdrawn on the way",
            "The permission was withdrawn when the delivery was already under way, and it left in its sending time.",
            _WATCH,
        ),
        "STALE_DECISION": CodeWords(
            "Decided on an old state",
            "The sender decided on another state of the ledger than the one just before it wrote the attempt down.",
            _CHECK_SENDER,
        ),
        "SCOPE_EXCEEDED": CodeWords(
            "Kind of data not covered", "The account's permission did not cover this kind of data.", _TOO_MUCH
        ),
        "SCOPE_NARROWED": CodeWords(
            "Permission narrowed before",
            "The permission had once covered this kind of data, but the account had narrowed it by then.",
            _TOO_MUCH,
        ),
        "EVENT_TYPE_UNMAPPED": CodeWords(
            "Unknown kind of data",
            "The data was of a kind that the rules do not know, and so no permission covers it.",
            _TOO_MUCH,
        ),
        "GRANT_INVALIDATED": CodeWords(
            "Permission found invalid",
            "The permission that the delivery relied on turned out to be void from its beginning.",
            _PERMISSION_ENDED,
        ),
        "GRANT_BACKDATED": CodeWords(
            "Back-dated permission",
            "The permission was recorded as beginning at a time that had already passed when it was written down.",
            _CHECK_RECORDS,
        ),
        "REVOCATION_RECORDED_LATE": CodeWords(
            "Withdrawal recorded late",
            "A withdrawal was written down later than the time from which it counts.",
            _CHECK_RECORDS,
        ),
        "GRANT_AFTER_TERMINAL": CodeWords(
            "Change after the end",
            "The ledger holds a change to a permission, account or other party after it had ended for good.",
            _CHECK_RECORDS,
        ),
        "ENTRY_MALFORMED": CodeWords(
            "Unreadable entry", "An entry of the ledger is not in the one form that entries have.", _BROKEN
        ),
        "CHAIN_BROKEN": CodeWords(
            "Broken chain", "An entry does not carry the fingerprint of the entry before it.", _BROKEN
        ),
        "SEQ_GAP": CodeWords(
            "Missing entry",
            "The entries' numbers leave a gap: something is missing between two of them.",
            _BROKEN,
        ),
        "SEQ_DUPLICATE": CodeWords(
            "Repeated number", "An entry has a number that an entry before it already had or passed.", _BROKEN
        ),
        "TRUNCATED": CodeWords(
            "Shortened ledger",
            "The ledger holds fewer entries than a state of it that was signed before.",
            _BROKEN,
        ),
        "CHECKPOINT_SIGNATURE_INVALID": CodeWords(
            "Invalid signature",
            "The statement of the ledger's state lacks a valid signature by the key that it should carry.",
            _BROKEN,
        ),
        "CHECKPOINT_INCONSISTENT": CodeWords(
            "Contradicting statements",
            "Two signed statements of the ledger's state cannot both be true of one history.",
            _BROKEN,
        ),
        "ROOT_MISMATCH": CodeWords(
            "Fingerprint does not fit",
            "The entries do not add up to the fingerprint that was signed.",
            _BROKEN,
        ),
        "TILE_MISMATCH": CodeWords(
            "Stored hashes do not fit",
            "Hashes that are kept or published beside the entries are not those that the entries give.",
            _BROKEN,
        ),
        "MAP_ROOT_MISMATCH": CodeWords(
            "Index does not fit",
            "The index of the ledger does not add up to the fingerprint that was recorded for it.",
            _BROKEN,
        ),
        "INDEX_OMISSION": CodeWords(
            "Entry left out of the index",
            "The index of the ledger leaves out entries that belong in it.",
            _BROKEN,
        ),
        "COMMITMENT_MISMATCH": CodeWords(
            "Disclosed value does not fit",
            "A value that was disclosed is not the one that the ledger had committed itself to.",
            _BROKEN,
        ),
        "SPLIT_IDENTITY": CodeWords(
            "One account, two tags",
            "One account stands in the ledger under more than one tag, which could hide deliveries from it.",
            _BROKEN,
        ),
        "RECEIVED_BY_MISMATCH": CodeWords(
            "Other receiver recorded",
            "The entry names another receiver than the one that the history of the address gives.",
            _CHECK_RECORDS,
        ),
        "TIME_REGRESSION": CodeWords(
            "Clock went back", "An entry says that it was recorded earlier than the entry before it.", _BROKEN
        ),
        "SCHEMA_UNKNOWN": CodeWords(
            "Unknown kind of entry",
            "An entry has a kind or a part that this verifier does not know, so it was kept but not judged.",
            "Verify again with a newer version of the verifier.",
        ),
        "SENT_WITHOUT_ATTEMPT": CodeWords(
            "Sent unannounced",
            "A delivery is recorded as sent, but nothing was recorded before it that it was about to be sent.",
            _CHECK_SENDER,
        ),
        "ATTEMPT_UNSETTLED": CodeWords(
            "End unknown",
            "The ledger says that the delivery was attempted, but not how the attempt ended.",
            _SETTLE,
        ),
        "REPLAY_UNREQUESTED": CodeWords(
            "Replay that nobody asked for",
            "Older events were sent again although the ledger holds no request for that.",
            _CHECK_SENDER,
        ),
        "ENDPOINT_UNVERIFIED": CodeWords(
            "Address not checked",
            "The data was sent to an address that had not passed the check that it is the developer's.",
            "Check the address again, and hold deliveries back until it passes.",
        ),
        "UNTICKETED": CodeWords(
            "No ticket",
            "The delivery was recorded without the ticket that shows it had been authorized.",
            _CHECK_SENDER,
        ),
        "SNI_MISMATCH": CodeWords(
            "Two names on one connection",
            "The connection was made to one server name and the request on it was addressed to another.",
            "Make sure that the sender never uses a connection again for another destination.",
        ),
        "DUPLICATE_DELIVERY": CodeWords(
            "Delivered twice", "The same event was delivered to the same address more than once.", _WATCH
        ),
        "RECEIPT_MISSING": CodeWords(
            "Receipt missing",
            "The developer has not confirmed that it received this delivery.",
            _ASK_DEVELOPER,
        ),
        "ENDPOINT_COLLISION": CodeWords(
            "Addresses that collide",
            "Addresses of two developers lead to the same machine, port and path, so that a mix-up is possible.",
            _SEPARATE,
        ),
        "RECEIPT_WITHOUT_DELIVERY": CodeWords(
            "Receipt without delivery",
            "A developer confirmed that it received data which the ledger does not show as sent to it.",
            _WRONG_RECIPIENT,
        ),
        "CANARY_LEAKED": CodeWords(
            "Planted item turned up",
            "An item that was planted to detect leaks turned up where it should never have been.",
            _WRONG_RECIPIENT,
        ),
        "PEER_KEY_MISMATCH": CodeWords(
            "Another developer's key",
            "The server that answered proved itself with the key of another developer's server.",
            _WRONG_RECIPIENT,
        ),
        "EGRESS_COUNT_MISMATCH": CodeWords(
            "Deliveries not accounted for",
            "An independent count of what left the machines differs from what the ledger holds.",
            _BROKEN,
        ),
        "RECEIPT_INVALID": CodeWords(
            "Invalid receipt",
            "A developer's receipt does not carry a valid signature, or does not fit what it speaks of.",
            _WRONG_STATEMENT,
        ),
        "DELETION_ACK_OVERDUE": CodeWords(
            "No answer to a deletion request",
            "The developer has not confirmed within the time allowed that it received the request to delete.",
            _REMIND,
        ),
        "DELETION_OVERDUE": CodeWords(
            "Deletion overdue",
            "The developer has not deleted within the time allowed what it has to delete.",
            _REMIND,
        ),
        "ATTESTATION_INVALID": CodeWords(
            "Invalid deletion statement",
            "The developer's statement about the deletion does not carry a valid signature or is incomplete.",
            _WRONG_STATEMENT,
        ),
        "ATTESTATION_CONTRADICTED": CodeWords(
            "Deletion contradicted",
            "Something seen later contradicts the developer's statement that the data was deleted.",
            _ASK_DEVELOPER,
        ),
        "AUTHORITY_NOTICE_OVERDUE": CodeWords(
            "Authority not told in time",
            "The authority has not been told of the incident within the time that the law allows.",
            "Notify the authority now and give the reasons for the delay.",
        ),
        "ACCOUNT_NOTICE_OVERDUE": CodeWords(
            "People not told in time",
            "Somebody concerned has not been told of the incident within the time allowed.",
            "Send the notice now, and record why it is late.",
        ),
        "HOLD_VIOLATED": CodeWords(
            "Kept data deleted",
            "Data that had to be kept for an investigation was deleted or changed.",
            _HOLD,
        ),
    }
)
"""Code -> its words, in the order of the rules' table."""


def words_of(code: str) -> CodeWords:
    """The words of ``code``; a code that these rules do not have is shown as it is."""
    unknown = CodeWords(
        code, "This version of the rules has no such code.", "Verify again with a newer version."
    )
    return CODE_WORDS.get(code, unknown)
