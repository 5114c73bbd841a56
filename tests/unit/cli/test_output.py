"""Output: results on standard output, everything else on standard error, and no control of the terminal."""

from __future__ import annotations

import json

import pytest

from ledger.cli.exits import BROKEN, UNUSABLE, status_of
from ledger.cli.output import Output
from ledger.errors import (
    ConflictError,
    ForkError,
    LedgerError,
    ProofError,
    SettingsError,
    SignatureError,
    StoreError,
)

DOCUMENT = {"b": 1, "a": ["x", None]}


def test_json_is_one_line_with_the_members_in_their_order(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Output(as_json=True).result(DOCUMENT, [("b", 1)])
    assert capfdbinary.readouterr() == (b'{"b":1,"a":["x",null]}\n', b"")


def test_people_get_aligned_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result(DOCUMENT, [("entries", "two\nlines"), ("key", 7)])
    assert capsys.readouterr().out.split("\n") == ["entries  two", "         lines", "key      7", ""]


def test_long_values_are_not_broken_into_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result({}, [("hash", "f" * 500)])
    assert capsys.readouterr().out == f"hash  {'f' * 500}\n"


def test_no_value_can_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result({}, [("uid", "a\x1b[2Jb\r\u202e")])
    assert capsys.readouterr().out == "uid  a\\x1b[2Jb\\r\\u202e\n"


def test_square_brackets_are_not_taken_for_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result({}, [("uid", "[red]x[/red]")])
    assert capsys.readouterr().out == "uid  [red]x[/red]\n"


def test_remarks_go_to_standard_error_and_can_be_silenced(capsys: pytest.CaptureFixture[str]) -> None:
    Output().remark("said")
    Output(quiet=True).remark("not said")
    assert capsys.readouterr() == ("", "said\n")


def test_errors_are_said_even_where_it_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True, quiet=True).error("no")
    assert capsys.readouterr() == ("", "error: no\n")


def test_progress_says_nothing_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with Output().progress("importing") as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")


def test_json_keeps_every_character(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Output(as_json=True).result({"name": "a\x1bä"}, [])
    assert json.loads(capfdbinary.readouterr().out) == {"name": "a\x1bä"}


@pytest.mark.parametrize("error", [ForkError("x"), ProofError("x"), SignatureError("x")])
def test_evidence_that_does_not_hold_breaks_the_ledger(error: LedgerError) -> None:
    assert status_of(error) == BROKEN


@pytest.mark.parametrize("error", [SettingsError("x"), StoreError("x"), ConflictError("x")])
def test_every_other_error_is_bad_usage_or_a_failing_machine(error: LedgerError) -> None:
    assert status_of(error) == UNUSABLE
