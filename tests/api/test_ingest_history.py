"""GET /v1/history: an account's own entries, and an entry of every look at them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.gateway.histories import Histories
from tests.api.platform_client import Granted, Platform, with_key
from tests.support.service_world import ServiceWorld

PATH = "/v1/history"


@pytest.fixture
def platform(world: ServiceWorld) -> Iterator[Platform]:
    with world.client() as client:
        yield with_key(world, client, "platform")


@pytest.fixture
def granted(platform: Platform) -> Granted:
    return platform.grant()


def tag_of(platform: Platform, granted: Granted) -> str:
    return platform.world.service.vault.find([granted.account])[granted.account].tag


def reader(platform: Platform, role: Any, subject: str = "") -> Platform:
    return with_key(platform.world, platform.client, role, subject)


def kinds(page: dict[str, Any]) -> list[str]:
    return [shown["entry"]["kind"] for shown in page["entries"]]


def test_a_person_sees_the_entries_about_its_own_account(platform: Platform, granted: Granted) -> None:
    tag = tag_of(platform, granted)
    page = reader(platform, "person", tag).get(PATH).json()
    assert page["account"] == tag
    assert kinds(page) == ["account.registered", "grant.issued"]
    assert "next" not in page


def test_every_look_is_an_entry_before_anything_is_shown(platform: Platform, granted: Granted) -> None:
    tag = tag_of(platform, granted)
    person = reader(platform, "person", tag)
    store = platform.world.service.ledger.store
    seen = person.get(PATH).json()["searched_to"]
    (look,) = [platform.entry(seq) for seq in range(seen - 1, store.size())]
    assert (look["kind"], look["account"]) == ("access.viewed", tag)
    assert look["actor"] == f"person:{person.key.split('_')[1]}"


def test_two_looks_are_two_entries(platform: Platform, granted: Granted) -> None:
    person = reader(platform, "person", tag_of(platform, granted))
    sizes = [person.get(PATH).json()["searched_to"] for _ in range(2)]
    assert sizes[1] == sizes[0] + 1


def test_entries_from_a_number_on_are_those_that_are_new(platform: Platform, granted: Granted) -> None:
    person = reader(platform, "business", tag_of(platform, granted))
    page = person.get(PATH).json()
    platform.post("/v1/records", [granted.revoked()], idempotency_key=f"end-{granted.number}")
    assert kinds(person.get(PATH, after=page["searched_to"]).json()) == ["grant.revoked"]


def test_nobody_sees_another_account_by_its_id_or_its_tag(platform: Platform, granted: Granted) -> None:
    other = platform.grant()
    person = reader(platform, "person", tag_of(platform, granted))
    for account in (other.account, tag_of(platform, other), "1999999"):
        assert person.get(PATH, account=account).status_code == 403


@pytest.mark.parametrize("by_tag", [False, True])
def test_an_auditor_names_the_account(platform: Platform, granted: Granted, by_tag: bool) -> None:
    account = tag_of(platform, granted) if by_tag else granted.account
    page = reader(platform, "auditor").get(PATH, account=account, purpose="case-7").json()
    assert kinds(page) == ["account.registered", "grant.issued"]
    look = platform.entry(page["searched_to"] - 1)
    assert (look["kind"], look["purpose"]) == ("access.viewed", "case-7")


def test_a_regulator_says_what_it_reads_for(platform: Platform, granted: Granted) -> None:
    regulator = reader(platform, "regulator")
    assert regulator.get(PATH, account=granted.account).status_code == 422
    assert regulator.get(PATH, account=granted.account, purpose="case-7").status_code == 200


def test_an_auditor_who_names_nobody_sees_nothing(platform: Platform) -> None:
    auditor = reader(platform, "auditor")
    assert auditor.get(PATH).status_code == 422
    assert auditor.get(PATH, account="1999999").status_code == 404


@pytest.mark.parametrize("role", ["platform", "developer", "operator"])
def test_other_roles_see_no_history(platform: Platform, granted: Granted, role: Any) -> None:
    subject = granted.developer if role == "developer" else ""
    assert reader(platform, role, subject).get(PATH, account=granted.account).status_code == 403


@pytest.mark.parametrize("bound", ["searched_max", "found_max"])
def test_a_long_log_is_searched_in_pages(platform: Platform, granted: Granted, bound: str) -> None:
    service = platform.world.service
    histories = Histories(
        sequencer=service.ledger.sequencer,
        store=service.ledger.store,
        randomness=service.randomness,
        **{bound: 1},
    )
    found, after = [], 0
    for _ in range(1_000):
        page = histories.read(tag_of(platform, granted), after, actor="auditor:a1")
        found += [platform.entry(row.seq)["kind"] for row in page.entries]
        after = page.searched_to
        if page.is_last:
            break
    assert found == ["account.registered", "grant.issued"]
