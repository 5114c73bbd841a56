"""What a verification is made of: source, key, engine, checkpoints kept (ledger format, section 1.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import SettingsError, StoreError, UsageError
from ledger.settings import Settings, load_settings
from ledger.store.remembered import RememberedCheckpoints
from ledger.verifying import Asked, choose_vkey, find_earlier, make_engine, open_source, run_verification
from tests.support.forged_logs import (
    MemoryLog,
    add_seal,
    encode_log,
    ignore_progress,
    open_log,
    pad,
    publish,
    sign,
)
from tests.support.log_world import SIGNER


def make_entries() -> list[bytes]:
    log = open_log()
    for _ in range(2):
        pad(log, 9)
        add_seal(log)
    return encode_log(log)


ENTRIES = make_entries()
VKEY = SIGNER.vkey()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"GRANTLEDGER_STATE_DIR": str(tmp_path / "state")}, str(tmp_path / "ledger.db"))


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    public = publish(tmp_path / "public", ENTRIES)
    return Asked(tiles=public, vkey=public / "log.vkey", engine="scalar")


@pytest.mark.parametrize(("name", "made"), [("scalar", "scalar"), ("duckdb", "duckdb")])
def test_an_engine_is_made_by_its_name(name: str, made: str) -> None:
    assert make_engine(Asked(engine=name)).name == made


def test_an_unknown_engine_is_bad_usage() -> None:
    with pytest.raises(UsageError, match="scalar or duckdb"):
        make_engine(Asked(engine="sqlite"))


def test_a_published_log_needs_a_key_from_elsewhere(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--vkey"):
        choose_vkey(settings, Asked(tiles=tmp_path), MemoryLog(ENTRIES))


@pytest.mark.parametrize("text", ["", "junk", "ledger.example/test+00000000+AQ==", "é"])
def test_a_key_file_that_holds_no_key_is_bad_usage(settings: Settings, tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="no log key"):
        choose_vkey(settings, Asked(vkey=tmp_path / "key"), MemoryLog(ENTRIES))


def test_a_key_file_that_is_not_there_is_bad_usage(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        choose_vkey(settings, Asked(vkey=tmp_path / "key"), MemoryLog(ENTRIES))


def test_a_database_without_a_signing_key_is_verified_by_the_key_it_states_and_says_so(
    settings: Settings,
) -> None:
    vkey, note = choose_vkey(settings, Asked(), MemoryLog(ENTRIES))
    assert vkey == VKEY
    assert note is not None
    assert "--vkey" in note


@pytest.mark.parametrize("entries", [[], [b"{}"], ENTRIES[1:]])
def test_a_database_that_does_not_say_whose_it_is_needs_a_key(
    settings: Settings, entries: list[bytes]
) -> None:
    with pytest.raises(UsageError, match="--vkey"):
        choose_vkey(settings, Asked(), MemoryLog(entries))


def test_where_there_is_neither_database_nor_published_log_the_error_names_both_options(
    settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="--tiles"):
        open_source(settings, Asked())
    with pytest.raises(StoreError, match="checkpoint"):
        open_source(settings, Asked(tiles=tmp_path))


def test_earlier_checkpoints_are_the_named_one_the_remembered_one_and_the_record(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_bytes(b"1")
    RememberedCheckpoints(settings.state_directory).save(VKEY, b"2")
    settings.checkpoint_file.write_bytes(b"3")
    asked = Asked(checkpoint=tmp_path / "kept")
    assert [each.note for each in find_earlier(settings, asked, VKEY)] == [b"1", b"2", b"3"]
    forgetful = Asked(checkpoint=tmp_path / "kept", tiles=tmp_path, remember=False)
    assert [each.note for each in find_earlier(settings, forgetful, VKEY)] == [b"1"]


def test_an_earlier_checkpoint_that_cannot_be_read_is_bad_usage(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        find_earlier(settings, Asked(checkpoint=tmp_path / "kept"), VKEY)


def test_an_accepted_checkpoint_is_remembered_unless_told_not_to(settings: Settings, asked: Asked) -> None:
    remembered = RememberedCheckpoints(settings.state_directory)
    forgetful = Asked(tiles=asked.tiles, vkey=asked.vkey, engine="scalar", remember=False)
    run_verification(settings, forgetful, ignore_progress)
    assert remembered.load(VKEY) is None
    run_verification(settings, asked, ignore_progress)
    assert remembered.load(VKEY) == sign(ENTRIES)


def test_a_smaller_checkpoint_never_replaces_a_larger_one(settings: Settings, asked: Asked) -> None:
    run_verification(settings, asked, ignore_progress)
    older = MemoryLog(ENTRIES, sign(ENTRIES, size=11))
    run_verification(settings, Asked(vkey=asked.vkey, engine="scalar"), ignore_progress, source=older)
    assert RememberedCheckpoints(settings.state_directory).load(VKEY) == sign(ENTRIES)


def test_each_key_has_a_memory_of_its_own(tmp_path: Path) -> None:
    remembered = RememberedCheckpoints(tmp_path / "state")
    remembered.save("one", b"1")
    remembered.save("two", b"2")
    assert (remembered.load("one"), remembered.load("two"), remembered.load("three")) == (b"1", b"2", None)


def test_a_state_directory_that_cannot_be_written_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreError, match="GRANTLEDGER_STATE_DIR"):
        RememberedCheckpoints(tmp_path / "state").save("one", b"1")
