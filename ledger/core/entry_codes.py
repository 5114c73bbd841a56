"""Codes about how an attempt was recorded and sent, whether or not it was backed (verdict rules, sections 2.3 and 2.5).

Integrity: a decision on another state than the one before it (``STALE_DECISION``), a settlement that does not
repeat its attempt's tags, or an answer to what nobody is said to have disclosed (``ENTRY_MALFORMED``), a claim
about the receiver that history does not bear out (``RECEIVED_BY_MISMATCH``; P where it was right when it was
appended and history recorded later explains it).

Hygiene: of these only ``DUPLICATE_DELIVERY`` and ``SNI_MISMATCH`` are raised for imports from a file.

Read where the text leaves room:

- An endpoint is unverified until its first passed challenge; a later failed one is the gate's business, which stops
  sending, and no sign that the endpoint was never proven.
- ``PEER_KEY_MISMATCH`` needs a key pinned for the receiving endpoint: without one there is nothing to differ from, and
  developers behind one front share keys.
- The index claim ``developer`` of an import is derived again like ``received_by`` and reported under the same code.
- A settlement with disclosure ``none`` need not say who would have received.
"""

from __future__ import annotations

from ledger.core.completion import receiving_owner
from ledger.core.delivery import Claim, Delivery
from ledger.core.destinations import has_sni_mismatch
from ledger.core.history import EndpointRecord, History
from ledger.core.parties import Owner, intended_owner, owner_of_endpoint
from ledger.core.verdicts import Code, Severity, severity_of

UNSETTLED_AFTER_MS = 60_000
"""How long an attempt may stay without a settlement (section 2.2)."""


def find_entry_codes(
    delivery: Delivery,
    history: History,
    owner: Owner | None,
    *,
    tree_size: int,
    ledger_time_ms: int,
    require_tickets: bool,
) -> dict[Code, Severity]:
    """The integrity and hygiene codes of ``delivery`` with their severities; ``owner`` owns its destination, really."""
    found: dict[Code, Severity] = {code: severity_of(code) for code in delivery.raised}
    found.update(_integrity_codes(delivery, history, tree_size))
    codes: list[Code] = []
    if delivery.is_duplicate:
        codes.append("DUPLICATE_DELIVERY")
    if has_sni_mismatch(delivery.observed):
        codes.append("SNI_MISMATCH")
    if not delivery.is_from_file:
        codes.extend(_process_codes(delivery, history, owner, tree_size, ledger_time_ms))
    for code in codes:
        found[code] = severity_of(code)
    if "UNTICKETED" in found and require_tickets:
        found["UNTICKETED"] = "X"
    return found


def _process_codes(
    delivery: Delivery, history: History, owner: Owner | None, tree_size: int, ledger_time_ms: int
) -> list[Code]:
    codes: list[Code] = []
    if delivery.is_imported:
        if delivery.ticket is None:
            codes.append("UNTICKETED")
    elif delivery.attempted_seq is None or delivery.is_disordered:
        codes.append("SENT_WITHOUT_ATTEMPT")
    if not delivery.is_settled and ledger_time_ms - delivery.recorded_at_ms >= UNSETTLED_AFTER_MS:
        codes.append("ATTEMPT_UNSETTLED")
    if delivery.replay is not None and not _is_replay_requested(delivery, history):
        codes.append("REPLAY_UNREQUESTED")
    endpoint = delivery.endpoint if owner is None else owner.endpoint
    record = None if endpoint is None else history.endpoints.get(endpoint)
    if record is not None and not _is_verified(record, delivery.started_at_ms, tree_size):
        codes.append("ENDPOINT_UNVERIFIED")
    if (
        record is not None
        and owner is not None
        and _has_foreign_key(delivery, history, record, owner, tree_size)
    ):
        codes.append("PEER_KEY_MISMATCH")
    return codes


def _is_replay_requested(delivery: Delivery, history: History) -> bool:
    """Whether the developer had asked for the replay, of this endpoint, before the attempt was recorded."""
    assert delivery.replay is not None, "asked only of a replay"
    requested = history.replays.get(delivery.replay)
    if requested is None or requested.endpoint != delivery.endpoint:
        return False
    return delivery.attempted_seq is not None and requested.seq < delivery.attempted_seq


def _is_verified(record: EndpointRecord, at_ms: int, tree_size: int) -> bool:
    return any(check.passed and check.at <= at_ms and check.seq < tree_size for check in record.checks)


def _pin(record: EndpointRecord, at_ms: int, tree_size: int) -> str | None:
    """The key that answered the last passed challenge of the endpoint at ``at_ms``."""
    passed = [
        (check.at, check.seq, check.spki_sha256)
        for check in record.checks
        if check.passed and check.spki_sha256 is not None and check.at <= at_ms and check.seq < tree_size
    ]
    return max(passed)[2] if passed else None


def _has_foreign_key(
    delivery: Delivery, history: History, record: EndpointRecord, owner: Owner, tree_size: int
) -> bool:
    """Whether the peer's key is not the receiving endpoint's pinned one but another developer's endpoint's."""
    key = None if delivery.observed is None else delivery.observed.spki_sha256
    at_ms = delivery.started_at_ms
    pinned = _pin(record, at_ms, tree_size)
    if key is None or pinned is None or key == pinned:
        return False
    for other in history.pins.get(key, ()):
        holder = owner_of_endpoint(history, other.endpoint, at_ms, tree_size)
        if (
            holder is not None
            and holder.developer != owner.developer
            and _pin(other, at_ms, tree_size) == key
        ):
            return True
    return False


def _integrity_codes(delivery: Delivery, history: History, tree_size: int) -> dict[Code, Severity]:
    found: dict[Code, Severity] = {}
    denies = any(claim.disclosure == "none" and claim.status is not None for claim in delivery.claims)
    if delivery.has_other_tags or denies:
        found["ENTRY_MALFORMED"] = "I"
    if delivery.attempted_seq is not None and delivery.decided_at_size != delivery.attempted_seq:
        found["STALE_DECISION"] = "I"
    faults = [_claim_fault(delivery, claim, history, tree_size) for claim in delivery.claims]
    if "I" in faults:
        found["RECEIVED_BY_MISMATCH"] = "I"
    elif "P" in faults:
        found["RECEIVED_BY_MISMATCH"] = "P"
    return found


def _claim_fault(delivery: Delivery, claim: Claim, history: History, tree_size: int) -> Severity | None:
    """I for a claim that was false when it was appended, P for one that only later history belies, else None."""
    if _bears_out(delivery, claim, history, tree_size):
        return None
    return "P" if _bears_out(delivery, claim, history, claim.seq) else "I"


def _bears_out(delivery: Delivery, claim: Claim, history: History, as_of_size: int) -> bool:
    at_ms = claim.started_at_ms
    if delivery.is_imported and delivery.endpoint is not None:
        intended = intended_owner(history, delivery.endpoint, at_ms, as_of_size)
        if claim.developer != (None if intended is None else intended.developer):
            return False
    if claim.received_by is None and claim.disclosure == "none":
        return True
    endpoint = delivery.endpoint
    if endpoint is None:
        # Without its attempt nobody knows which of several endpoints with one URL was meant: any live one will do.
        if claim.received_by is None:
            return True
        endpoint = claim.received_by.endpoint
    return receiving_owner(history, claim.observed, endpoint, at_ms, as_of_size) == claim.received_by
