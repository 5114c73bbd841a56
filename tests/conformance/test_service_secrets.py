"""A stolen database names nobody and opens nothing: what the service's tables keep of bodies, secrets and people."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ledger.ports import Subject
from ledger.ports.canaries import Canary
from ledger.ports.credentials import ApiKey, Token
from ledger.ports.signing_keys import SigningKey
from ledger.store.canaries import SqlCanaries
from ledger.store.credentials import SqlCredentials
from ledger.store.engine import open_engine
from ledger.store.outbox import SqlOutbox
from ledger.store.registry import SqlRegistry
from ledger.store.signing_keys import SqlSigningKeys
from ledger.vault.commitments import event_tag
from ledger.vault.sealing import VaultSealing
from ledger.wiring.surroundings import SYSTEM_RANDOMNESS
from tests.conformance.duty_samples import fill_duties
from tests.conformance.notice_samples import fill_notices
from tests.conformance.service_databases import TABLES, OnPostgresql, OnSqlite
from tests.conformance.service_samples import (
    NOW_MS,
    app,
    challenge,
    developer,
    held,
    note,
    notice,
    parcel,
    replay,
    subscription,
    tag,
    webhook,
)

PERSON = "7832149901"
EVENT_ID = "9948837261"
SECRETS = {
    "the person's id": PERSON,
    "the event's id": EVENT_ID,
    "the body": "meet me at the harbour",
    "the app's secret": "consumer-secret-4f1c",
    "the token": "access-token-9b2d",
    "the token's secret": "token-secret-77aa",
    "the verifier": "verifier-31415",
    "the API key": "api-key-secret-2718",
    "the signing key": "whsec-signing-1618",
    "the nonce": "nonce-1414213",
    "the canary's marker": "marker-5772156649",
    "the bucket": "bucket-of-198.51.100.7",
    "the address": "ann.of.the.harbour@a.example",
    "the remark": "our officer is Jane Doe",
    "the plea": "please forget that I was ever here",
    "the case": "case 17 of the county court",
}


def hash_of(name: str) -> bytes:
    return hashlib.sha256(SECRETS[name].encode()).digest()


def fill(engine: Engine) -> None:
    """Put every kind of row in, made as the service makes it."""
    sealing = VaultSealing(b"o" * 32, SYSTEM_RANDOMNESS)
    ann = Subject(tag("ann"), b"a" * 32)
    body = f'{{"for_user_id":"{PERSON}","text":"{SECRETS["the body"]}"}}'.encode()
    event = event_tag(ann.key, EVENT_ID)
    context = f"event/{event}"
    event_row = held(
        event=event,
        account=ann.tag,
        body_sealed=sealing.seal_for(ann, context, body),
        content=sealing.digest_for(ann, context, body),
    )
    outbox, registry = SqlOutbox(engine), SqlRegistry(engine)
    outbox.put([event_row], [parcel(event_row), parcel(event_row, "2", replay="900")])
    outbox.start_replay(replay())
    sealed_app = app(
        secret_sealed=sealing.seal_secret("app/100/consumer-secret", SECRETS["the app's secret"])
    )
    registry.apply(
        [
            registry.put_developer(developer()),
            registry.put_app(sealed_app),
            registry.put_webhook(webhook()),
            registry.put_subscription(subscription()),
            registry.add_challenge(challenge()),
            registry.add_notice(notice()),
            outbox.note(note()),
            SqlCanaries(engine).put(
                Canary(
                    canary="c-1",
                    account=ann.tag,
                    developer="dev-a",
                    app="100",
                    marker_hash=hash_of("the canary's marker"),
                    sealed=sealing.seal_secret("canary/c-1", SECRETS["the canary's marker"]),
                    created_at_ms=NOW_MS,
                )
            ),
        ]
    )
    credentials = SqlCredentials(engine)
    credentials.add_key(ApiKey("k1", hash_of("the API key"), "person", ann.tag, "A key", NOW_MS))
    token_hash = hash_of("the token")
    secret = sealing.seal_secret(f"token/{token_hash.hex()}/secret", SECRETS["the token's secret"])
    access = Token(token_hash, "access", "100", ann.tag, secret, ("posts",), NOW_MS)
    credentials.put_token(access)
    credentials.put_token(
        replace(access, token_hash=b"r" * 32, kind="request", verifier_hash=hash_of("the verifier"))
    )
    credentials.take_nonce("key-100", NOW_MS // 1_000, SECRETS["the nonce"], NOW_MS)
    credentials.count_call(SECRETS["the bucket"], NOW_MS, 15)
    signing = sealing.seal_secret("webhook/1/1", SECRETS["the signing key"])
    SqlSigningKeys(engine).add(SigningKey("1", 1, signing, NOW_MS), NOW_MS)
    fill_notices(engine, sealing, ann, SECRETS["the address"], SECRETS["the remark"])
    fill_duties(engine, sealing, ann, SECRETS["the plea"], SECRETS["the case"])


class Secrets:
    """The properties; ``url`` is of a database with the tables."""

    @pytest.fixture
    def engine(self, url: str) -> Iterator[Engine]:
        opened = open_engine(url)
        fill(opened)
        yield opened
        opened.dispose()

    def test_every_table_is_filled(self, engine: Engine) -> None:
        with engine.connect() as connection:
            counts = {
                name: connection.execute(text(f"SELECT COUNT(*) FROM {name}")).scalar() for name in TABLES
            }
        assert all(counts.values()), counts


class TestOnSqlite(OnSqlite, Secrets):
    """The bytes of the file and of its write-ahead log."""

    @pytest.mark.parametrize("name", SECRETS)
    def test_no_byte_of_the_files_tells_it(self, engine: Engine, tmp_path: Path, name: str) -> None:
        files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert len(files["ledger.db-wal"]) > 0
        assert tag("ann").encode() in b"".join(files.values())
        assert [file for file, data in files.items() if SECRETS[name].encode() in data] == []


class TestOnPostgresql(OnPostgresql, Secrets):
    """Every value of every row."""

    @pytest.mark.parametrize("name", SECRETS)
    def test_no_value_of_a_row_tells_it(self, engine: Engine, name: str) -> None:
        values: list[bytes] = []
        with engine.connect() as connection:
            for table in TABLES:
                for row in connection.execute(text(f"SELECT * FROM {table}")):
                    values += [value if isinstance(value, bytes) else str(value).encode() for value in row]
        assert tag("ann").encode() in values
        assert [value for value in values if SECRETS[name].encode() in value] == []
