"""Addresses of databases: which are taken, and that none is shown with its password."""

from __future__ import annotations

import pytest

from ledger.errors import SettingsError
from ledger.store.address import is_server, parse_address, show_address


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_server_may_be_named_in_every_usual_way(scheme: str) -> None:
    url = parse_address(f"{scheme}://owner@db.example:5433/ledger?sslmode=verify-full")
    assert (url.drivername, url.username, url.host, url.port, url.database, url.query["sslmode"]) == (
        "postgresql+psycopg",
        "owner",
        "db.example",
        5433,
        "ledger",
        "verify-full",
    )


def test_a_file_is_no_server() -> None:
    assert [is_server(parse_address(text)) for text in ("sqlite:///a.db", "postgresql:///a")] == [False, True]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://u:hidden@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u@h/db?password=hidden", "postgresql://u:***@h/db"),
        ("postgresql:///db?host=/run/pg&sslpassword=hidden", "postgresql:///db?host=/run/pg&sslpassword=***"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_an_address_is_shown_without_its_password(text: str, shown: str) -> None:
    assert show_address(parse_address(text)) == shown


def test_the_password_of_the_url_counts_more_than_that_of_its_options() -> None:
    assert parse_address("postgresql://u:one@h/db?password=two").password == "one"


@pytest.mark.parametrize(
    "text",
    [
        "ledger.db",
        "",
        "oracle://u:hidden@h/db",
        "postgresql+asyncpg://u:hidden@h/db",
        "postgresql://u:hid@den@h:port/db",
        "postgresql:/u:hidden@h/db",
        "u:hidden@h/db",
    ],
)
def test_what_cannot_be_used_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_address(text)
    assert "hid" not in str(refused.value)
