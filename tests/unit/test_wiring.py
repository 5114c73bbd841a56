"""The composition root: what `init` makes, that it replaces nothing, and what opening refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.core.strict import encode_base64
from ledger.errors import ForkError, SettingsError, UsageError
from ledger.sequencer.draft import Draft, expect
from ledger.settings import Settings, load_settings
from ledger.store.migrate import upgrade
from ledger.wiring import create_ledger, open_ledger
from tests.support.cli_process import ROOT

ORIGIN = "ledger.example/acme"


class Stopped(BaseException):
    """The process dies here."""


class Dead:
    """A clock that stops the process when it is asked."""

    def now_ms(self) -> int:
        raise Stopped


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({}, str(tmp_path / "a.db"))


def file_of(settings: Settings) -> Path:
    assert settings.database_file is not None, "a SQLite database is a file"
    return settings.database_file


def files_of(settings: Settings) -> dict[str, bytes]:
    keys = (settings.operator_key_file, settings.log_key_file)
    return {path.name: path.read_bytes() for path in keys}


def test_a_new_ledger_begins_with_an_entry_that_names_its_log_and_key(settings: Settings) -> None:
    created = create_ledger(settings, ORIGIN)
    with open_ledger(settings) as ledger:
        assert (ledger.store.size(), ledger.origin, ledger.vkey) == (1, ORIGIN, created.vkey)


def test_a_new_ledger_tells_every_file_that_was_made(settings: Settings) -> None:
    made = create_ledger(settings, ORIGIN).made
    assert set(made) == {file_of(settings), settings.operator_key_file, settings.log_key_file}


def test_keys_are_their_owners_alone(settings: Settings) -> None:
    create_ledger(settings, ORIGIN)
    modes = [path.stat().st_mode & 0o777 for path in (settings.operator_key_file, settings.log_key_file)]
    assert modes == [0o600, 0o600]


def test_making_a_ledger_twice_replaces_nothing(settings: Settings) -> None:
    first = create_ledger(settings, ORIGIN)
    before = files_of(settings)
    again = create_ledger(settings)
    assert (again.is_new, again.vkey, again.made) == (False, first.vkey, ())
    assert files_of(settings) == before


def test_logs_without_a_name_get_different_ones(tmp_path: Path) -> None:
    origins = [create_ledger(load_settings({}, str(tmp_path / f"{n}.db"))).origin for n in range(2)]
    assert origins[0] != origins[1]
    assert all(origin.startswith("localhost/") for origin in origins)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "ä.example", 'a"b', "a\\b", "a\nb"])
def test_a_name_that_no_log_can_have_is_refused_before_anything_is_made(
    settings: Settings, origin: str
) -> None:
    with pytest.raises(UsageError, match="cannot name a log"):
        create_ledger(settings, origin)
    assert list(file_of(settings).parent.iterdir()) == []


def test_the_origin_of_a_ledger_never_changes(settings: Settings) -> None:
    create_ledger(settings, ORIGIN)
    with pytest.raises(UsageError, match="never changes"):
        create_ledger(settings, "other.example/log")


def test_a_run_that_died_before_entry_0_is_taken_up_with_the_keys_it_made(settings: Settings) -> None:
    with pytest.raises(Stopped):
        create_ledger(settings, ORIGIN, clock=Dead())
    before = files_of(settings)
    assert create_ledger(settings).origin == ORIGIN
    assert files_of(settings) == before


def test_a_key_of_another_log_is_not_taken_for_a_new_one(settings: Settings) -> None:
    with pytest.raises(Stopped):
        create_ledger(settings, ORIGIN, clock=Dead())
    with pytest.raises(UsageError, match="is of the log"):
        create_ledger(settings, "other.example/log")


@pytest.mark.parametrize("name", ["operator_key_file", "log_key_file"])
def test_a_lost_key_of_an_existing_ledger_is_not_made_anew(settings: Settings, name: str) -> None:
    create_ledger(settings, ORIGIN)
    path: Path = getattr(settings, name)
    path.unlink()
    with pytest.raises(SettingsError):
        create_ledger(settings)
    assert not path.exists()


def test_another_logs_key_signs_nothing(settings: Settings, tmp_path: Path) -> None:
    create_ledger(settings, ORIGIN)
    other = load_settings({}, str(tmp_path / "b.db"))
    create_ledger(other, ORIGIN)
    settings.log_key_file.write_bytes(other.log_key_file.read_bytes())
    with open_ledger(settings) as ledger, pytest.raises(SettingsError, match="was opened with"):
        ledger.sealer.seal()


def test_making_a_ledger_again_with_another_operators_key_is_refused(
    settings: Settings, tmp_path: Path
) -> None:
    create_ledger(settings, ORIGIN)
    with open_ledger(settings) as ledger:
        ledger.vault.subjects_of(["783214"])
    other = load_settings({"GRANTLEDGER_KEY": encode_base64(bytes(32))}, str(file_of(settings)))
    with pytest.raises(SettingsError, match="operator's key is not the one"):
        create_ledger(other)


def test_a_signed_log_whose_database_is_gone_is_not_begun_anew(settings: Settings) -> None:
    create_ledger(settings, ORIGIN)
    with open_ledger(settings) as ledger:
        ledger.sealer.seal()
    file_of(settings).unlink()
    with pytest.raises(ForkError, match="Put the database back"):
        create_ledger(settings)


def test_with_the_operators_key_in_the_environment_no_file_holds_it(
    settings: Settings, tmp_path: Path
) -> None:
    create_ledger(settings, ORIGIN)
    key = settings.operator_key_file.read_text().strip()
    with_key = load_settings({"GRANTLEDGER_KEY": key}, str(tmp_path / "b.db"))
    create_ledger(with_key, ORIGIN)
    assert not with_key.operator_key_file.exists()


def test_opening_makes_no_file_where_there_is_no_ledger(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="grantledger init"):
        open_ledger(settings)
    assert list(file_of(settings).parent.iterdir()) == []


def test_tables_without_entry_0_are_no_ledger(settings: Settings) -> None:
    upgrade(settings.database_url)
    with pytest.raises(SettingsError, match="never opened"):
        open_ledger(settings)


def test_an_entry_0_of_another_kind_is_no_ledger(settings: Settings) -> None:
    create_ledger(settings, ORIGIN)
    with open_ledger(settings) as ledger:
        draft = {"kind": "developer.registered", "developer": "d", "uid": "u", "actor": "a:b", "via": "file"}
        data = expect(ledger.sequencer.append(Draft(draft))).data
        with ledger.engine.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS entries_no_update")
            for name in connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall():
                connection.exec_driver_sql(f"DROP TRIGGER {name[0]}")
            connection.exec_driver_sql("UPDATE entries SET data = ? WHERE seq = 0", (data,))
    with pytest.raises(ForkError, match="not the beginning"):
        open_ledger(settings)


def test_the_migrations_lie_where_the_package_finds_them() -> None:
    assert (ROOT / "migrations" / "env.py").is_file()
