"""A served log verified from elsewhere, with the shipped command as a process and nothing but a URL, a key file and a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.api.callers import Caller
from tests.support.cli_process import Workplace
from tests.support.service_world import ServiceWorld

ACCOUNTS = 300


@dataclass
class Elsewhere:
    """A place that has the log's key, and an auditor's; the log is at ``url``."""

    place: Workplace
    url: str
    key: str
    size: int


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    with ServiceWorld(tmp_path_factory.mktemp("served")) as world:
        url = world.serve()
        key = Caller.new(world)._issuing.issue_key("auditor", "").text
        for number in range(ACCOUNTS):
            world.new_account(str(number))
        sealed = world.service.ledger.sealer.seal()
        place = Workplace(tmp_path_factory.mktemp("elsewhere"))
        (place.directory / "log.vkey").write_text(world.service.ledger.vkey)
        yield Elsewhere(place, url, key, sealed.checkpoint.size)


@pytest.mark.parametrize("engine", ["scalar", "duckdb"])
def test_a_served_log_is_verified_by_its_url_alone(elsewhere: Elsewhere, engine: str) -> None:
    done = elsewhere.place.run(
        "verify",
        *("--tiles", elsewhere.url, "--vkey", "log.vkey", "--engine", engine, "--no-remember", "--json"),
        settings={"GRANTLEDGER_API_KEY": elsewhere.key},
    )
    assert done.status == 0, done.err
    report = done.json()
    assert (report["tree_size"], report["findings"]) == (elsewhere.size, [])


def test_without_an_auditors_key_the_fix_is_told(elsewhere: Elsewhere) -> None:
    done = elsewhere.place.run("verify", "--tiles", elsewhere.url, "--vkey", "log.vkey", "--engine", "scalar")
    assert done.status == 3
    assert "GRANTLEDGER_API_KEY" in done.err


def test_another_logs_key_is_refused(elsewhere: Elsewhere, tmp_path: Path) -> None:
    from ledger.vault.ed25519 import from_seed

    other = from_seed("ledger.example/service", bytes(32))
    (tmp_path / "other.vkey").write_text(other.vkey())
    done = elsewhere.place.run(
        "verify",
        *("--tiles", elsewhere.url, "--vkey", str(tmp_path / "other.vkey"), "--api-key", elsewhere.key),
        *("--engine", "scalar", "--no-remember", "--json"),
    )
    assert done.status == 2
    assert done.json()["findings"][0]["code"] == "CHECKPOINT_SIGNATURE_INVALID"
