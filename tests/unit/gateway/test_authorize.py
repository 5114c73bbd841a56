"""Attempts that other systems make: a permit with its ticket, a refusal with its reason, and nothing decided twice."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.core.ticket import check_ticket
from ledger.core.verdicts import CODES
from ledger.gateway.asked import Answer, AttemptAsked, NotPermitted, Permitted, Rejected, Repeated
from ledger.gateway.refusal_words import REFUSAL_WORDS
from ledger.sequencer.sequencer import BATCH_ITEMS_MAX
from ledger.vault.commitments import commit, salt_of
from tests.support.delivering_world import (
    ALICE,
    BOB,
    EVE,
    URL,
    DeliveringWorld,
    asked,
    open_delivering_world,
)
from tests.support.log_world import START_MS, VERIFIER


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DeliveringWorld]:
    with open_delivering_world(tmp_path) as opened:
        yield opened


def permitted(answer: Answer) -> Permitted:
    assert isinstance(answer, Permitted), answer
    return answer


def refused(answer: Answer) -> NotPermitted:
    assert isinstance(answer, NotPermitted), answer
    return answer


def rejected(answer: Answer) -> Rejected:
    assert isinstance(answer, Rejected), answer
    return answer


def test_a_backed_attempt_gets_its_url_and_an_instant_to_leave_before(world: DeliveringWorld) -> None:
    answer = permitted(world.ask(asked())[0])
    assert (answer.url, answer.grant) == (URL, "g-1")
    assert answer.now == START_MS
    assert answer.send_before == START_MS + 1_000


def test_the_attempt_is_in_the_log_before_it_is_permitted(world: DeliveringWorld) -> None:
    answer = permitted(world.ask(asked())[0])
    entry = world.entries()[-1]
    assert (entry["kind"], entry["seq"], entry["decided_at_size"]) == (
        "delivery.attempted",
        answer.seq,
        answer.seq,
    )
    assert (entry["actor"], entry["via"]) == ("platform:k1", "api")


def test_the_ticket_is_the_logs_promise_of_that_entry(world: DeliveringWorld) -> None:
    answer = permitted(world.ask(asked())[0])
    ticket = check_ticket(answer.ticket, [VERIFIER])
    (row,) = world.ingest.world.store.fetch_range(answer.seq, answer.seq + 1)
    assert (ticket.seq, ticket.leaf_hash) == (row.seq, hashlib.sha256(b"\0" + row.data).digest())
    assert ticket.leaf_hash.hex() == answer.leaf_hash


def test_parties_that_are_left_out_are_those_that_own_the_endpoint(world: DeliveringWorld) -> None:
    permitted(world.ask(asked())[0])
    entry = world.entries()[-1]
    assert (entry["developer"], entry["app"], entry["environment"]) == ("dev-a", "app-a", "prod")


def test_an_endpoint_that_was_registered_a_moment_ago_is_found(world: DeliveringWorld) -> None:
    permitted(world.ask(asked())[0])
    new = {"endpoint": "wh-new", "app": "app-a", "developer": "dev-a", "environment": "prod"}
    world.append("endpoint.registered", "wh-new", **new, url="https://a.example/new")
    answer = permitted(world.ask(asked(delivery="d-2", endpoint="wh-new"))[0])
    assert answer.url == "https://a.example/new"


def test_an_endpoint_that_moved_to_another_app_is_looked_up_as_that_apps(world: DeliveringWorld) -> None:
    permitted(world.ask(asked())[0])
    world.append("endpoint.transferred", "wh-a", endpoint="wh-a", app="app-b", developer="dev-b")
    answer = refused(world.ask(asked(delivery="d-2"))[0])
    assert answer.code == "WRONG_DEVELOPER"
    assert world.entries()[-1]["developer"] == "dev-b"


def test_stated_parties_are_judged_as_stated(world: DeliveringWorld) -> None:
    stated = {"developer": "dev-a", "app": "app-a", "environment": "test"}
    assert refused(world.ask(asked(**stated))[0]).code == "WRONG_ENVIRONMENT"


def test_an_endpoint_of_nobody_without_stated_parties_is_not_decided(world: DeliveringWorld) -> None:
    before = len(world.entries())
    assert rejected(world.ask(asked(endpoint="wh-none"))[0]).code == "unknown_endpoint"
    assert [entry["kind"] for entry in world.entries()[before:]] == ["account.registered"]


def test_an_endpoint_of_nobody_with_stated_parties_is_refused_with_an_entry(world: DeliveringWorld) -> None:
    stated = {"developer": "dev-a", "app": "app-a", "environment": "prod", "endpoint": "wh-none"}
    assert refused(world.ask(asked(**stated))[0]).code == "ENDPOINT_UNKNOWN"
    assert world.entries()[-1]["kind"] == "delivery.refused"


def test_a_refusal_is_an_entry_and_says_why_in_words(world: DeliveringWorld) -> None:
    answer = refused(world.ask(asked(endpoint="wh-b"))[0])
    assert (answer.code, answer.words) == ("WRONG_DEVELOPER", REFUSAL_WORDS["WRONG_DEVELOPER"])
    entry = world.entries()[-1]
    assert (entry["kind"], entry["reason"], entry["seq"]) == ("delivery.refused", answer.code, answer.seq)


def test_a_refusal_after_a_revocation_names_the_grant_and_since_when(world: DeliveringWorld) -> None:
    world.append("grant.revoked", "g-1", grant="g-1", account=ALICE, developer="dev-a")
    world.ingest.world.clock.ms += 5
    answer = refused(world.ask(asked())[0])
    (missed,) = answer.nearest
    assert (missed.grant, missed.code, missed.since) == ("g-1", "DELIVERED_AFTER_REVOCATION", START_MS)


def test_a_refusal_of_an_account_without_grants_has_no_nearest(world: DeliveringWorld) -> None:
    answer = refused(world.ask(asked(account=EVE, body=None, body_bytes=10))[0])
    assert (answer.code, answer.nearest) == ("NO_GRANT", [])


def test_the_same_attempt_again_gets_no_second_permit(world: DeliveringWorld) -> None:
    first = permitted(world.ask(asked())[0])
    size = len(world.entries())
    again = world.ask(asked())[0]
    assert isinstance(again, Repeated)
    assert (again.decided, again.seq, again.leaf_hash) == ("permitted", first.seq, first.leaf_hash)
    assert len(world.entries()) == size


def test_another_key_of_the_platform_that_asks_again_gets_no_second_permit(world: DeliveringWorld) -> None:
    permitted(world.ask(asked(worker="w1"))[0])
    (again,) = world.ask(asked(worker="w2"), actor="platform:standby")
    assert isinstance(again, Repeated)


def test_one_attempt_twice_in_a_batch_is_permitted_once(world: DeliveringWorld) -> None:
    first, second = world.ask(asked(), asked())
    assert isinstance(permitted(first), Permitted)
    assert isinstance(second, Repeated)


def test_a_refused_attempt_again_is_told_as_refused_before(world: DeliveringWorld) -> None:
    first = refused(world.ask(asked(endpoint="wh-b"))[0])
    again = world.ask(asked(endpoint="wh-b"))[0]
    assert isinstance(again, Repeated)
    assert (again.decided, again.code, again.seq) == ("refused", first.code, first.seq)


def test_the_same_attempt_about_another_account_is_a_conflict(world: DeliveringWorld) -> None:
    permitted(world.ask(asked())[0])
    (answer,) = world.ask(asked(account=BOB, body=None, body_bytes=55))
    assert rejected(answer).code == "conflict"


def test_the_next_attempt_is_decided_anew(world: DeliveringWorld) -> None:
    permitted(world.ask(asked())[0])
    world.append("grant.revoked", "g-1", grant="g-1", account=ALICE, developer="dev-a")
    assert refused(world.ask(asked(attempt=2))[0]).code == "DELIVERED_AFTER_REVOCATION"


def test_a_ticketless_permit_does_not_exist_for_an_expiring_grant(world: DeliveringWorld) -> None:
    world.append("grant.amended", "g-1/a", grant="g-1", expires_at=START_MS + 400)
    answer = permitted(world.ask(asked())[0])
    assert answer.send_before == START_MS + 400


def test_the_body_stands_in_the_log_as_a_commitment_alone(world: DeliveringWorld) -> None:
    body = json.dumps({"for_user_id": ALICE, "text": "a secret"})
    permitted(world.ask(asked(body=body))[0])
    entry = world.entries()[-1]
    subject = world.ingest.vault.find([ALICE])[ALICE]
    assert entry["payload"] == commit(salt_of(subject.key, entry["uid"], "payload"), body.encode())
    assert entry["body_bytes"] == 256
    assert "secret" not in json.dumps(world.entries())


def test_a_body_that_is_not_shown_is_committed_to_as_nothing(world: DeliveringWorld) -> None:
    permitted(world.ask(asked(body=None, body_bytes=700))[0])
    entry = world.entries()[-1]
    subject = world.ingest.vault.find([ALICE])[ALICE]
    nothing = hmac.digest(salt_of(subject.key, entry["uid"], "payload"), b"", "sha256").hex()
    assert (entry["payload"], entry["body_bytes"]) == (nothing, 768)


@pytest.mark.parametrize("members", [{"body": None}, {"body_bytes": 5}])
def test_either_the_body_is_stated_or_its_length(world: DeliveringWorld, members: dict[str, Any]) -> None:
    assert rejected(world.ask(asked(**members))[0]).code == "malformed"


@pytest.mark.parametrize("addressee", [f'"{BOB}"', BOB, "true", "[]"])
def test_a_body_for_another_account_is_not_decided(world: DeliveringWorld, addressee: str) -> None:
    answer = rejected(world.ask(asked(body=f'{{"for_user_id":{addressee}}}'))[0])
    assert answer.code == "payload_of_another_account"
    assert BOB not in answer.reason


@pytest.mark.parametrize(
    "body", [f'{{"for_user_id":{ALICE}}}', "{}", "not json", "[1]", '{"for_user_id":null}']
)
def test_a_body_that_names_nobody_else_is_decided(world: DeliveringWorld, body: str) -> None:
    assert permitted(world.ask(asked(body=body))[0]).seq > 0


def test_people_and_the_event_stand_in_the_log_as_tags(world: DeliveringWorld) -> None:
    permitted(world.ask(asked(subjects=[BOB, ALICE, BOB]))[0])
    entry = world.entries()[-1]
    assert entry["subjects"] == sorted([world.tag(ALICE), world.tag(BOB)])
    told = json.dumps(world.entries())
    assert not any(secret in told for secret in (ALICE, BOB, "event-1"))


def test_everybody_is_registered_before_an_attempt_names_them(world: DeliveringWorld) -> None:
    permitted(world.ask(asked(subjects=["1", "2", "3"]))[0])
    world.ingest.check_tags_are_registered_first()


@pytest.mark.parametrize(
    "members",
    [
        {"account": "a b"},
        {"account": "a_" + "0" * 32},
        {"subjects": ["\u00e9"]},
        {"subjects": ["a_" + "0" * 32]},
        {"event": "with space"},
        {"delivery": "with space"},
        {"endpoint": "wh/a"},
        {"event_type": "posts!"},
        {"developer": "dev a", "app": "app-a", "environment": "prod"},
        {"worker": "w 1"},
        {"replay": "r/1"},
        {"subscription": '"'},
    ],
)
def test_what_is_malformed_is_rejected_and_not_told_back(
    world: DeliveringWorld, members: dict[str, Any]
) -> None:
    answer = rejected(world.ask(asked(**members))[0])
    assert answer.code in ("malformed", "unknown_endpoint")
    assert "a_00" not in answer.reason


def test_one_malformed_attempt_does_not_hold_up_its_neighbours(world: DeliveringWorld) -> None:
    answers = world.ask(asked(), asked(delivery="d-2", account="a b"), asked(delivery="d-3"))
    assert [type(answer) for answer in answers] == [Permitted, Rejected, Permitted]
    assert [answer.delivery for answer in answers] == ["d-1", "d-2", "d-3"]


def test_an_erased_person_is_named_in_no_new_entry(world: DeliveringWorld) -> None:
    world.ingest.vault.erase([world.tag(BOB)])
    size = len(world.entries())
    answers = world.ask(asked(), asked(delivery="d-2", subjects=[]))
    assert rejected(answers[0]).code == "erased"
    assert permitted(answers[1]).seq == size + 1


def test_a_full_batch_of_people_nobody_met_registers_them_first(world: DeliveringWorld) -> None:
    many = [
        asked(delivery=f"d-{number}", subjects=[str(10_000 + number)]) for number in range(BATCH_ITEMS_MAX)
    ]
    answers = world.ask(*many)
    assert all(isinstance(answer, Permitted) for answer in answers)
    world.ingest.check_tags_are_registered_first()


def test_an_empty_batch_decides_nothing(world: DeliveringWorld) -> None:
    assert world.ask() == []


def test_many_callers_at_once_get_one_permit_for_one_attempt(world: DeliveringWorld) -> None:
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.extend(world.ask(asked()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(answer).__name__ for answer in answers) == ["Permitted"] + ["Repeated"] * 7


def test_every_code_that_the_gate_can_refuse_with_has_words() -> None:
    """Recipient, time and content codes, but for those that need a delivery that was made."""
    after_the_fact = {
        "DESTINATION_MISMATCH",
        "KNOWING_DELIVERY_AFTER_REVOCATION",
        "RETRY_AFTER_REVOCATION",
        "REPLAY_AFTER_REVOCATION",
        "IN_FLIGHT",
        "STALE_DECISION",
    }
    asked_before = {code for code, row in CODES.items() if row.family in ("recipient", "time", "content")}
    assert set(REFUSAL_WORDS) == (asked_before - after_the_fact) | {"GRANT_INVALIDATED"}


def test_what_is_not_a_member_is_refused_where_it_is_read() -> None:
    with pytest.raises(msgspec.ValidationError, match="payload_sha256"):
        msgspec.convert({**msgspec.to_builtins(asked()), "payload_sha256": "0" * 64}, AttemptAsked)
