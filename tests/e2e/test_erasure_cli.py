"""Erasure as an operator does it: dry run, request, approval, legal hold, what verifies afterwards, and a restore."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from ledger.cli.app import run
from tests.support.cli_process import ROOT, Done

RECORDS = ROOT / "docs" / "examples" / "records.jsonl"
PERSON, OTHER = "1001", "1002"


class Shop:
    """The command line in this process, in a directory of its own: there are many commands here, and each starts slowly."""

    def __init__(self, directory: Path, capture: pytest.CaptureFixture[bytes]) -> None:
        self.directory = directory
        self._capture = capture

    def run(self, *arguments: str) -> Done:
        self._capture.readouterr()
        status = run(arguments)
        said = self._capture.readouterr()
        return Done(status, said.out, said.err.decode())

    def good(self, *arguments: str) -> Done:
        done = self.run(*arguments)
        assert done.status == 0, done.err
        return done

    def drop_database(self) -> None:
        for name in ("", "-wal", "-shm", ".index", ".index-wal", ".index-shm"):
            (self.directory / f"grantledger.db{name}").unlink(missing_ok=True)


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Shop]:
    """A sealed and published ledger with the sample records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith("GRANTLEDGER_")]:
        monkeypatch.delenv(name)
    place = Shop(tmp_path, capfdbinary)
    place.good("init", "--origin", "ledger.example/prod")
    place.good("import", str(RECORDS))
    place.good("seal")
    (tmp_path / "log.vkey").write_text(place.good("log", "vkey").text)
    yield place
    # The command set up the log of this process, to a stream that ends with the test.
    structlog.reset_defaults()


def tag_of(shop: Shop, account: str) -> str:
    tag = shop.good("history", account, "--json").json()["account"]
    assert isinstance(tag, str)
    return tag


def ask(shop: Shop, account: str = PERSON) -> str:
    made = shop.good("erase", "request", account, "--basis", "request", "--by", "ada", "--json").json()
    return str(made["erasure"])


def approve(shop: Shop, erasure: str) -> dict[str, Any]:
    return shop.good("erase", "approve", erasure, "--by", "grace", "--json").json()


def verdicts(shop: Shop, engine: str) -> dict[str, Any]:
    done = shop.run("verify", "--engine", engine, "--json", "--identities")
    return {"status": done.status, **done.json()}


def told(finding: dict[str, Any]) -> tuple[Any, ...]:
    """What a finding says, whatever the size of the tree that it was made of."""
    return tuple(
        finding.get(name) for name in ("delivery", "attempt", "code", "codes", "severity", "verdict")
    )


def test_the_dry_run_says_what_goes_and_what_stays_and_changes_nothing(shop: Shop) -> None:
    before = shop.good("status", "--json").json()
    shown = shop.good("erase", PERSON, "--json").json()
    assert shown == shop.good("erase", "plan", PERSON, "--json").json()
    assert (shown["is_known"], shown["holds"], shown["erased_by_entry"]) == (True, [], None)
    assert any("the log's entries" in line for line in shown["stays"])
    assert shop.good("status", "--json").json() == before


def test_the_same_person_cannot_ask_and_approve(shop: Shop) -> None:
    done = shop.run("erase", "approve", ask(shop), "--by", "ada")
    assert done.status == 3
    assert "another person has to approve it" in done.err


def test_afterwards_chain_verdicts_and_proofs_verify_and_the_history_says_that_it_is_erased(
    shop: Shop,
) -> None:
    tag = tag_of(shop, PERSON)
    files = prove_before(shop, tag)
    before = {engine: verdicts(shop, engine) for engine in ("scalar", "duckdb")}
    approve(shop, ask(shop))
    for engine, was in before.items():
        now = verdicts(shop, engine)
        assert {name: now[name] for name in ("status", "counts", "codes")} == {
            name: was[name] for name in ("status", "counts", "codes")
        }
        assert list(map(told, now["findings"])) == list(map(told, was["findings"]))
        assert any(note.startswith("1 tags have no vault row (erased") for note in now["notes"])
    for file in files:
        assert shop.good("check", file, "--vkey", "log.vkey", "--json").json()["proven"] is True, file
    assert PERSON in (shop.directory / files[0]).read_text()
    shop.good("export", "verify", "opened", "--vkey", "log.vkey")
    shop.good("export", "open", "handed.sealed", "--key", "dpc.key", "-o", "again", "--vkey", "log.vkey")
    assert f'"value":"{PERSON}"' in (shop.directory / "again/data/openings/openings.jsonl").read_text()
    for arguments in (("account", OTHER), ("account", tag), ("developer", "dev-a")):
        shop.good("prove", *arguments, "-o", "after.json")
        assert shop.good("check", "after.json", "--vkey", "log.vkey", "--json").json()["proven"] is True
    history = shop.good("history", tag, "--json").json()
    assert history["shows"][0].startswith(f"ERASED: entry {history['erased_by_entry']}")
    refused = shop.run("history", PERSON)
    assert (refused.status, "was erased" in refused.err) == (3, True)


def prove_before(shop: Shop, tag: str) -> list[str]:
    """Proofs and a sealed export from before; the proofs' files, the first of which opens who the person is."""
    asked = {
        "account.json": ("account", PERSON, "--openings"),
        "page.json": ("account", PERSON, "--first", "0", "--count", "1"),
        "pair.json": ("pair", PERSON, "dev-a"),
        "subject.json": ("subject", OTHER),
        "developer.json": ("developer", "dev-a"),
        "entry.tlog-proof": ("entry", "5"),
    }
    for file, arguments in asked.items():
        shop.good("prove", *arguments, "-o", file)
    public = shop.good("export", "keygen", "dpc.key", "--json").json()["public_key"]
    (shop.directory / "dpc.pub").write_text(public + "\n")
    said = ("--for", "DPC", "--case", "1", "--basis", "Art. 58", "--by", "operator:ada", "--to", "dpc.pub")
    shop.good("export", "create", "--id", "x-1", "--account", tag, "--open", "identities", *said)
    shop.good("export", "approve", "x-1", "--by", "operator:grace")
    shop.good("export", "seal", "x-1", "--by", "operator:ada")
    shop.good("export", "download", "x-1", "--out", "handed.sealed", "--by", "regulator:dpc")
    shop.good("export", "open", "handed.sealed", "--key", "dpc.key", "-o", "opened", "--vkey", "log.vkey")
    return list(asked)


def test_what_a_person_wrote_is_shown_to_whoever_decides(shop: Shop) -> None:
    asked = ("erase", "request", PERSON, "--basis", "request", "--by", "ada", "--words", "please", "--json")
    erasure = shop.good(*asked).json()["erasure"]
    shown = shop.good("erase", "show", erasure, "--json").json()
    assert (shown["words"], shown["state"], shown["holds"]) == ("please", "requested", [])
    approve(shop, erasure)
    assert shop.good("erase", "show", erasure, "--json").json()["words"] is None
    assert shop.run("erase", "show", "er-none").status == 3


def test_a_rule_has_to_be_set_before_anybody_is_erased_by_it(shop: Shop) -> None:
    asked = ("erase", "request", PERSON, "--basis", "retention", "--by", "ada", "--policy")
    refused = shop.run(*asked, "retention.deleted_accounts")
    assert (refused.status, "grantledger policy set" in refused.err) == (3, True)
    mistyped = shop.run("policy", "set", "retention.payloads", "90d")
    assert (mistyped.status, "retention.events" in mistyped.err) == (3, True)
    shop.good("policy", "set", "retention.deleted_accounts", "90d")
    shop.good(*asked, "retention.deleted_accounts")


def test_an_import_with_the_erased_id_is_rejected_by_line_and_reason_and_the_rest_goes_in(
    shop: Shop,
) -> None:
    approve(shop, ask(shop))
    record = {
        "kind": "grant.issued",
        "grant": "g-again",
        "account": PERSON,
        "developer": "dev-a",
        "app": "app-a1",
        "environment": "prod",
        "scopes": ["posts"],
        "at": "2018-02-01T00:00:00Z",
    }
    lines = [record | {"grant": "g-fine", "account": "4711"}, record]
    (shop.directory / "more.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = shop.run("import", "more.jsonl", "--json")
    assert done.json()["rejected"] == 1
    assert "2" in done.err + done.text
    assert "the record names a person who was erased" in done.err + done.text


def test_an_account_under_hold_is_not_erased_and_the_hold_is_named(shop: Shop) -> None:
    placed = shop.good("hold", "place", "--account", PERSON, "--for", "case 17", "--by", "ada", "--json")
    hold = placed.json()["hold"]
    asked = shop.good("erase", "request", PERSON, "--basis", "request", "--by", "ada", "--json").json()
    assert hold in asked["held"]
    done = shop.run("erase", "approve", asked["erasure"], "--by", "grace")
    assert done.status == 3
    assert hold in done.err
    assert f"grantledger hold lift {hold}" in done.err
    assert shop.good("erase", PERSON, "--json").json()["holds"] == [hold]
    shop.good("hold", "lift", hold, "--by", "ada")
    assert approve(shop, asked["erasure"])["state"] == "clean"
    shown = shop.good("hold", "list", "--json").json()["holds"]
    assert [(one["stands"], one["for"]) for one in shown] == [(False, "case 17")]


@pytest.fixture
def backed_up(shop: Shop) -> Shop:
    """The ledger put back from a copy that is older than the erasure; the published log has it."""
    names = [name for name in ("grantledger.db", "grantledger.db.index") if (shop.directory / name).exists()]
    for name in names:
        shutil.copy(shop.directory / name, shop.directory / f"{name}.backup")
    late = [
        {
            "kind": "grant.issued",
            "grant": "g-late",
            "account": "90210",
            "developer": "dev-a",
            "app": "app-a1",
            "environment": "prod",
            "scopes": ["posts"],
            "at": "2018-02-01T00:00:00Z",
        }
    ]
    (shop.directory / "late.jsonl").write_text("".join(json.dumps(line) + "\n" for line in late))
    shop.good("import", "late.jsonl")
    for account in (PERSON, "90210"):
        approve(shop, ask(shop, account))
    shop.good("hold", "place", "--account", OTHER, "--id", "h-late", "--by", "ada")
    shop.good("seal")
    shop.good("log", "publish", "public")
    shop.drop_database()
    for name in names:
        shutil.copy(shop.directory / f"{name}.backup", shop.directory / name)
    return shop


def test_a_restored_backup_does_not_serve_before_the_erasures_were_replayed(backed_up: Shop) -> None:
    done = backed_up.run("serve", "--listen", "127.0.0.1:1")
    assert done.status == 3
    assert "grantledger restore --log" in done.err
    assert backed_up.good("erase", PERSON, "--json").json()["is_known"] is True

    shown = backed_up.good("restore", "--log", "public", "--json").json()
    assert shown["erased_again"] == 1
    assert shown["appended"] > 0
    refused = backed_up.run("erase", PERSON)
    assert (refused.status, "was erased" in refused.err) == (3, True)
    # Registered and erased behind the backup, so the vault never knew the id: its mark lies outside the database.
    assert "erased" in backed_up.run("account", "create", "90210").err
    assert backed_up.good("hold", "list", "--json").json()["holds"][0]["hold"] == "h-late"
    done = backed_up.run("verify", "--engine", "scalar", "--json", "--identities")
    assert [one for one in done.json()["findings"] if one["severity"] == "I"] == []
    assert backed_up.good("restore", "--log", "public", "--json").json()["appended"] == 0


def test_a_restore_refuses_a_log_that_is_older_than_what_was_signed(backed_up: Shop) -> None:
    public = backed_up.directory / "public"
    shutil.copytree(public, backed_up.directory / "older")
    backed_up.good("restore", "--log", "public")
    backed_up.good("account", "create", "555")
    backed_up.good("seal")
    backed_up.drop_database()
    shutil.copy(backed_up.directory / "grantledger.db.backup", backed_up.directory / "grantledger.db")
    done = backed_up.run("restore", "--log", "older")
    assert done.status == 3
    assert "newer" in done.err


def test_a_restore_refuses_another_log_and_appends_nothing(backed_up: Shop) -> None:
    bundles = sorted((backed_up.directory / "public" / "tile" / "entries").rglob("*"))
    bundle = next(path for path in bundles if path.is_file())
    data = bundle.read_bytes()
    # The last entry with one character of it changed.
    place = data.rindex(b'"recorded_at":') + len(b'"recorded_at":')
    bundle.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    size = backed_up.good("status", "--json").json()
    done = backed_up.run("restore", "--log", "public")
    assert done.status == 2, done.err
    assert "nothing was appended" in done.err
    assert backed_up.good("status", "--json").json() == size
