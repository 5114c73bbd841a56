"""Attestations: whose key, which list, what they say of each line, and what contradicts them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import FormatError, RejectedError, SignatureError
from ledger.gateway.canaries import Sighting
from ledger.incidents.attestations import Claim, claim_at, count_claims, read_claims
from ledger.ports.obligations import Obligation
from tests.support.duties_world import INCIDENT, OPERATOR, DutiesWorld
from tests.unit.incidents.attesting import KEY, OTHER_KEY, register, signed

BY = "developer:key"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DutiesWorld]:
    with DutiesWorld(tmp_path) as made:
        register(made)
        yield made


@pytest.fixture
def obligation(world: DutiesWorld) -> Obligation:
    (opened,) = world.duties.obligations.open(INCIDENT, actor=OPERATOR)
    return opened.obligation


def take(world: DutiesWorld, obligation: Obligation, item: Any) -> Obligation:
    return world.duties.attestations.take(obligation, item, BY)


def codes(world: DutiesWorld) -> list[str]:
    return [entry.code for entry in world.entries("finding.recorded")]


def receipt(world: DutiesWorld, delivery: str) -> int:
    """A receipt of the wrong recipient for ``delivery`` is recorded; its number."""
    from ledger.core.dsse import Envelope, format_envelope
    from ledger.core.receipts import RECEIPT_TYPE, Receipt, statement_of
    from ledger.receiver.receipts import public_key_of
    from tests.support.service_world import ORIGIN

    world.service.receipts.set_key(world.developer, public_key_of(KEY), BY)
    told = Receipt(ORIGIN, delivery, world.developer, "b.example", 1_700_000_000_000, None)
    unsigned = Envelope(RECEIPT_TYPE, statement_of(ORIGIN, told.members()), bytes(64))
    envelope = unsigned._replace(signature=KEY.sign(unsigned.signed_bytes()))
    (result,) = world.service.receipts.take([format_envelope(envelope, "")], world.developer, BY)
    assert type(result).__name__ == "Taken", result
    return int(getattr(result, "seq"))  # noqa: B009


def test_a_signed_attestation_is_an_entry_and_names_nobody_in_it(
    world: DutiesWorld, obligation: Obligation
) -> None:
    made = take(world, obligation, signed(obligation))
    assert (made.state, made.acknowledged_at_ms is not None) == ("ATTESTED", True)
    (entry,) = world.entries("obligation.attested")
    assert (entry.list_root, entry.attestation) == (obligation.list_root, made.attestation)
    store = world.service.ledger.store
    assert b"J. Doe" not in b"".join(row.data for row in store.fetch_range(0, store.size()))
    assert made.attestation is not None
    assert world.duties.attestations.open(made.attestation)["payload"] == signed(obligation)["payload"]
    assert codes(world) == []


def test_the_same_attestation_again_changes_nothing(world: DutiesWorld, obligation: Obligation) -> None:
    made = take(world, obligation, signed(obligation))
    assert take(world, made, signed(obligation)) == made
    assert len(world.entries("obligation.attested")) == 1


def test_another_key_is_recorded_as_invalid_and_moves_nothing(
    world: DutiesWorld, obligation: Obligation
) -> None:
    item = signed(obligation, key=OTHER_KEY)
    for _ in range(2):
        with pytest.raises(SignatureError, match="registered key"):
            take(world, obligation, item)
    assert codes(world) == ["ATTESTATION_INVALID"]
    (finding,) = world.entries("finding.recorded")
    assert (finding.developer, finding.obligation) == (world.developer, obligation.obligation)
    assert world.duties.obligations.load(obligation.obligation).state == "OPENED"


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"list_root": "0" * 64}, "another list"),
        ({"obligation": "o-other"}, "another obligation"),
        ({"incident": "i-other"}, "another incident"),
        ({"developer": "dev-other"}, "another developer"),
        ({"log": "ledger.example/other"}, "another log"),
    ],
)
def test_what_is_signed_about_something_else_is_refused_and_leaves_nothing(
    world: DutiesWorld, obligation: Obligation, changed: dict[str, Any], what: str
) -> None:
    with pytest.raises(RejectedError, match=what):
        take(world, obligation, signed(obligation, **changed))
    assert codes(world) == []
    assert world.entries("obligation.attested") == []


def test_a_receipts_key_does_not_sign_attestations(tmp_path: Path) -> None:
    from ledger.receiver.receipts import public_key_of

    with DutiesWorld(tmp_path) as world:
        (opened,) = world.duties.obligations.open(INCIDENT, actor=OPERATOR)
        world.service.receipts.set_key(world.developer, public_key_of(KEY), BY)
        with pytest.raises(RejectedError, match="no key to sign attestations"):
            take(world, opened.obligation, signed(opened.obligation))


def test_each_line_is_said_something_of(world: DutiesWorld, obligation: Obligation) -> None:
    claims = (Claim(0, 1, "deleted"), Claim(2, 2, "forwarded", ("Acme",)), Claim(3, 3, "retained_legal"))
    made = take(world, obligation, signed(obligation, claims=claims))
    assert made.attestation is not None
    kept = world.duties.attestations.load(made.attestation)
    assert kept is not None
    assert [claim_at(read_claims(kept.claims), place) for place in range(5)] == [
        "deleted",
        "deleted",
        "forwarded",
        "retained_legal",
        None,
    ]
    assert count_claims(kept.claims) == {"deleted": 2, "forwarded": 1, "retained_legal": 1}


@pytest.mark.parametrize(
    "claims",
    [
        (Claim(0, 2, "deleted"),),
        (Claim(1, 3, "deleted"),),
        (Claim(0, 4, "deleted"),),
        (Claim(0, 1, "deleted"), Claim(1, 3, "deleted")),
        (Claim(0, 1, "deleted"), Claim(3, 3, "deleted")),
        (Claim(0, 3, "forwarded"),),
        (Claim(0, 3, "deleted", ("Acme",)),),
        (),
    ],
)
def test_a_line_left_out_or_said_twice_is_malformed(
    world: DutiesWorld, obligation: Obligation, claims: tuple[Claim, ...]
) -> None:
    with pytest.raises(FormatError):
        take(world, obligation, signed(obligation, claims=claims))
    assert codes(world) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"officer": " "},
        {"read_or_used": "perhaps"},
        {"systems": ("",)},
        {"backups": "x" * 1_001},
        {"made_at_ms": -1},
    ],
)
def test_what_no_attestation_says_is_malformed(
    world: DutiesWorld, obligation: Obligation, changed: dict[str, Any]
) -> None:
    with pytest.raises(FormatError):
        take(world, obligation, signed(obligation, **changed))
    with pytest.raises(FormatError):
        take(world, obligation, {"payload": "", "payloadType": "", "signatures": []})
    assert world.entries("obligation.attested") == []


def test_a_later_receipt_contradicts(world: DutiesWorld, obligation: Obligation) -> None:
    assert world.duties.contradictions.run_once() == 0
    take(world, obligation, signed(obligation))
    assert world.duties.contradictions.run_once() == 0
    seq = receipt(world, "d-1")
    assert world.duties.contradictions.run_once() == 1
    assert world.duties.contradictions.run_once() == 0
    made = world.duties.obligations.load(obligation.obligation)
    assert (made.state, made.contradicted_by) == ("DISPUTED", seq)
    (disputed,) = world.entries("obligation.disputed")
    assert (disputed.code, disputed.contradicted_by) == ("ATTESTATION_CONTRADICTED", seq)
    (finding,) = world.entries("finding.recorded")
    assert (finding.code, finding.delivery) == ("ATTESTATION_CONTRADICTED", "d-1")


def test_signing_anew_is_no_way_out_of_what_was_seen_before(
    world: DutiesWorld, obligation: Obligation
) -> None:
    made = take(world, obligation, signed(obligation))
    seq = receipt(world, "d-1")
    made = take(world, made, signed(obligation, made_at_ms=1_700_000_000_001))
    for _ in range(70):
        made = world.duties.obligations.resume(
            world.duties.obligations.hold(made, hold_of(world), OPERATOR), OPERATOR
        )
    assert world.duties.contradictions.run_once() == 1
    made = world.duties.obligations.load(obligation.obligation)
    assert (made.state, made.contradicted_by) == ("DISPUTED", seq)


def test_what_is_seen_while_a_hold_lasts_disputes_it_when_it_goes_on(
    world: DutiesWorld, obligation: Obligation
) -> None:
    desk = world.duties.obligations
    desk.hold(take(world, obligation, signed(obligation)), hold_of(world), OPERATOR)
    seq = receipt(world, "d-1")
    assert world.duties.contradictions.run_once() == 1
    assert desk.load(obligation.obligation).state == "HELD"
    world.service.privacy.holds.lift("h-1", lifted_by=OPERATOR)
    world.duties.watch_once()
    made = desk.load(obligation.obligation)
    assert (made.state, made.contradicted_by) == ("DISPUTED", seq)


def hold_of(world: DutiesWorld) -> str:
    """A legal hold on the incident that stands."""
    return world.service.privacy.holds.place(placed_by=OPERATOR, incident=INCIDENT, hold="h-1").hold


def test_a_receipt_of_before_does_not(world: DutiesWorld, obligation: Obligation) -> None:
    receipt(world, "d-1")
    take(world, obligation, signed(obligation))
    assert world.duties.contradictions.run_once() == 0
    assert world.duties.obligations.load(obligation.obligation).state == "ATTESTED"


def test_what_is_kept_for_legal_reasons_is_not_contradicted(
    world: DutiesWorld, obligation: Obligation
) -> None:
    claims = (Claim(0, 1, "retained_legal"), Claim(2, 3, "deleted"))
    take(world, obligation, signed(obligation, claims=claims))
    receipt(world, "d-1")
    assert world.duties.contradictions.run_once() == 0
    receipt(world, "d-2")
    assert world.duties.contradictions.run_once() == 1


def test_another_developers_receipt_is_nothing_to_this_one(
    world: DutiesWorld, obligation: Obligation
) -> None:
    take(world, obligation, signed(obligation))
    receipt(world, "d-other")
    assert world.duties.contradictions.run_once() == 0


def test_a_canary_that_turns_up_later_contradicts_even_a_closed_obligation(tmp_path: Path) -> None:
    with DutiesWorld(tmp_path) as world:
        register(world)
        keeper = world.service.canaries
        canary = keeper.plant("990000000000000001", world.right.app.app)
        keeper.release(canary)
        world.misdeliver(["d-canary"], account="990000000000000001", subjects=[])
        (opened,) = world.duties.obligations.open(INCIDENT, world.assess(), actor=OPERATOR)
        made = take(world, opened.obligation, signed(opened.obligation, "never_stored"))
        made = world.duties.obligations.verify(made, "auditor:test", "we looked at its systems")
        assert world.duties.escalation.close(made, OPERATOR).state == "CLOSED"
        keeper.see(canary, Sighting("report", world.developer), OPERATOR)
        assert world.duties.contradictions.run_once() == 1
        made = world.duties.obligations.load(made.obligation)
        (seen,) = world.entries("canary.seen")
        assert (made.state, made.contradicted_by) == ("DISPUTED", seen.seq)
