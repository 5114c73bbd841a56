"""What a verification says of itself where something could not be checked (verdict rules, section 2.3)."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ledger.audit.identities import IdentityCheck
from ledger.ingest.drafts import Drafter
from ledger.ingest.sources import open_source
from ledger.ports import Subject
from ledger.sequencer.draft import expect
from ledger.settings import Settings, load_settings
from ledger.transparency.publish import publish
from ledger.vault.commitments import SubjectCommitments
from ledger.verifying import Asked, run_verification
from ledger.wiring import create_ledger, open_ledger
from tests.support.cli_process import ROOT

NO_PAST = "no earlier checkpoint is known here"
OWN_KEY = "the key was taken from the log itself"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A sealed ledger of the sample records, published to ``public`` beside it."""
    made = load_settings({"GRANTLEDGER_STATE_DIR": str(tmp_path / "state")}, str(tmp_path / "notes.db"))
    create_ledger(made, "ledger.example/notes")
    with open_ledger(made) as ledger:
        ledger.import_from(open_source(str(ROOT / "docs/examples/records.jsonl"), io.BytesIO()))
        ledger.sealer.seal()
        publish(ledger.store, tmp_path / "public", ledger.vkey)
    return made


def notes_of(settings: Settings, asked: Asked) -> str:
    """The notes of a verification that found nothing broken."""
    report = run_verification(settings, asked, lambda _phase, _done, _total: None).report
    assert report.exit_status == 1
    return "\n".join(report.notes)


def published(settings: Settings) -> Asked:
    public = settings.state_directory.parent / "public"
    return Asked(tiles=public, vkey=public / "log.vkey", engine="scalar")


def test_the_first_look_at_a_log_says_that_rollback_was_not_checkable(settings: Settings) -> None:
    assert NO_PAST in notes_of(settings, published(settings))


def test_the_second_look_holds_the_log_against_the_first(settings: Settings) -> None:
    notes_of(settings, published(settings))
    assert NO_PAST not in notes_of(settings, published(settings))


def test_beside_a_database_its_own_key_and_record_are_used(settings: Settings) -> None:
    notes = notes_of(settings, Asked(engine="scalar"))
    assert OWN_KEY not in notes
    assert NO_PAST not in notes


def test_a_key_that_only_the_log_vouches_for_is_said_to_be_that(settings: Settings) -> None:
    settings.log_key_file.unlink()
    assert OWN_KEY in notes_of(settings, Asked(engine="scalar"))


def test_an_index_that_was_not_replayed_is_said_to_be_unchecked(settings: Settings) -> None:
    assert "the index was not replayed" in notes_of(settings, Asked(engine="scalar", with_index=False))


def broken_codes(settings: Settings, asked: Asked) -> dict[str, int]:
    """The codes of a verification that compares tags with the vault."""
    with open_ledger(settings) as ledger:
        check = ledger.identity_check()
        report = run_verification(settings, asked, lambda _phase, _done, _total: None, check).report
    return report.codes()


@pytest.mark.parametrize("engine", ["scalar", "duckdb"])
def test_an_auditor_in_the_vault_finds_every_tag_to_be_the_one_of_its_id(
    settings: Settings, engine: str
) -> None:
    codes = broken_codes(settings, Asked(engine=engine, processes=1))
    assert "SPLIT_IDENTITY" not in codes
    assert "COMMITMENT_MISMATCH" not in codes


@pytest.mark.parametrize("engine", ["scalar", "duckdb"])
def test_a_second_tag_minted_for_an_account_is_found_by_an_auditor_in_the_vault(
    settings: Settings, engine: str
) -> None:
    with open_ledger(settings) as ledger:
        drafter = Drafter(SubjectCommitments(), actor="operator:test", live=True)
        known = ledger.vault.find(["1001"])["1001"]
        hidden = Subject("a_" + "7" * 32, known.key)
        assert expect(ledger.sequencer.append(drafter.registration("1001", hidden))).created
        accounts = {known.tag: "1001", hidden.tag: "1001"}
        check = IdentityCheck(
            lambda tags: {each: accounts[each] for each in tags if each in accounts},
            lambda account, uid: SubjectCommitments().identity(known, uid, account),
        )
        asked = Asked(engine=engine, processes=1)
        report = run_verification(settings, asked, lambda _phase, _done, _total: None, check).report
    assert report.codes()["SPLIT_IDENTITY"] == 1
    assert report.exit_status == 2
