"""The consent text: what it says, and that its hash is of that and of nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from api.consent import chosen_scopes, consent_text
from ledger.core.scopes import SCOPES
from ledger.gateway.words import SCOPES_IN_WORDS
from ledger.ports.registry import App, Developer

DEVELOPER = Developer("dev-a", "Example A GmbH", 0)
APP = App("app-a", "dev-a", "Inbox A", "", "https://a.example/", "key", b"", ("prod",), (), (), True, 0)


def test_every_scope_is_offered_in_the_words_of_the_notices() -> None:
    offers = consent_text(DEVELOPER, APP).offers
    assert tuple(offer.scope for offer in offers) == SCOPES
    for offer in offers:
        assert offer.words[1:-1] == SCOPES_IN_WORDS[offer.scope][1:]


def test_direct_messages_come_with_a_caution_about_other_people() -> None:
    cautions = {offer.scope: offer.caution for offer in consent_text(DEVELOPER, APP).offers}
    assert "other people's words" in (cautions["direct_messages"] or "")
    assert [scope for scope, caution in cautions.items() if caution] == ["direct_messages"]


def test_the_hash_is_that_of_the_plain_text() -> None:
    text = consent_text(DEVELOPER, APP)
    assert text.digest() == hashlib.sha256(text.plain().encode("utf-8")).digest()


@pytest.mark.parametrize(
    ("developer", "app"),
    [
        (replace(DEVELOPER, name="Example B GmbH"), APP),
        (DEVELOPER, replace(APP, name="Inbox B")),
        (DEVELOPER, replace(APP, website="")),
    ],
)
def test_another_name_is_another_text(developer: Developer, app: App) -> None:
    assert consent_text(developer, app).digest() != consent_text(DEVELOPER, APP).digest()


def test_ids_and_keys_are_no_part_of_the_text() -> None:
    other = replace(APP, app="app-z", consumer_key="z", created_at_ms=5)
    assert consent_text(DEVELOPER, other).plain() == consent_text(DEVELOPER, APP).plain()


def test_what_was_ticked_is_in_the_order_of_the_scopes_and_known() -> None:
    assert chosen_scopes(["likes", "posts", "likes", "all", ""]) == ("posts", "likes")
    assert chosen_scopes([]) == ()
