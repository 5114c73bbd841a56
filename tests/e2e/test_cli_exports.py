"""``export``, ``table`` and ``stream`` as their users run them: two people, a recipient without the project, a killed run."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_process import ROOT, Workplace

RECORDS = ROOT / "docs" / "examples" / "records.jsonl"
ASKED = ("--for", "DPC", "--case", "2018-7", "--basis", "GDPR Art. 58", "--by", "operator:maria")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A sealed ledger with the sample records, its key in log.vkey, a recipient's key pair."""
    made = Workplace(tmp_path_factory.mktemp("exports"))
    made.good("init", "--origin", "ledger.example/prod")
    made.good("import", str(RECORDS))
    made.good("seal")
    (made.directory / "log.vkey").write_text(made.good("log", "vkey").text)
    public = made.good("export", "keygen", "dpc.key", "--json").json()["public_key"]
    (made.directory / "dpc.pub").write_text(public + "\n")
    return made


def test_a_sealed_export_reaches_its_recipient_who_checks_it_offline(place: Workplace) -> None:
    made = place.good(
        "export", "create", "--account", "1001", "--open", "identities", "--to", "dpc.pub", *ASKED, "--json"
    ).json()
    name = made["export"]
    refused = place.run("export", "approve", name, "--by", "operator:maria")
    assert (refused.status, "second person" in refused.err) == (3, True)
    place.good("export", "approve", name, "--by", "operator:jonas")
    place.good("export", "seal", name, "--by", "operator:maria")
    place.good("export", "download", name, "--out", "dpc.sealed", "--by", "regulator:dpc")
    opened = place.good(
        "export", "open", "dpc.sealed", "--key", "dpc.key", "-o", "opened", "--vkey", "log.vkey", "--json"
    )
    assert opened.json()["export"] == name
    assert place.good("export", "verify", "opened", "--vkey", "log.vkey", "--json").json()["trusted"] is True
    vkey = (place.directory / "log.vkey").read_text().strip()
    words = [sys.executable, "-I", "-S", "opened/data/verify/verify.py", "opened", "--vkey", vkey]
    done = subprocess.run(
        words, cwd=place.directory, env={}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr, done.stdout.startswith("PROVEN\n")) == (0, "", True)
    assert place.good("export", "show", name, "--json").json()["state"] == "sealed"


def test_another_key_opens_nothing_and_is_told_so(place: Workplace) -> None:
    place.good("export", "keygen", "other.key")
    place.good("export", "create", "--id", "x-other", "--to", "dpc.pub", *ASKED)
    place.good("export", "approve", "x-other", "--by", "operator:jonas")
    sealed = place.good("export", "seal", "x-other", "--by", "operator:maria", "--json").json()["file"]
    done = place.run("export", "open", sealed, "--key", "other.key", "-o", "nothing")
    assert (done.status, "not sealed for your key" in done.err) == (3, True)
    assert not (place.directory / "nothing").exists()


def test_a_run_killed_while_writing_leaves_nothing_half_and_the_same_command_makes_it(
    place: Workplace,
) -> None:
    code = (
        "import os, signal\n"
        "from ledger.exports.making import BagMaker\n"
        "BagMaker._add_help = lambda self: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from ledger.cli.app import main; main()\n"
    )
    arguments = ["export", "create", "--id", "x-killed", "--to", "dpc.pub", *ASKED]
    killed = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=place.directory,
        env={**place.environment(), "PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    names = [path.name for path in (place.directory / "grantledger.db.exports").iterdir()]
    assert "x-killed" not in names
    assert ".x-killed.making" in names
    assert "x-killed" not in place.good("export", "list").text
    place.good(*arguments)
    place.good("export", "approve", "x-killed", "--by", "operator:jonas")
    assert ".x-killed.making" not in [
        path.name for path in (place.directory / "grantledger.db.exports").iterdir()
    ]


def test_an_edited_export_is_refused_at_the_seal_and_by_verify(place: Workplace) -> None:
    bag = Path(
        place.good("export", "create", "--id", "x-edited", "--to", "dpc.pub", *ASKED, "--json").json()["bag"]
    )
    place.good("export", "approve", "x-edited", "--by", "operator:jonas")
    target = place.directory / bag / "data" / "ledger" / "entries.jsonl"
    target.write_bytes(target.read_bytes().replace(b"dev-a", b"dev-q"))
    assert place.run("export", "seal", "x-edited", "--by", "operator:maria").status == 2
    assert place.run("export", "verify", str(bag)).status == 2


def test_a_table_of_what_is_asked_for(place: Workplace) -> None:
    out = place.good("table", "--kind", "grant.issued", "--kind", "grant.revoked").text
    kinds = [row["kind"] for row in csv.DictReader(io.StringIO(out, newline=""))]
    assert set(kinds) == {"grant.issued", "grant.revoked"}
    told = place.good("table", "--format", "parquet", "-o", "all.parquet", "--json").json()
    assert told["rows"] > len(kinds)
    assert (place.directory / "all.parquet").read_bytes()[:4] == b"PAR1"


def test_a_look_at_an_account_by_a_table_is_recorded(place: Workplace) -> None:
    before = place.good("table", "--format", "jsonl", "--kind", "access.viewed").out.count(b"\n")
    lines = place.good("table", "--format", "jsonl", "--account", "1001").out.splitlines()
    assert lines
    assert place.good("table", "--format", "jsonl", "--kind", "access.viewed").out.count(b"\n") == before + 1


def test_a_stream_with_a_cursor_goes_on_where_it_ended(place: Workplace) -> None:
    first = place.good("stream", "--format", "ocsf", "--cursor", "siem.cursor").out.splitlines()
    assert [json.loads(line)["metadata"]["sequence"] for line in first] == list(range(len(first)))
    assert place.good("stream", "--format", "ocsf", "--cursor", "siem.cursor").out == b""
    place.good("table", "--format", "jsonl", "--developer", "dev-a")
    new = place.good("stream", "--format", "ocsf", "--cursor", "siem.cursor").out.splitlines()
    assert [json.loads(line)["metadata"]["sequence"] for line in new] == [len(first)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "create", "--account", "nobody", *ASKED),
        ("export", "create", "--to", "x25519:00", *ASKED),
        ("export", "create", "--kind", "no.kind", *ASKED),
        ("export", "create", "--at-from", "yesterday", *ASKED),
        ("export", "approve", "x-none", "--by", "operator:jonas"),
        ("export", "approve", "x-none", "--by", "jonas"),
        ("export", "open", "missing", "--key", "dpc.key", "-o", "x"),
        ("export", "verify", "missing"),
        ("table", "--format", "xls"),
        ("table", "--format", "parquet"),
        ("stream", "--format", "cef"),
    ],
)
def test_bad_usage_ends_with_3_and_names_the_fix(place: Workplace, arguments: tuple[str, ...]) -> None:
    done = place.run(*arguments)
    assert (done.status, done.out) == (3, b"")
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
