"""``prove``, ``check``, ``verify-script`` and ``history`` as a new user runs them, and verify.py where nothing else is."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_process import ROOT, Workplace

RECORDS = ROOT / "docs" / "examples" / "records.jsonl"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A sealed ledger with the sample records, its key in log.vkey and verify.py in a directory of its own."""
    place = Workplace(tmp_path_factory.mktemp("proofs"))
    place.good("init", "--origin", "ledger.example/prod")
    place.good("import", str(RECORDS))
    place.good("seal")
    (place.directory / "log.vkey").write_text(place.good("log", "vkey").text)
    (place.directory / "alone").mkdir()
    place.good("verify-script", "-o", "alone/verify.py")
    return place


def check_alone(shop: Workplace, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """verify.py over the file ``name``, in an empty directory, without this project and its packages."""
    alone = shop.directory / "alone"
    (alone / name).write_bytes((shop.directory / name).read_bytes())
    vkey = (shop.directory / "log.vkey").read_text().strip()
    words = [sys.executable, "-I", "-S", "verify.py", name, "--vkey", vkey, *arguments]
    return subprocess.run(words, cwd=alone, env={}, capture_output=True, text=True, timeout=60, check=False)


PROOFS = {
    "account.json": ("account", "1001"),
    "opened.json": ("account", "1001", "--openings"),
    "page.json": ("account", "1001", "--first", "1", "--count", "2"),
    "last.json": ("account", "1001", "--last", "2"),
    "subject.json": ("subject", "1001"),
    "developer.json": ("developer", "dev-a"),
    "nobody.json": ("developer", "dev-nobody"),
    "pair.json": ("pair", "1001", "dev-b"),
    "absent.json": ("pair", "1001", "dev-nobody"),
    "grown.json": ("consistency", "5"),
    "entry.tlog-proof": ("entry", "14"),
}


@pytest.mark.parametrize("name", list(PROOFS))
def test_what_prove_makes_is_proven_to_a_machine_without_the_project(shop: Workplace, name: str) -> None:
    shop.good("prove", *PROOFS[name], "-o", name)
    assert shop.good("check", name, "--vkey", "log.vkey", "--json").json()["proven"] is True
    done = check_alone(shop, name)
    assert (done.returncode, done.stdout.partition("\n")[0]) == (0, "PROVEN"), done.stdout + done.stderr


def test_a_changed_bundle_is_refused_by_both(shop: Workplace) -> None:
    data = shop.good("prove", "account", "1001", "-o", "-").out
    (shop.directory / "bad.json").write_bytes(data.replace(b'status\\":200', b'status\\":500', 1))
    done = shop.run("check", "bad.json", "--vkey", "log.vkey")
    assert (done.status, done.out) == (2, b"")
    assert "NOT PROVEN: INDEX_OMISSION" in done.err
    assert shop.run("check", "bad.json", "--vkey", "log.vkey", "--json").json()["code"] == "INDEX_OMISSION"
    alone = check_alone(shop, "bad.json")
    assert (alone.returncode, alone.stdout.split(":")[1].strip()) == (1, "INDEX_OMISSION")


def test_without_a_key_a_bundle_is_only_self_consistent_and_that_is_said(shop: Workplace) -> None:
    shop.good("prove", "account", "1001", "-o", "own.json")
    done = shop.good("check", "own.json")
    assert "NOT checked against a trusted key" in done.text
    assert "only that the file agrees with itself" in done.err


def test_absence_is_said_in_words(shop: Workplace) -> None:
    shop.good("prove", "pair", "1001", "dev-nobody", "-o", "absent.json")
    assert "nothing is recorded about that" in shop.good("check", "absent.json", "--vkey", "log.vkey").text


def test_a_bundle_has_to_be_about_the_key_that_was_asked_for(shop: Workplace) -> None:
    shop.good("prove", "developer", "dev-a", "-o", "dev.json")
    done = shop.run("check", "dev.json", "--vkey", "log.vkey", "--key", "dev:dev-b")
    assert (done.status, "OTHER_KEY" in done.err) == (2, True)


def test_what_is_new_since_an_earlier_bundle_is_told(shop: Workplace) -> None:
    shop.good("prove", "developer", "dev-b", "-o", "before.json")
    record = b'{"kind":"developer.suspended","developer":"dev-b","at":"2018-09-01T00:00:00Z"}\n'
    shop.good("import", "-", stdin=record)
    shop.good("seal")
    before = json.loads((shop.directory / "before.json").read_bytes())["row"]["count"]
    shop.good("prove", "developer", "dev-b", "--first", str(before), "-o", "after.json")
    told = shop.good("check", "after.json", "--vkey", "log.vkey", "--since", "before.json", "--json").json()
    assert told["new"] == 1
    stale = shop.run("check", "before.json", "--vkey", "log.vkey", "--since", "after.json")
    assert (stale.status, "CHECKPOINT_STALE" in stale.err) == (2, True)


def test_growth_since_a_kept_checkpoint_is_proven_by_two_signatures(shop: Workplace) -> None:
    (shop.directory / "kept.checkpoint").write_bytes(shop.good("log", "checkpoint").out)
    shop.good("history", "1001")
    shop.good("seal")
    shop.good("prove", "consistency", "kept.checkpoint", "-o", "since.json")
    told = shop.good("check", "since.json", "--vkey", "log.vkey", "--json").json()
    assert (told["kind"], told["old_signed"]) == ("consistency", True)


def test_a_policy_whose_quorum_is_missing_is_refused(shop: Workplace) -> None:
    from ledger.vault.cosignatures import cosigner_from_seed

    vkey = cosigner_from_seed("w1.example", bytes(32)).vkey()
    (shop.directory / "witnesses.policy").write_text(f"witness w1 {vkey}\nquorum w1\n")
    shop.good("prove", "account", "1001", "-o", "own.json")
    done = shop.run("check", "own.json", "--vkey", "log.vkey", "--policy", "witnesses.policy")
    assert (done.status, "QUORUM_MISSING" in done.err) == (2, True)
    assert check_alone(shop, "own.json", "--cosigner", vkey).returncode == 1


@pytest.mark.parametrize(
    "words",
    [
        ("prove", "account", "999", "-o", "x.json"),
        ("prove", "account", "1001", "--first", "99", "-o", "x.json"),
        ("prove", "account", "1001", "--last", "2", "--first", "1", "-o", "x.json"),
        ("prove", "entry", "99999", "-o", "x.json"),
        ("prove", "consistency", "99999", "-o", "x.json"),
        ("prove", "consistency", "no-such-file", "-o", "x.json"),
        ("prove", "account", "1001", "-o", "grantledger.db"),
        ("check", "no-such-file"),
        ("check", "log.vkey", "--policy", "log.vkey", "--vkey", "no key"),
        ("history", "999"),
        ("history", "1001", "--csv", "--json"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(shop: Workplace, words: tuple[str, ...]) -> None:
    done = shop.run(*words)
    assert (done.status in (2, 3), done.out) == (True, b"")
    assert done.err.startswith("error: ")


def test_history_shows_apps_deliveries_and_that_none_is_left_out(shop: Workplace) -> None:
    told = shop.good("history", "1001", "--json").json()
    assert [one["verdict"] for one in told["deliveries"]] == ["AUTHORIZED", "UNAUTHORIZED", "UNAUTHORIZED"]
    assert [one["code"] for one in told["deliveries"]] == [
        None,
        "WRONG_DEVELOPER",
        "DELIVERED_AFTER_REVOCATION",
    ]
    (app,) = told["apps"]
    assert (app["app"], app["has_access"], app["last_used_at"]) == (
        "app-a",
        False,
        "2017-06-01T12:00:00.000Z",
    )
    assert app["data"][0].startswith("your posts")
    assert told["shown"] == told["count"]
    text = shop.good("history", "1001").text
    assert "WRONG_DEVELOPER" in text
    assert "all of them are taken into account here" in text


def test_history_gives_the_verdicts_of_verify(shop: Workplace) -> None:
    found = shop.run("verify", "--json").json()["findings"]
    of_verify = {(one["delivery"], one["code"]) for one in found if one.get("delivery")}
    told = shop.good("history", "1001", "--json").json()["deliveries"]
    of_history = {(one["delivery"], one["code"]) for one in told if one["code"]}
    assert of_history
    assert of_history <= of_verify


def test_every_look_is_recorded_before_it_is_shown(shop: Workplace) -> None:
    before = shop.good("status", "--json").json()
    told = shop.good("history", "1001", "--json", "--purpose", "ticket-7").json()
    size = max(value for name, value in before.items() if name in ("entries", "tree_size", "size") and value)
    seen = json.loads(shop.good("show", str(size), "--raw").out)
    assert (seen["kind"], seen["actor"], seen["purpose"]) == ("access.viewed", "operator:cli", "ticket-7")
    assert seen["account"] == told["account"]


def last_entry(shop: Workplace) -> dict[str, object]:
    """The newest entry of the log."""
    seen: dict[str, object] = json.loads(
        shop.good("show", str(shop.good("status", "--json").json()["size"] - 1), "--raw").out
    )
    return seen


@pytest.mark.parametrize("words", [("account", "1001"), ("subject", "1001"), ("pair", "1001", "dev-nobody")])
def test_who_proves_what_is_recorded_about_somebody_has_looked_and_that_is_recorded_but_not_proven(
    shop: Workplace, words: tuple[str, ...]
) -> None:
    before = shop.good("status", "--json").json()["size"]
    shop.good("prove", *words, "-o", "looked.json", "--purpose", "ticket-8")
    assert shop.good("status", "--json").json()["size"] == before + 1
    bundle = json.loads((shop.directory / "looked.json").read_bytes())
    seen = last_entry(shop)
    assert (seen["kind"], seen["actor"], seen["purpose"]) == ("access.viewed", "operator:cli", "ticket-8")
    assert seen["account"] in bundle["key"]
    assert str(seen["uid"]) not in json.dumps(bundle)


@pytest.mark.parametrize(
    "words", [("developer", "dev-a"), ("entry", "3"), ("consistency", "5"), ("account", f"a_{1:032x}")]
)
def test_what_is_not_about_somebody_is_no_look(shop: Workplace, words: tuple[str, ...]) -> None:
    before = shop.good("status", "--json").json()["size"]
    shop.good("prove", *words, "-o", "seen.json")
    assert shop.good("status", "--json").json()["size"] == before


def test_a_tag_that_nobody_has_is_not_used_by_a_look(shop: Workplace) -> None:
    before = shop.good("status", "--json").json()["size"]
    done = shop.run("history", f"a_{1:032x}")
    assert (done.status, "nobody here has the tag" in done.err) == (3, True)
    assert shop.good("status", "--json").json()["size"] == before


def test_history_is_a_table_for_spreadsheets_and_a_page_for_people(shop: Workplace) -> None:
    rows = list(csv.DictReader(io.StringIO(shop.good("history", "1001", "--csv").text, newline="")))
    assert [row["verdict"] for row in rows] == ["AUTHORIZED", "UNAUTHORIZED", "UNAUTHORIZED"]
    shop.good("history", "1001", "--html", "history.html")
    page = Path(shop.directory / "history.html").read_text("utf-8")
    assert "2 deliveries reached somebody without a valid permission" in page
    assert "<script" not in page
