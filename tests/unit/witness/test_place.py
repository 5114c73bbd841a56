"""Where a witness lives: what is missing is made, and what it has forgotten is never taken for what it never knew."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import SettingsError
from ledger.wiring import SYSTEM_CLOCK, SYSTEM_RANDOMNESS
from ledger.witness.place import DATABASE_FILE, KEY_FILE, VKEY_FILE, create_witness, open_witness

NAME = "witness.example/w1"


def test_what_a_run_that_died_has_left_out_is_made_by_the_next(tmp_path: Path) -> None:
    signer, is_new = create_witness(tmp_path, NAME, SYSTEM_RANDOMNESS)
    assert is_new
    # Died behind the key: nobody has seen it yet.
    for name in (VKEY_FILE, DATABASE_FILE):
        (tmp_path / name).unlink()
    again, is_new = create_witness(tmp_path, NAME, SYSTEM_RANDOMNESS)
    assert (again.vkey(), is_new) == (signer.vkey(), False)
    assert (tmp_path / VKEY_FILE).read_text("utf-8") == f"{signer.vkey()}\n"


def test_a_witness_whose_database_is_gone_does_not_begin_anew_under_its_key(tmp_path: Path) -> None:
    create_witness(tmp_path, NAME, SYSTEM_RANDOMNESS)
    (tmp_path / DATABASE_FILE).unlink()
    with pytest.raises(SettingsError, match="put the newest back"):
        open_witness(tmp_path, SYSTEM_CLOCK)
    with pytest.raises(SettingsError, match="put the newest back"):
        create_witness(tmp_path, NAME, SYSTEM_RANDOMNESS)
    assert not (tmp_path / DATABASE_FILE).exists()


def test_a_witness_whose_key_is_gone_gets_no_other_one(tmp_path: Path) -> None:
    create_witness(tmp_path, NAME, SYSTEM_RANDOMNESS)
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(SettingsError, match="put the key back"):
        create_witness(tmp_path, NAME, SYSTEM_RANDOMNESS)
