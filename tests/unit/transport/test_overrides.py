"""Hosts that a development setup puts on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import SettingsError
from ledger.transport.overrides import HostOverrides, Place


def test_one_line_names_several_hosts() -> None:
    made = HostOverrides.parse("a.example=127.0.0.1:8443, b.example=127.0.0.1:8444")
    assert made.places == {"a.example": Place("127.0.0.1", 8443), "b.example": Place("127.0.0.1", 8444)}


def test_a_file_names_one_a_line_with_comments(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# mine\n\na.example=127.0.0.1:8443  # the first\nb.example=[::1]:8444\n")
    assert HostOverrides.load(path).places == {
        "a.example": Place("127.0.0.1", 8443),
        "b.example": Place("::1", 8444),
    }


def test_a_file_that_is_not_there_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        HostOverrides.load(tmp_path / "hosts")


@pytest.mark.parametrize("text", ["", " \n\n", "# nothing", ","])
def test_nothing_named_is_no_override(text: str) -> None:
    assert HostOverrides.parse(text).places == {}


def test_a_port_left_out_is_443_and_names_are_compared_in_lower_case() -> None:
    made = HostOverrides.parse("A.Example.=127.0.0.2")
    assert made.find("a.example") == Place("127.0.0.2", 443)
    assert made.find("b.example") is None


@pytest.mark.parametrize(
    "text",
    [
        "a.example=10.0.0.1:8443",
        "a.example=93.184.215.14:443",
        "a.example=0.0.0.0:8443",
        "a.example=169.254.169.254:80",
        "a.example=[fe80::1]:8443",
        "a.example=[::ffff:10.0.0.1]:8443",
        "a.example=localhost:8443",
        "a.example=127.0.0.1:0",
        "a.example=127.0.0.1:65536",
        "a.example=127.0.0.1:",
        "a.example=127.0.0.1.5:8443",
        "a.example=::1",
        "a.example",
        "=127.0.0.1:8443",
        "*.example=127.0.0.1:8443",
        "a.example=127.0.0.1:8443,a.example=127.0.0.1:8444",
        "a.example=127.0.0.1:8443;b.example=127.0.0.1:8443",
    ],
)
def test_whatever_is_not_a_host_on_loopback_is_an_error_of_the_settings(text: str) -> None:
    with pytest.raises(SettingsError):
        HostOverrides.parse(text)
