"""What every Credentials must do, whatever database it lies on: subclass and give ``url``."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from ledger.errors import ConflictError, RejectedError, StoreError
from ledger.ports.credentials import NONCE_WINDOW_S, ApiKey, Credentials, Token
from ledger.store import credentials as queries
from ledger.store.credentials import NONCES_DROPPED_MAX, SqlCredentials
from tests.conformance.database_suite import DatabaseSuite
from tests.conformance.service_samples import (
    DAY_MS,
    KINDS,
    NOW_MS,
    WORDS,
    Kind,
    at_once,
    failing_commit,
    scanned,
    tag,
)

NOW_S = NOW_MS // 1_000
WINDOW_MS = 15 * 60_000


def hash_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def api_key(name: str = "k1", /, **changed: Any) -> ApiKey:
    return replace(ApiKey(name, hash_of(name), "platform", "", f"Key {name}", NOW_MS), **changed)


def token(name: str = "t1", /, **changed: Any) -> Token:
    made = Token(
        token_hash=hash_of(name),
        kind="access",
        app="100",
        account=tag("ann"),
        secret_sealed=b"\x01sealed\x00",
        scopes=("posts", "likes"),
        created_at_ms=NOW_MS,
        expires_at_ms=NOW_MS + DAY_MS,
    )
    return replace(made, **changed)


def request_token(name: str = "r1", /, **changed: Any) -> Token:
    pending = token(name, kind="request", account=None, scopes=(), callback="https://a.example/callback")
    return replace(pending, **changed)


class CredentialsSuite(DatabaseSuite):
    """The properties of the port, on the database at ``url``, whose tables are made."""

    @pytest.fixture
    def credentials(self, engine: Engine) -> Credentials:
        return SqlCredentials(engine)

    def test_a_key_is_read_back_whole(self, credentials: Credentials) -> None:
        person = api_key("k2", role="person", subject=tag("ann"), name=WORDS, revoked_at_ms=NOW_MS + 1)
        credentials.add_key(api_key())
        credentials.add_key(person)
        assert credentials.load_key("k1") == api_key()
        assert credentials.load_key("k2") == person
        assert credentials.load_key("k3") is None

    def test_keys_come_by_age(self, credentials: Credentials) -> None:
        for name, age in (("b", 3), ("c", 1), ("a", 3)):
            credentials.add_key(api_key(name, created_at_ms=NOW_MS - age))
        assert [key.key for key in credentials.load_keys()] == ["a", "b", "c"]

    def test_the_id_of_a_key_is_taken_once(self, credentials: Credentials) -> None:
        credentials.add_key(api_key())
        with pytest.raises(ConflictError, match="k1"):
            credentials.add_key(api_key(secret_hash=hash_of("other")))
        assert credentials.load_key("k1") == api_key()

    def test_a_key_that_was_added_and_revoked_meanwhile_is_the_same_key(
        self, credentials: Credentials
    ) -> None:
        credentials.add_key(api_key())
        credentials.revoke_key("k1", NOW_MS)
        credentials.add_key(api_key())
        assert credentials.load_key("k1") == api_key(revoked_at_ms=NOW_MS)

    def test_a_key_is_revoked_once(self, credentials: Credentials) -> None:
        credentials.add_key(api_key())
        assert credentials.revoke_key("k1", NOW_MS + 1)
        assert not credentials.revoke_key("k1", NOW_MS + 2)
        assert not credentials.revoke_key("k2", NOW_MS)
        assert not credentials.revoke_key("\0", NOW_MS)
        assert credentials.load_key("k1") == api_key(revoked_at_ms=NOW_MS + 1)

    def test_a_token_is_read_back_whole(self, credentials: Credentials) -> None:
        whole = request_token(callback=WORDS, verifier_hash=hash_of("v"), consent_text=hash_of(WORDS))
        owner = token("owner", account=None, expires_at_ms=None, secret_sealed=None, scopes=())
        for one in (whole, owner):
            assert credentials.put_token(one)
            assert credentials.load_token(one.token_hash) == one
        assert credentials.load_token(hash_of("nobody's")) is None
        assert credentials.load_token(b"") is None

    def test_a_token_changes_what_may_change_and_nothing_else(self, credentials: Credentials) -> None:
        credentials.put_token(request_token())
        consented = replace(
            request_token(),
            account=tag("ann"),
            scopes=("posts",),
            verifier_hash=hash_of("v"),
            consent_text=hash_of("text"),
            expires_at_ms=NOW_MS + 5,
        )
        forged = replace(
            consented, app="200", kind="access", secret_sealed=b"x", callback="y", created_at_ms=1
        )
        assert credentials.put_token(forged)
        assert credentials.load_token(consented.token_hash) == consented

    def test_a_request_token_belongs_to_whoever_consents_first(self, credentials: Credentials) -> None:
        credentials.put_token(request_token())
        made = [replace(request_token(), account=tag(str(n)), scopes=(str(n),)) for n in range(8)]
        outcomes = at_once(*[lambda one=one: credentials.put_token(one) for one in made])
        assert sorted(outcomes) == [False] * 7 + [True]
        assert credentials.load_token(hash_of("r1")) == made[outcomes.index(True)]

    def test_no_token_of_another_kind_is_given_to_an_account_later(self, credentials: Credentials) -> None:
        owner = token(account=None)
        credentials.put_token(owner)
        assert not credentials.put_token(replace(owner, account=tag("ann")))
        assert credentials.load_token(owner.token_hash) == owner

    def test_a_revoked_token_stays_revoked_whatever_comes_late(self, credentials: Credentials) -> None:
        credentials.put_token(token())
        assert credentials.put_token(token(revoked_at_ms=NOW_MS + 1))
        assert not credentials.put_token(token())
        assert not credentials.put_token(token(revoked_at_ms=NOW_MS + 9))
        assert credentials.load_token(hash_of("t1")) == token(revoked_at_ms=NOW_MS + 1)

    def test_a_token_is_taken_once_by_one_of_many(self, credentials: Credentials) -> None:
        credentials.put_token(token())
        taken = at_once(*[lambda: credentials.take_token(hash_of("t1"), NOW_MS)] * 16)
        assert [one for one in taken if one is not None] == [token()]
        assert credentials.load_token(hash_of("t1")) == token(revoked_at_ms=NOW_MS)

    def test_what_is_expired_revoked_or_unknown_is_not_taken(self, credentials: Credentials) -> None:
        credentials.put_token(token(expires_at_ms=NOW_MS))
        credentials.put_token(token("t2", revoked_at_ms=NOW_MS))
        credentials.put_token(token("t3", expires_at_ms=None))
        assert credentials.take_token(hash_of("t1"), NOW_MS) is None
        assert credentials.take_token(hash_of("t1"), NOW_MS - 1) is not None
        assert credentials.take_token(hash_of("t2"), NOW_MS) is None
        assert credentials.take_token(hash_of("t3"), NOW_MS) is not None
        assert credentials.take_token(hash_of("t4"), NOW_MS) is None

    def test_access_tokens_of_an_account_come_by_age_while_they_live(self, credentials: Credentials) -> None:
        live = [token("b", created_at_ms=NOW_MS - 1), token("a", app="200", expires_at_ms=None)]
        dead = [
            token("c", revoked_at_ms=NOW_MS),
            token("d", expires_at_ms=NOW_MS),
            token("e", kind="session"),
            token("f", account=tag("bob")),
        ]
        for one in [*reversed(live), *dead]:
            credentials.put_token(one)
        assert credentials.load_access_tokens(tag("ann"), NOW_MS) == live
        assert credentials.load_access_tokens(tag("cy"), NOW_MS) == []

    def test_revoking_an_app_takes_an_accounts_tokens_for_it_and_nobody_elses(
        self, credentials: Credentials
    ) -> None:
        gone = [token("a"), token("b", expires_at_ms=None)]
        pending = replace(request_token("c"), account=tag("ann"))
        kept = [
            token("d", app="200"),
            token("e", account=tag("bob")),
            token("f", account=None),
            token("g", kind="session"),
            token("h", kind="bearer", account=None),
            token("i", expires_at_ms=NOW_MS),
        ]
        for one in [*gone, pending, *kept]:
            credentials.put_token(one)
        assert credentials.revoke_tokens("100", tag("ann"), NOW_MS) == 2
        assert credentials.revoke_tokens("100", tag("ann"), NOW_MS) == 0
        for one in [*gone, pending]:
            assert credentials.load_token(one.token_hash) == replace(one, revoked_at_ms=NOW_MS)
        assert [credentials.load_token(one.token_hash) for one in kept] == kept
        assert credentials.take_token(pending.token_hash, NOW_MS) is None

    def test_tokens_that_were_made_later_than_asked_are_not_revoked(self, credentials: Credentials) -> None:
        later = token("t2", created_at_ms=NOW_MS + 1)
        for one in (token(), later):
            credentials.put_token(one)
        assert credentials.revoke_tokens("100", tag("ann"), NOW_MS, NOW_MS) == 1
        assert credentials.load_token(later.token_hash) == later

    def test_given_tokens_are_those_of_the_app_that_live_consented_requests_included(
        self, credentials: Credentials
    ) -> None:
        consented = replace(request_token("r2"), account=tag("ann"), created_at_ms=NOW_MS + 1)
        others = [
            token("a", app="200"),
            token("b", account=tag("bob")),
            token("c", kind="session"),
            token("d", revoked_at_ms=NOW_MS),
            token("e", expires_at_ms=NOW_MS),
            request_token("f"),
        ]
        for one in [token(), consented, *others]:
            credentials.put_token(one)
        assert credentials.load_given_tokens(tag("ann"), "100", NOW_MS) == [token(), consented]

    def test_a_token_is_narrowed_from_the_scopes_that_were_read_alone(self, credentials: Credentials) -> None:
        credentials.put_token(token())
        assert credentials.narrow_token(token(), ("posts",))
        assert not credentials.narrow_token(token(), ("likes",))
        narrowed = credentials.load_token(hash_of("t1"))
        assert narrowed == token(scopes=("posts",))
        assert credentials.take_token(hash_of("t1"), NOW_MS) is not None
        assert not credentials.narrow_token(narrowed, ("likes",))

    def test_a_nonce_is_taken_once_by_one_of_many(self, credentials: Credentials) -> None:
        taken = at_once(*[lambda: credentials.take_nonce("key", NOW_S, WORDS, NOW_MS)] * 12)
        assert sorted(taken) == [False] * 11 + [True]

    def test_nonces_that_differ_in_anything_are_two(self, credentials: Credentials) -> None:
        for key, at_s, nonce in (
            ("key", NOW_S, "n"),
            ("key", NOW_S + 1, "n"),
            ("keyn", NOW_S, ""),
            ("", NOW_S, "keyn"),
            ("key", NOW_S, "N"),
            ("key", NOW_S, "\0"),
            ("key", NOW_S, "\ud800"),
            ("key", NOW_S, "n" * 100_000),
        ):
            assert credentials.take_nonce(key, at_s, nonce, NOW_MS)
            assert not credentials.take_nonce(key, at_s, nonce, NOW_MS)

    @pytest.mark.parametrize(
        ("off_s", "is_near"),
        [
            (-NONCE_WINDOW_S - 1, False),
            (-NONCE_WINDOW_S, True),
            (NONCE_WINDOW_S, True),
            (NONCE_WINDOW_S + 1, False),
            (10**12, False),
            (-(10**30), False),
        ],
    )
    def test_a_timestamp_beyond_the_window_is_refused(
        self, credentials: Credentials, off_s: int, is_near: bool
    ) -> None:
        assert credentials.take_nonce("key", NOW_S + off_s, "n", NOW_MS) == is_near

    def test_nonces_are_dropped_when_their_window_has_passed_and_not_before(
        self, credentials: Credentials, engine: Engine
    ) -> None:
        for number in range(3 * NONCES_DROPPED_MAX):
            assert credentials.take_nonce("key", NOW_S, str(number), NOW_MS)
        edge_ms = NOW_MS + NONCE_WINDOW_S * 1_000
        assert not credentials.take_nonce("key", NOW_S, "0", edge_ms)
        for number in range(3):
            assert credentials.take_nonce("key", NOW_S + NONCE_WINDOW_S, str(number), edge_ms + 1_000)
        with engine.connect() as connection:
            kept = connection.exec_driver_sql("SELECT COUNT(*) FROM service_nonces").scalar()
        assert kept == 3

    def test_calls_are_counted_up_to_the_limit_and_one_more(self, credentials: Credentials) -> None:
        counts = [credentials.count_call(WORDS, NOW_MS, 3) for _ in range(6)]
        assert counts == [1, 2, 3, 4, 4, 4]
        assert credentials.count_call("\0\ud800", NOW_MS, 3) == 1

    def test_a_new_window_counts_from_one_and_a_late_call_counts_there(
        self, credentials: Credentials
    ) -> None:
        for _ in range(5):
            credentials.count_call("b", NOW_MS, 3)
        assert credentials.count_call("b", NOW_MS + WINDOW_MS, 3) == 1
        assert credentials.count_call("b", NOW_MS, 3) == 2
        assert credentials.count_call("b", NOW_MS + WINDOW_MS, 3) == 3

    def test_of_calls_at_once_as_many_pass_as_the_limit_says(self, credentials: Credentials) -> None:
        counts = at_once(*[lambda: credentials.count_call("b", NOW_MS, 7)] * 16)
        assert sorted(counts) == [1, 2, 3, 4, 5, 6, 7] + [8] * 9

    def test_what_is_of_no_use_any_more_is_deleted_and_nothing_else(self, credentials: Credentials) -> None:
        old = [
            token("a", expires_at_ms=NOW_MS - 1),
            token("b", revoked_at_ms=NOW_MS - 1),
            token("c", expires_at_ms=NOW_MS - 2, revoked_at_ms=NOW_MS - 1),
        ]
        kept = [token("d", expires_at_ms=NOW_MS), token("e", expires_at_ms=None), token("f")]
        for one in [*old, *kept]:
            credentials.put_token(one)
        credentials.count_call("old", NOW_MS - 1, 3)
        credentials.count_call("new", NOW_MS, 3)
        assert credentials.expire(NOW_MS, 100) == 4
        assert credentials.expire(NOW_MS, 100) == 0
        assert [credentials.load_token(one.token_hash) for one in old] == [None] * 3
        assert [credentials.load_token(one.token_hash) for one in kept] == kept
        assert credentials.count_call("new", NOW_MS, 3) == 2

    def test_only_so_much_is_deleted_at_once(self, credentials: Credentials) -> None:
        for number in range(5):
            credentials.put_token(token(str(number), expires_at_ms=NOW_MS - number))
        assert [credentials.expire(NOW_MS + 1, 2) for _ in range(4)] == [2, 2, 1, 0]

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_write_that_failed_can_be_made_again(
        self, credentials: Credentials, engine: Engine, kind: Kind
    ) -> None:
        with failing_commit(engine, kind), pytest.raises(StoreError):
            credentials.add_key(api_key())
        credentials.add_key(api_key())
        assert credentials.load_key("k1") == api_key()
        with failing_commit(engine, kind), pytest.raises(StoreError):
            credentials.put_token(token())
        assert credentials.put_token(token())
        assert credentials.load_token(hash_of("t1")) == token()
        with failing_commit(engine, kind), pytest.raises(StoreError):
            credentials.revoke_key("k1", NOW_MS)
        assert credentials.revoke_key("k1", NOW_MS) == (kind == "before")
        with failing_commit(engine, kind), pytest.raises(StoreError):
            credentials.revoke_tokens("100", tag("ann"), NOW_MS)
        credentials.revoke_tokens("100", tag("ann"), NOW_MS)
        assert credentials.load_token(hash_of("t1")) == token(revoked_at_ms=NOW_MS)

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_may_happen_once_never_happens_twice_for_a_write_that_failed(
        self, credentials: Credentials, engine: Engine, kind: Kind
    ) -> None:
        credentials.put_token(token())
        with failing_commit(engine, kind), pytest.raises(StoreError):
            credentials.take_token(hash_of("t1"), NOW_MS)
        assert (credentials.take_token(hash_of("t1"), NOW_MS) is None) == (kind == "after")
        with failing_commit(engine, kind), pytest.raises(StoreError):
            credentials.take_nonce("key", NOW_S, "n", NOW_MS)
        assert credentials.take_nonce("key", NOW_S, "n", NOW_MS) == (kind == "before")

    def test_a_value_that_no_table_keeps_is_refused(self, credentials: Credentials) -> None:
        with pytest.raises(RejectedError, match="callback"):
            credentials.put_token(request_token(callback="\0"))
        with pytest.raises(RejectedError, match="name"):
            credentials.add_key(api_key(name="\ud800"))

    def test_what_is_asked_for_is_served_by_an_index(self, filled: Engine) -> None:
        account, key = tag("ann"), hash_of("t1")
        assert scanned(filled, queries.LOAD_TOKEN, token_hash=key) == []
        assert scanned(filled, queries.LOAD_KEY, key="k1") == []
        values = {"app": "100", "account": account, "at_ms": NOW_MS, "made_until_ms": NOW_MS}
        assert scanned(filled, queries.REVOKE_TOKENS, **values) == []
        del values["made_until_ms"]
        assert scanned(filled, queries.LOAD_GIVEN_TOKENS, **values) == []
