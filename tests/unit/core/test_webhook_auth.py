"""Challenge answers and body signatures, with the published example."""

from __future__ import annotations

import json

import pytest

from ledger.core.webhook_auth import (
    CHALLENGE_ANSWER_BYTES_MAX,
    ChallengeFailed,
    ChallengePassed,
    check_challenge,
    is_body_signature,
    response_token,
    sign_body,
)

PUBLISHED = "sha256=FaSoWf75xcMaRfgSc+15MoXxubTMQhRtwA+gdSiCVK4="


def answer_of(token: object) -> bytes:
    return json.dumps({"response_token": token}).encode()


def test_the_published_example_is_met() -> None:
    assert response_token("cs", "foo") == PUBLISHED


def test_a_body_is_signed_as_a_token_of_the_same_bytes_is() -> None:
    assert sign_body("cs", b"foo") == PUBLISHED


def test_a_signature_verifies_under_its_own_secret_and_body_only() -> None:
    signature = sign_body("secret", b"body")
    assert is_body_signature("secret", b"body", signature)
    assert not is_body_signature("other", b"body", signature)
    assert not is_body_signature("secret", b"body ", signature)


@pytest.mark.parametrize(
    "text", ["", "sha256=", "sha1=x", PUBLISHED.lower(), PUBLISHED + "=", "sha256=\u00e9"]
)
def test_any_other_text_is_not_the_signature(text: str) -> None:
    assert not is_body_signature("cs", b"foo", text)


def test_the_right_answer_passes() -> None:
    assert check_challenge("cs", "foo", 200, answer_of(PUBLISHED)) == ChallengePassed()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not json",
        b"\xff",
        b"[]",
        b"[" * 4000,
        answer_of(None),
        answer_of(7),
        answer_of("sha256=wrong"),
        answer_of("\u00e9"),
        answer_of(PUBLISHED) + b" " * CHALLENGE_ANSWER_BYTES_MAX,
    ],
)
def test_a_wrong_answer_is_final(answer: bytes) -> None:
    verdict = check_challenge("cs", "foo", 200, answer)
    assert isinstance(verdict, ChallengeFailed)
    assert not verdict.is_transient
    assert verdict.reason.endswith("Invalid CRC token or json response format.")


@pytest.mark.parametrize(
    ("status", "timed_out", "is_transient", "words"),
    [
        (404, False, True, "Non-200 response code"),
        (503, False, True, "Non-200 response code"),
        (302, False, False, "Non-200 response code"),
        (None, True, True, "High latency"),
        (None, False, False, "does not meet the requirements"),
    ],
)
def test_no_success_is_transient_or_final_with_the_known_reason(
    status: int | None, timed_out: bool, is_transient: bool, words: str
) -> None:
    verdict = check_challenge("cs", "foo", status, answer_of(PUBLISHED), timed_out=timed_out)
    assert isinstance(verdict, ChallengeFailed)
    assert verdict.is_transient is is_transient
    assert words in verdict.reason


def test_a_webhook_that_nobody_answers_at_may_come_back() -> None:
    verdict = check_challenge("cs", "foo", None, b"", unreached=True)
    assert isinstance(verdict, ChallengeFailed)
    assert verdict.is_transient
