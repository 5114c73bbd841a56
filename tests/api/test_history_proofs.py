"""GET /v1/history/deliveries and /v1/history/proof: the account's own evidence, by its own key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.core.completeness import CheckedCompleteness
from ledger.core.proof_files import Known, check_proof_file
from ledger.vault.ed25519 import verify_ed25519
from tests.api.platform_client import Granted, Platform, with_key
from tests.support.service_world import ServiceWorld

DELIVERIES = "/v1/history/deliveries"
PROOF = "/v1/history/proof"


@pytest.fixture
def platform(world: ServiceWorld) -> Iterator[Platform]:
    with world.client() as client:
        yield with_key(world, client, "platform")


@pytest.fixture
def granted(platform: Platform) -> Granted:
    made = platform.grant()
    platform.world.service.ledger.sealer.seal()
    return made


def person(platform: Platform, granted: Granted) -> Platform:
    tag = platform.world.service.vault.find([granted.account])[granted.account].tag
    return with_key(platform.world, platform.client, "person", tag)


def test_an_account_is_given_the_proof_that_it_sees_everything(platform: Platform, granted: Granted) -> None:
    answer = person(platform, granted).get(PROOF)
    assert answer.status_code == 200
    vkey = platform.world.service.ledger.vkey
    proven = check_proof_file(answer.content, Known(vkey), verify_ed25519).proven
    assert isinstance(proven, CheckedCompleteness)
    assert (proven.count, len(proven.entries)) == (2, 2)


def test_a_page_of_it_is_proven_too(platform: Platform, granted: Granted) -> None:
    answer = person(platform, granted).get(PROOF, first=1, count=1)
    proven = check_proof_file(answer.content, Known(), verify_ed25519).proven
    assert isinstance(proven, CheckedCompleteness)
    assert (proven.first, len(proven.entries), proven.count) == (1, 1, 2)


def test_a_page_beyond_the_end_is_refused(platform: Platform, granted: Granted) -> None:
    for path in (PROOF, DELIVERIES):
        assert person(platform, granted).get(path, first=99).status_code == 422


def test_an_account_sees_whose_app_has_access(platform: Platform, granted: Granted) -> None:
    document = person(platform, granted).get(DELIVERIES).json()
    assert [app["has_access"] for app in document["apps"]] == [True]
    assert document["deliveries"] == []
    assert (document["count"], document["shown"], "next" in document) == (2, 2, False)


def test_a_page_says_where_the_next_one_begins(platform: Platform, granted: Granted) -> None:
    document = person(platform, granted).get(DELIVERIES, first=0, count=1).json()
    assert (document["shown"], document["next"]) == (1, 1)


@pytest.mark.parametrize("path", [DELIVERIES, PROOF])
def test_every_look_is_an_entry(platform: Platform, granted: Granted, path: str) -> None:
    store = platform.world.service.ledger.store
    before = store.size()
    assert person(platform, granted).get(path).status_code == 200
    look = platform.entry(before)
    assert (store.size(), look["kind"]) == (before + 1, "access.viewed")


@pytest.mark.parametrize("path", [DELIVERIES, PROOF])
def test_nobody_sees_another_account(platform: Platform, granted: Granted, path: str) -> None:
    other = platform.grant()
    assert person(platform, granted).get(path, account=other.account).status_code == 403


@pytest.mark.parametrize(("role", "status"), [("auditor", 200), ("platform", 403), ("operator", 403)])
def test_who_supervises_names_the_account(
    platform: Platform, granted: Granted, role: Any, status: int
) -> None:
    asking = with_key(platform.world, platform.client, role)
    assert asking.get(PROOF, account=granted.account).status_code == status
