"""A bundle that somebody was shown, held against the log: an index that was signed and leaves something out is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.audit.report import Report
from ledger.core.proof_files import encode_bundle
from ledger.errors import UsageError
from ledger.settings import load_settings
from ledger.transparency.proving import Page, Prover
from ledger.verifying import Asked, run_verification
from tests.lies.shown import Shown, grown
from tests.support.builders import seen, tag
from tests.support.forged_logs import (
    add_seal,
    encode_log,
    open_log,
    publish,
    report_bytes,
    sign,
    tell_events_apart,
)
from tests.support.log_world import ORIGIN, SIGNER, VERIFIER

KEY = f"acct:{tag('ann')}"


def honest() -> Shown:
    """Ann granted something, and something was sent to her grant's developer twice."""
    log = open_log()
    log.parties()
    for letter in "ab":
        log.add("endpoint.verified", 1, endpoint=f"wh-{letter}")
    log.add("account.registered", 90, account=tag("ann"), identity="0" * 64)
    log.issue("g", at=100)
    log.imported("d-1", at=150, observed=seen())
    log.imported("d-2", at=160, observed=seen())
    add_seal(log)
    entries = encode_log(tell_events_apart(log))
    return Shown(entries, sign(entries))


def bundle_of(shown: Shown, path: Path, key: str = KEY, page: Page | None = None) -> Path:
    """The bundle about ``key`` that this operator's index gives, signed with the log's own key."""
    prover = Prover(shown, shown, ORIGIN, [VERIFIER])  # type: ignore[arg-type]
    path.write_bytes(encode_bundle(prover.prove_key(key, page), SIGNER.vkey(), {}))
    return path


def verify(directory: Path, shown: Shown, *bundles: Path) -> Report:
    """What both engines say of the log as it is published."""
    public = publish(directory / "public", shown.entries, shown.note)
    (directory / "log.vkey").write_text(SIGNER.vkey() + "\n", "ascii")
    reports = []
    for engine in ("scalar", "duckdb"):
        asked = Asked(
            tiles=public, vkey=directory / "log.vkey", engine=engine, remember=False, bundles=tuple(bundles)
        )
        settings = load_settings(
            {"GRANTLEDGER_STATE_DIR": str(directory / "state")}, str(directory / "none.db")
        )
        reports.append(run_verification(settings, asked, lambda *_: None).report)
    assert report_bytes(reports[0]) == report_bytes(reports[1])
    return reports[0]


def omissions(report: Report) -> list[tuple[int, ...]]:
    return [finding.entries for finding in report.findings if finding.code == "INDEX_OMISSION"]


def own_entries(shown: Shown) -> list[int]:
    return [seq for seq, one in enumerate(shown.members()) if one.get("account") == tag("ann")]


def test_a_bundle_of_a_true_index_is_no_finding(tmp_path: Path) -> None:
    shown = honest()
    report = verify(tmp_path, shown, bundle_of(shown, tmp_path / "ann.json"))
    assert (omissions(report), report.exit_status) == ([], 0)


def test_an_entry_that_the_signed_index_left_out_is_named(tmp_path: Path) -> None:
    shown = honest()
    left_out = own_entries(shown)[2]
    lying = grown(shown, omitted=frozenset({left_out}))
    report = verify(tmp_path, lying, bundle_of(lying, tmp_path / "ann.json"))
    assert (omissions(report), report.exit_status) == ([(left_out,)], 2)
    (text,) = [finding.text for finding in report.findings if finding.code == "INDEX_OMISSION"]
    assert text is not None
    assert KEY in text
    assert "ann.json" in text


def test_it_is_named_also_where_later_indexes_are_right_again(tmp_path: Path) -> None:
    shown = honest()
    left_out = own_entries(shown)[-1]
    lying = grown(shown, omitted=frozenset({left_out}))
    bundle = bundle_of(lying, tmp_path / "ann.json")
    report = verify(tmp_path, grown(lying), bundle)
    assert omissions(report) == [(left_out,)]


def test_a_signed_absence_of_somebody_who_is_there_names_every_entry(tmp_path: Path) -> None:
    shown = honest()
    own = own_entries(shown)
    lying = grown(shown, omitted=frozenset(own))
    report = verify(tmp_path, lying, bundle_of(lying, tmp_path / "ann.json"))
    assert omissions(report) == [(seq,) for seq in own]


def test_a_page_of_a_false_index_is_told_at_its_seal(tmp_path: Path) -> None:
    shown = honest()
    lying = grown(shown, omitted=frozenset({own_entries(shown)[0]}))
    page = bundle_of(lying, tmp_path / "page.json", page=Page(1, 1))
    assert omissions(verify(tmp_path, lying, page)) == [(len(lying.entries) - 1,)]


def test_keys_of_developers_and_pairs_are_compared_too(tmp_path: Path) -> None:
    shown = honest()
    left_out = own_entries(shown)[-1]
    lying = grown(shown, omitted=frozenset({left_out}))
    keys = ("dev:dev-a", f"pair:{tag('ann')}:dev-a")
    bundles = [bundle_of(lying, tmp_path / f"{at}.json", key) for at, key in enumerate(keys)]
    assert omissions(verify(tmp_path, lying, *bundles)) == [(left_out,), (left_out,)]
    true = [bundle_of(shown, tmp_path / f"{at}.json", key) for at, key in enumerate(keys)]
    assert omissions(verify(tmp_path, shown, *true)) == []


def test_a_bundle_of_another_history_is_a_fork_and_is_not_compared(tmp_path: Path) -> None:
    shown = honest()
    bundle = bundle_of(shown, tmp_path / "ann.json")
    members = shown.members()
    members[1]["actor"] = "system:liar"
    entries = encode_log(
        [one | ({"map_root": "0" * 64} if one["kind"] == "index.sealed" else {}) for one in members]
    )
    report = verify(tmp_path, Shown(entries, sign(entries)), bundle)
    assert {finding.code for finding in report.findings} == {"CHECKPOINT_INCONSISTENT"}
    assert any("was not compared" in note for note in report.notes)


def test_a_bundle_that_proves_nothing_is_bad_input(tmp_path: Path) -> None:
    shown = honest()
    bundle = bundle_of(shown, tmp_path / "ann.json")
    bundle.write_bytes(bundle.read_bytes().replace(b'"count":', b'"count": '))
    with pytest.raises(UsageError, match="PROOF_MALFORMED"):
        verify(tmp_path, shown, bundle)
    with pytest.raises(UsageError, match=r"none\.json"):
        verify(tmp_path, shown, tmp_path / "none.json")
