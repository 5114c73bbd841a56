"""The Standard Webhooks headers, against the specification's own library."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ledger.core.standard_webhooks import (
    KEY_BYTES_MAX,
    KEY_BYTES_MIN,
    format_secret,
    is_signed,
    parse_secret,
    sign_message,
)
from ledger.errors import FormatError

KEY = bytes(range(32))
OLD_KEY = bytes(range(32, 64))
MESSAGE = "d-0123456789abcdef0123456789abcdef"
BODY = '{"for_user_id":"1","text":"Grüße"}'.encode()


def now_s() -> int:
    return int(datetime.now(UTC).timestamp())


@given(
    key=st.binary(min_size=KEY_BYTES_MIN, max_size=KEY_BYTES_MAX),
    message=st.text("abcXYZ0189_-", min_size=1, max_size=64),
    timestamp_s=st.integers(0, 4_000_000_000),
    body=st.text(max_size=300),
)
def test_a_signature_is_the_one_that_the_library_makes(
    key: bytes, message: str, timestamp_s: int, body: str
) -> None:
    theirs = Webhook(format_secret(key)).sign(message, datetime.fromtimestamp(timestamp_s, UTC), body)
    ours = sign_message([key], message, timestamp_s, body.encode())
    assert ours["webhook-signature"] == theirs


def test_the_library_accepts_a_signed_body() -> None:
    headers = sign_message([KEY], MESSAGE, now_s(), BODY)
    assert Webhook(format_secret(KEY)).verify(BODY, headers) == {"for_user_id": "1", "text": "Grüße"}


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_during_a_rotation_the_holder_of_either_key_accepts(key: bytes) -> None:
    headers = sign_message([KEY, OLD_KEY], MESSAGE, now_s(), BODY)
    Webhook(format_secret(key)).verify(BODY, headers)
    assert headers["webhook-signature"].count(" ") == 1


@pytest.mark.parametrize(
    ("message", "body", "key"), [("d-other", BODY, KEY), (MESSAGE, b"{}", KEY), (MESSAGE, BODY, OLD_KEY)]
)
def test_another_id_body_or_key_is_refused_here_and_by_the_library(
    message: str, body: bytes, key: bytes
) -> None:
    at_s = now_s()
    headers = sign_message([KEY], MESSAGE, at_s, BODY) | {"webhook-id": message}
    with pytest.raises(WebhookVerificationError):
        Webhook(format_secret(key)).verify(body, headers)
    assert not is_signed(key, message, at_s, body, headers["webhook-signature"])


def test_one_right_signature_among_others_is_enough() -> None:
    made = sign_message([OLD_KEY, KEY], MESSAGE, 1_500_000_000, BODY)["webhook-signature"]
    assert is_signed(KEY, MESSAGE, 1_500_000_000, BODY, f"v1a,bm90IG91cnM= {made}")


def test_a_secret_leads_back_to_its_key_and_only_one_spelling_of_it() -> None:
    assert parse_secret(format_secret(KEY)) == KEY
    for wrong in (
        base64.b64encode(KEY).decode(),
        format_secret(KEY).rstrip("="),
        "whsec_" + base64.b64encode(bytes(KEY_BYTES_MIN - 1)).decode(),
        "whsec_" + base64.b64encode(bytes(KEY_BYTES_MAX + 1)).decode(),
    ):
        with pytest.raises(FormatError):
            parse_secret(wrong)


def test_an_id_with_a_full_stop_is_never_signed() -> None:
    with pytest.raises(AssertionError):
        sign_message([KEY], "d-1.2", 1_500_000_000, BODY)
