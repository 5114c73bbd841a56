"""Keys and tokens: shown once, kept as hashes, and what they speak for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import RejectedError
from ledger.gateway.tokens import Issuing, hash_of, secret_context
from ledger.ports.credentials import ROLES
from ledger.ports.registry import App
from ledger.store.credentials import SqlCredentials
from ledger.store.engine import open_engine
from ledger.store.migrate import upgrade
from ledger.vault.sealing import VaultSealing
from tests.support.ingest_world import OPERATOR_KEY, Stream
from tests.support.log_world import SetClock

APP = App("app-a", "dev-a", "DeskLine", "", "", "key", b"", ("prod",), (), (), True, 1)


class World:
    """An issuer on a real database."""

    def __init__(self, directory: Path) -> None:
        url = f"sqlite:///{directory}/ledger.db"
        upgrade(url)
        self.credentials = SqlCredentials(open_engine(url))
        self.sealing = VaultSealing(OPERATOR_KEY, Stream("sealing"))
        self.issuing = Issuing(
            credentials=self.credentials, sealing=self.sealing, clock=SetClock(), randomness=Stream()
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_key_is_kept_as_the_hash_of_its_secret(world: World) -> None:
    made = world.issuing.issue_key("platform", name="bus")
    prefix, key_id, secret = made.text.split("_", 2)
    kept = world.credentials.load_key(key_id)
    assert prefix == "glk"
    assert kept == made.key
    assert made.key.secret_hash == hash_of(secret)
    assert len(secret) == 64


@pytest.mark.parametrize("role", ROLES)
def test_a_key_speaks_for_somebody_exactly_where_its_role_does(world: World, role: Any) -> None:
    needs = role in ("developer", "business", "person")
    with pytest.raises(RejectedError):
        world.issuing.issue_key(role, "" if needs else "dev-a")
    assert world.issuing.issue_key(role, "dev-a" if needs else "").key.role == role


def test_a_name_that_cannot_be_shown_is_refused(world: World) -> None:
    for name in ("x" * 101, "a\nb", "\x1b[2J"):
        with pytest.raises(RejectedError):
            world.issuing.issue_key("auditor", name=name)


def test_an_owners_token_is_no_accounts(world: World) -> None:
    token = world.issuing.issue_owner(APP)
    kept = world.credentials.load_token(hash_of(token.text))
    assert kept is not None
    assert (kept.kind, kept.app, kept.account) == ("access", "app-a", None)


def test_an_accounts_token_begins_with_its_id_and_holds_its_scopes(world: World) -> None:
    token = world.issuing.issue_access(APP, "783214", "a_" + "0" * 32, ["posts", "likes", "posts"])
    kept = world.credentials.load_token(hash_of(token.text))
    assert token.text.startswith("783214-")
    assert kept is not None
    assert (kept.account, kept.scopes) == ("a_" + "0" * 32, ("likes", "posts"))


@pytest.mark.parametrize("scopes", [[], ["everything"], ["posts", "none"]])
def test_an_accounts_token_is_for_known_scopes(world: World, scopes: list[str]) -> None:
    with pytest.raises(RejectedError, match="direct_messages"):
        world.issuing.issue_access(APP, "783214", "a_" + "0" * 32, scopes)


def test_a_tokens_secret_is_sealed_under_its_own_hash(world: World) -> None:
    token = world.issuing.issue_owner(APP)
    kept = world.credentials.load_token(hash_of(token.text))
    assert kept is not None
    assert kept.secret_sealed is not None
    assert world.sealing.open_secret(secret_context(kept.token_hash), kept.secret_sealed) == token.secret


def test_the_bearer_token_is_the_same_until_it_is_invalidated(world: World) -> None:
    first = world.issuing.bearer_of(APP, "secret")
    assert world.issuing.bearer_of(APP, "secret") == first
    world.credentials.take_token(hash_of(first), 5)
    assert world.issuing.bearer_of(APP, "secret") != first


def test_an_invalidated_bearer_token_never_returns_though_its_row_is_forgotten(world: World) -> None:
    texts = []
    for at_ms in (5, 6, 7):
        texts.append(world.issuing.bearer_of(APP, "secret"))
        world.credentials.take_token(hash_of(texts[-1]), at_ms)
        assert world.credentials.expire(1_000, 100) > 0
    assert world.issuing.bearer_of(APP, "secret") not in texts
    assert len(set(texts)) == 3


def test_no_token_of_two_apps_is_the_same(world: World) -> None:
    other = replace(APP, app="app-b")
    texts = {world.issuing.bearer_of(APP, "secret"), world.issuing.bearer_of(other, "another secret")}
    assert len(texts) == 2
