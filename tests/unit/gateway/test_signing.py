"""Who signs for a webhook, with which keys, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.core.standard_webhooks import is_signed, parse_secret
from ledger.core.webhook_auth import is_body_signature
from ledger.errors import RejectedError, StoreError
from ledger.gateway.signing import OVERLAP_MS, SENDER_AGE_MAX_MS, Signing, WebhookUnknownError
from ledger.ports.signing_keys import SigningKey
from tests.unit.gateway.delivery_desk import Desk, open_desk

BODY = b'{"for_user_id":"100"}'


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path) as opened:
        yield opened


@pytest.fixture
def signing(desk: Desk) -> Signing:
    return desk.process.dispatcher.signing


def signatures(desk: Desk, signing: Signing) -> tuple[str, int, str]:
    """``(message, timestamp, signatures)`` of the body to the first webhook."""
    headers = signing.sign(signing.sender_of(desk.webhook().webhook), "d-1", BODY)
    return headers["webhook-id"], int(headers["webhook-timestamp"]), headers["webhook-signature"]


def test_the_consumer_secret_is_that_of_the_webhooks_own_app(desk: Desk, signing: Signing) -> None:
    for app in ("1001", "1002"):
        headers = signing.sign(signing.sender_of(desk.webhook(app).webhook), "d-1", BODY)
        own = desk.process.parties.consumer_secret(desk.app(app))
        assert is_body_signature(own, BODY, headers["x-twitter-webhooks-signature"])


def test_what_is_remembered_of_a_webhook_is_forgotten_after_two_seconds(desk: Desk, signing: Signing) -> None:
    webhook = desk.webhook().webhook
    before = signing.sender_of(webhook)
    app = replace(desk.app(), retry_waits_ms=(1_000,))
    desk.process.registry.apply([desk.process.registry.put_app(app)])
    desk.place.clock.ms += SENDER_AGE_MAX_MS - 1
    assert signing.sender_of(webhook) == before
    desk.place.clock.ms += 1
    assert signing.sender_of(webhook).retry_waits_ms == (1_000,)


def test_a_clock_that_went_back_keeps_no_secret_alive(desk: Desk, signing: Signing) -> None:
    webhook = desk.webhook().webhook
    signing.sender_of(webhook)
    app = replace(desk.app(), retry_waits_ms=(1_000,))
    desk.process.registry.apply([desk.process.registry.put_app(app)])
    desk.place.clock.ms -= 3_600_000
    assert signing.sender_of(webhook).retry_waits_ms == (1_000,)


def test_each_webhook_has_keys_of_its_own_from_the_first_time_on(desk: Desk, signing: Signing) -> None:
    first, second = desk.webhook("1003", 0).webhook, desk.webhook("1003", 1).webhook
    kept = {webhook: signing.load_secrets(webhook) for webhook in (first, second)}
    assert [len(secrets) for secrets in kept.values()] == [1, 1]
    assert kept[first] != kept[second]
    desk.restart()
    again = desk.process.dispatcher.signing
    assert {webhook: again.load_secrets(webhook) for webhook in (first, second)} == kept


def test_a_new_secret_signs_beside_the_old_one_for_a_day_and_then_alone(desk: Desk, signing: Signing) -> None:
    webhook = desk.webhook().webhook
    (old,) = signing.load_secrets(webhook)
    new = signing.rotate(webhook)
    assert signing.load_secrets(webhook) == [new, old]
    message, timestamp_s, both = signatures(desk, signing)
    for secret in (old, new):
        assert is_signed(parse_secret(secret), message, timestamp_s, BODY, both)
    desk.place.clock.ms += OVERLAP_MS
    message, timestamp_s, one = signatures(desk, signing)
    assert is_signed(parse_secret(new), message, timestamp_s, BODY, one)
    assert not is_signed(parse_secret(old), message, timestamp_s, BODY, one)


def test_a_second_rotation_gives_the_first_key_no_longer_life(desk: Desk, signing: Signing) -> None:
    webhook = desk.webhook().webhook
    (first,) = signing.load_secrets(webhook)
    second = signing.rotate(webhook)
    desk.place.clock.ms += OVERLAP_MS - 1
    third = signing.rotate(webhook)
    assert signing.load_secrets(webhook) == [third, second, first]
    desk.place.clock.ms += 1
    assert signing.load_secrets(webhook) == [third, second]


def test_of_two_new_keys_with_one_number_the_first_counts(desk: Desk, signing: Signing) -> None:
    from ledger.store.signing_keys import SqlSigningKeys

    webhook = desk.webhook().webhook
    (old,) = signing.load_secrets(webhook)
    keys = SqlSigningKeys(desk.process.engine)
    assert keys.add(SigningKey(webhook, 2, b"sealed", desk.place.clock.ms), desk.place.clock.ms + 1_000)
    assert not keys.add(SigningKey(webhook, 2, b"other", desk.place.clock.ms), desk.place.clock.ms)
    assert next(key.secret_sealed for key in keys.load(webhook, desk.place.clock.ms)) == b"sealed"
    assert len(keys.load(webhook, desk.place.clock.ms)) == 2
    with pytest.raises(StoreError):
        signing.load_secrets(webhook)
    assert old


def test_nobody_signs_for_a_webhook_that_nobody_knows(signing: Signing) -> None:
    with pytest.raises(WebhookUnknownError):
        signing.sender_of("999")
    with pytest.raises(RejectedError):
        signing.rotate("999")


def test_no_secret_lies_in_the_database_or_shows_in_a_text(desk: Desk, signing: Signing) -> None:
    webhook = desk.webhook().webhook
    sender = signing.sender_of(webhook)
    (secret,) = signing.load_secrets(webhook)
    desk.process.close()
    on_disk = b"".join(path.read_bytes() for path in desk.place.directory.glob("ledger.db*"))
    assert secret.encode() not in on_disk
    assert sender.keys[0] not in on_disk
    assert sender.consumer_secret not in repr(sender)
    assert repr(sender.keys[0]) not in repr(sender)
