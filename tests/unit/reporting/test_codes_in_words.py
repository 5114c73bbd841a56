"""Every code, verdict and severity of the rules has words that a person can read."""

from __future__ import annotations

import re

import pytest

from ledger.core.verdicts import CODES, SEVERITIES, VERDICTS
from ledger.reporting.codes_in_words import CODE_WORDS, words_of
from ledger.reporting.verdicts_in_words import EVIDENCE_WORDS, SEVERITY_WORDS, VERDICT_WORDS


def test_every_code_has_words_in_the_order_of_the_table_and_nothing_else_has() -> None:
    assert list(CODE_WORDS) == list(CODES)


def test_every_verdict_severity_and_kind_of_evidence_has_words() -> None:
    assert set(VERDICT_WORDS) == set(VERDICTS)
    assert set(SEVERITY_WORDS) == set(SEVERITIES)
    assert set(EVIDENCE_WORDS) == {"observed", "intended"}


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_explained_in_one_short_plain_sentence(code: str) -> None:
    label, sentence, next_step = words_of(code)
    assert re.fullmatch(r"[A-Z][^.]*\.", sentence), "one sentence"
    assert len(sentence.split()) <= 25
    assert not re.search(r"[A-Z]{2}|_", label + sentence + next_step), "no code or abbreviation"
    assert next_step.endswith(".")


def test_no_two_codes_have_the_same_label_or_sentence() -> None:
    assert len({words.label for words in CODE_WORDS.values()}) == len(CODES)
    assert len({words.sentence for words in CODE_WORDS.values()}) == len(CODES)


def test_a_code_that_these_rules_do_not_have_is_shown_as_it_is() -> None:
    assert words_of("SOMETHING_NEW").label == "SOMETHING_NEW"
