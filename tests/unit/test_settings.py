"""Settings: where a ledger and its secrets are, from the environment alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import SettingsError
from ledger.settings import load_settings


def test_without_any_setting_the_database_lies_in_the_working_directory() -> None:
    settings = load_settings({})
    assert (settings.database_url, settings.database_file) == (
        "sqlite:///grantledger.db",
        Path("grantledger.db"),
    )


def test_keys_and_record_lie_beside_the_database() -> None:
    settings = load_settings({}, "/srv/prod.db")
    assert settings.operator_key_file == Path("/srv/prod.db.keys/operator.key")
    assert settings.log_key_file == Path("/srv/prod.db.keys/log.key")
    assert settings.checkpoint_file == Path("/srv/prod.db.checkpoint")


@pytest.mark.parametrize(
    "text", ["/srv/prod.db", "sqlite:////srv/prod.db", "sqlite+pysqlite:////srv/prod.db"]
)
def test_a_database_may_be_a_path_or_a_url(text: str) -> None:
    assert load_settings({"GRANTLEDGER_DB": text}).database_file == Path("/srv/prod.db")


def test_the_option_goes_before_the_environment() -> None:
    assert load_settings({"GRANTLEDGER_DB": "a.db"}, "b.db").database_file == Path("b.db")


def test_an_empty_variable_counts_as_left_out() -> None:
    empty = dict.fromkeys(
        ("GRANTLEDGER_DB", "GRANTLEDGER_KEY", "GRANTLEDGER_KEY_FILE", "GRANTLEDGER_STATE_DIR"), ""
    )
    assert load_settings(empty) == load_settings({})


def test_every_place_can_be_set() -> None:
    names = ("KEY_FILE", "LOG_KEY_FILE", "CHECKPOINT_FILE", "STATE_DIR")
    settings = load_settings({f"GRANTLEDGER_{name}": f"/etc/{name}" for name in names})
    places = (
        settings.operator_key_file,
        settings.log_key_file,
        settings.checkpoint_file,
        settings.state_directory,
    )
    assert places == tuple(Path("/etc") / name for name in names)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:x?uri=true",
        "sqlite:///dir/",
        ".",
        "a?b.db",
        "sqlite+aiosqlite:///a.db",
        "sqlite:///a.db?timeout=soon",
    ],
)
def test_a_database_that_is_no_file_or_needs_another_driver_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        load_settings({}, text)


def test_keys_and_record_of_a_servers_database_lie_in_the_working_directory_under_its_name() -> None:
    settings = load_settings({}, "postgresql://owner@db.example/ledger")
    assert settings.database_file is None
    assert settings.operator_key_file == Path("ledger.keys/operator.key")
    assert settings.log_key_file == Path("ledger.keys/log.key")
    assert settings.checkpoint_file == Path("ledger.checkpoint")


def test_every_place_of_a_servers_database_can_be_set() -> None:
    settings = load_settings(
        {"GRANTLEDGER_DB": "postgresql:///ledger", "GRANTLEDGER_LOG_KEY_FILE": "/etc/log.key"}
    )
    assert settings.log_key_file == Path("/etc/log.key")


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:hidden@h/db",
        "postgres://u@h/db?password=hidden",
        "postgresql:///db?sslpassword=hidden",
    ],
)
def test_a_servers_password_is_in_the_url_alone_and_never_shown(text: str) -> None:
    settings = load_settings({}, text)
    assert "hidden" in settings.database_url
    assert "hidden" not in settings.database + repr(settings)


def test_options_of_a_servers_url_are_kept() -> None:
    url = "postgresql://u@h:5433/db?sslmode=verify-full&sslrootcert=/etc/ca.pem"
    settings = load_settings({}, url)
    assert "sslmode=verify-full" in settings.database_url
    assert settings.database == url


def test_a_database_is_named_to_people_as_they_named_it() -> None:
    shown = [load_settings({}, text).database for text in ("/srv/a.db", "sqlite:///b.db", "postgres://u@h/c")]
    assert shown == ["/srv/a.db", "b.db", "postgresql://u@h/c"]


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:hidden@host",
        "postgresql://user:hidden@host/",
        "postgresql://user:hidden@host/a/b",
        "postgresql://user:hidden@host/..",
        "postgresql://user:hi@dden@host:x/db",
        "postgresql+asyncpg://user:hidden@host/db",
        "mysql://user:hidden@host/db",
    ],
)
def test_the_refusal_of_a_servers_database_repeats_no_password(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({}, text)
    assert "dden" not in str(refused.value)


def test_two_places_for_the_operators_key_are_refused() -> None:
    with pytest.raises(SettingsError, match="unset one"):
        load_settings({"GRANTLEDGER_KEY": "x", "GRANTLEDGER_KEY_FILE": "y"})


def test_settings_never_show_the_key() -> None:
    assert "c2VjcmV0" not in repr(load_settings({"GRANTLEDGER_KEY": "c2VjcmV0"}))
