"""What goes wrong with exports, as users meet it: formulas, names that lead elsewhere, edits, keys, ids, torn streams."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fcntl import ioctl
from pathlib import Path
from struct import unpack
from termios import FIONREAD

import pytest

from tests.support.cli_process import ROOT, Workplace, command
from tests.support.export_world import relist
from tests.support.hostile_exports import seal_hostile

RECORDS = ROOT / "docs" / "examples" / "records.jsonl"
ASKED = ("--for", "DPC", "--case", "2018-7", "--basis", "GDPR Art. 58", "--by", "operator:maria")
FORMULA = "=HYPERLINK(concat(A1;-2+3),@x)"
HOSTILE = {
    "kind": "delivery.imported", "delivery": "-2-3", "event": "e-9", "event_type": "direct_message_events",
    "account": "1001", "subjects": ["5550001"], "private": True, "endpoint": "wh-1", "attempt": 1,
    "started_at": "2017-06-01T12:00:00.000Z", "worker": "-w1", "status": 200, "disclosure": "confirmed",
    "observed": {"host": "a.example", "sni": "a.example", "port": 443, "path": f"/x?;{FORMULA}"},
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A sealed ledger with the sample records and a hostile one, its key in log.vkey, and a recipient's key pair."""
    made = Workplace(tmp_path_factory.mktemp("hostile"))
    (made.directory / "hostile.jsonl").write_text(json.dumps(HOSTILE) + "\n")
    made.good("init", "--origin", "ledger.example/prod")
    made.good("import", str(RECORDS))
    made.good("import", "--strict", "hostile.jsonl")
    made.good("seal")
    (made.directory / "log.vkey").write_text(made.good("log", "vkey").text)
    public = made.good("export", "keygen", "dpc.key", "--json").json()["public_key"]
    (made.directory / "dpc.pub").write_text(public + "\n")
    return made


@pytest.fixture(scope="module")
def sealed(place: Workplace) -> str:
    """The file of an export that was made, approved and sealed by the commands."""
    place.good("export", "create", "--id", "x-good", "--to", "dpc.pub", *ASKED)
    place.good("export", "approve", "x-good", "--by", "operator:jonas")
    file: str = place.good("export", "seal", "x-good", "--by", "operator:maria", "--json").json()["file"]
    return file


@pytest.fixture
def opened(place: Workplace, sealed: str, tmp_path: Path) -> Path:
    """What its recipient has."""
    place.good(
        "export", "open", sealed, "--key", "dpc.key", "-o", str(tmp_path / "opened"), "--vkey", "log.vkey"
    )
    return tmp_path / "opened"


def offline(place: Workplace, root: Path) -> subprocess.CompletedProcess[str]:
    """The contained script as a regulator runs it."""
    vkey = (place.directory / "log.vkey").read_text().strip()
    words = [sys.executable, "-I", "-S", str(root / "data/verify/verify.py"), str(root), "--vkey", vkey]
    return subprocess.run(words, env={}, capture_output=True, text=True, timeout=60, check=False)


def cells(data: bytes) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(data.decode(), newline="")) for cell in row]


def test_no_table_runs_a_formula_that_came_in_with_a_record(place: Workplace, opened: Path) -> None:
    for data in (place.good("table").out, (opened / "data/ledger/entries.csv").read_bytes()):
        found = cells(data)
        assert {"'-2-3", "'-w1"} <= set(found)
        assert any("HYPERLINK(concat(A1" in cell for cell in found)
        for cell in found:
            for part in (cell, *cell.split(";"), *cell.split("\t")):
                assert not part.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_the_exact_values_are_in_the_lines_beside_it(place: Workplace, opened: Path) -> None:
    told = f'"path":"/x?;{FORMULA}"'.encode()
    assert told in (opened / "data/ledger/entries.jsonl").read_bytes()
    assert told in place.good("table", "--format", "jsonl").out


NAMES = [
    b"../outside",
    b"/tmp/outside",
    b"data/../../outside",
    b"a\\..\\b",
    b"C:x",
    b"a\0b",
    b"nul",
    b".hidden",
    b"a/" * 9,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_sealed_file_from_a_stranger_writes_nothing_elsewhere(
    place: Workplace, tmp_path: Path, name: bytes
) -> None:
    public = (place.directory / "dpc.pub").read_text()
    (tmp_path / "stranger.sealed").write_bytes(seal_hostile(public, name))
    done = place.run(
        "export",
        "open",
        str(tmp_path / "stranger.sealed"),
        "--key",
        "dpc.key",
        "-o",
        str(tmp_path / "in" / "out"),
    )
    assert done.status == 3, "there is no directory to open it into"
    (tmp_path / "in").mkdir()
    done = place.run(
        "export",
        "open",
        str(tmp_path / "stranger.sealed"),
        "--key",
        "dpc.key",
        "-o",
        str(tmp_path / "in" / "out"),
    )
    assert (done.status, "NOT PROVEN: PROOF_MALFORMED" in done.err) == (2, True), done.err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "stranger.sealed"]


def test_a_sealed_file_that_nobody_approved_is_refused_and_nothing_of_it_stays(
    place: Workplace, tmp_path: Path
) -> None:
    public = (place.directory / "dpc.pub").read_text()
    (tmp_path / "stranger.sealed").write_bytes(seal_hostile(public, b"data/README.html", b"<script>"))
    done = place.run(
        "export", "open", str(tmp_path / "stranger.sealed"), "--key", "dpc.key", "-o", str(tmp_path / "o")
    )
    assert (done.status, "NOT PROVEN" in done.err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["stranger.sealed"]


@pytest.mark.parametrize("name", ["data/..%2f", "data/a b", "data/nul.txt", "data/-rf", "data/x\\y"])
def test_a_bag_with_a_name_that_leads_elsewhere_is_refused(place: Workplace, opened: Path, name: str) -> None:
    (opened / name).write_text("x")
    assert "PROOF_MALFORMED" in offline(place, opened).stdout
    done = place.run("export", "verify", str(opened), "--json")
    assert (done.status, done.json()["code"]) == (2, "PROOF_MALFORMED")


def test_a_list_that_names_what_lies_outside_is_refused(place: Workplace, opened: Path) -> None:
    listed = opened / "manifest-sha256.txt"
    listed.write_bytes(listed.read_bytes() + b"0" * 64 + b"  data/../../secret\n")
    assert offline(place, opened).returncode == 1
    assert place.run("export", "verify", str(opened)).status == 2


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("data/ledger/entries.jsonl", "FILE_CHANGED"),
        ("data/ledger/entries.csv", "FILE_CHANGED"),
        ("data/export.json", "MANIFEST_CHANGED"),
        ("data/custody/custody.jsonl", "CUSTODY_CHANGED"),
        ("bag-info.txt", "FILE_CHANGED"),
    ],
)
def test_an_export_edited_after_approval_is_refused_by_everybody(
    place: Workplace, opened: Path, path: str, code: str
) -> None:
    target = opened / path
    edited = (
        target.read_bytes()
        .replace(b"2018-7", b"2018-8")
        .replace(b"dev-a", b"dev-b")
        .replace(b"maria", b"mario")
    )
    assert edited != target.read_bytes()
    target.write_bytes(edited)
    relist(opened, path)
    assert offline(place, opened).stdout.startswith(f"NOT PROVEN: {code}: ")
    done = place.run("export", "verify", str(opened), "--vkey", "log.vkey")
    assert (done.status, done.err.startswith(f"error: NOT PROVEN: {code}: ")) == (2, True)


def test_an_export_edited_before_it_is_sealed_is_not_sealed(place: Workplace) -> None:
    told = place.good("export", "create", "--id", "x-info", "--to", "dpc.pub", *ASKED, "--json").json()
    place.good("export", "approve", "x-info", "--by", "operator:jonas")
    info = place.directory / told["bag"] / "bag-info.txt"
    info.write_bytes(info.read_bytes().replace(b"2018-7", b"2018-8"))
    relist(info.parent, "bag-info.txt")
    assert place.run("export", "seal", "x-info", "--by", "operator:maria").status == 2


def test_the_wrong_key_is_refused_wherever_it_is_given(place: Workplace, sealed: str) -> None:
    place.good("export", "keygen", "wrong.key")
    done = place.run("export", "open", sealed, "--key", "wrong.key", "-o", "wrong")
    assert (done.status, "not sealed for your key" in done.err) == (3, True)
    done = place.run("export", "create", "--to", "wrong.key", *ASKED)
    assert (done.status, "private key" in done.err) == (3, True)
    done = place.run("export", "open", sealed, "--key", "dpc.pub", "-o", "wrong")
    assert done.status == 3
    assert not (place.directory / "wrong").exists()
    secret = (place.directory / "wrong.key").read_text().strip().rpartition(":")[2]
    assert secret not in done.err


def test_another_recipient_under_the_same_id_is_not_answered_with_the_first_one(place: Workplace) -> None:
    place.good("export", "create", "--id", "x-key", "--to", "dpc.pub", *ASKED)
    other = place.good("export", "keygen", "second.key", "--json").json()["public_key"]
    done = place.run("export", "create", "--id", "x-key", "--to", other, *ASKED)
    assert (done.status, "choose another id" in done.err) == (3, True)


@pytest.mark.parametrize("name", ["..", ".", "../..", "x-good.sealed", ".x-good.making"])
def test_no_id_of_an_export_removes_anything(place: Workplace, sealed: str, name: str) -> None:
    before = sorted(place.directory.rglob("*"))
    done = place.run("export", "create", "--id", name, *ASKED)
    assert (done.status, "cannot be the id of an export" in done.err) == (3, True)
    assert sorted(place.directory.rglob("*")) == before
    assert (place.directory / sealed).is_file()


@pytest.mark.parametrize(
    "numbers", [("--seq-from", "99999999999999999999"), ("--seq-from", "9000000000"), ("--seq-to", "0")]
)
def test_a_stretch_that_is_empty_or_no_number_is_told_and_never_a_crash(
    place: Workplace, numbers: tuple[str, str]
) -> None:
    assert place.run("table", *numbers).status == (3 if len(numbers[1]) > 16 else 0)
    assert place.run("export", "create", *numbers, *ASKED).status == (3 if len(numbers[1]) > 16 else 0)


def start_stream(place: Workplace, cursor: str, out: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command("stream", "--format", "cloudevents", "--cursor", cursor),
        cwd=place.directory,
        env=place.environment(),
        stdout=out,
        stderr=subprocess.DEVNULL,
    )


def test_what_lies_unread_in_a_pipe_when_its_reader_dies_comes_again(place: Workplace) -> None:
    reading, writing = os.pipe()
    process = start_stream(place, "pipe.cursor", writing)
    os.close(writing)
    deadline = time.monotonic() + 60
    while not unpack("i", ioctl(reading, FIONREAD, bytes(4)))[0]:
        assert time.monotonic() < deadline, "nothing was written"
        time.sleep(0.05)
    time.sleep(0.5)
    assert process.poll() is None, "nobody has read anything yet"
    os.close(reading)
    assert process.wait(30) == 141
    lines = place.good("stream", "--format", "cloudevents", "--cursor", "pipe.cursor").out.splitlines()
    assert json.loads(lines[0])["id"] == "0"


@pytest.mark.parametrize("torn", [b'{"specversion":"1.0","id":"3","sour', b"{", b"something else"])
def test_a_line_that_a_killed_run_left_half_written_spoils_no_event(
    place: Workplace, tmp_path: Path, torn: bytes
) -> None:
    whole = place.good("stream", "--format", "cloudevents", "--from", "0").out.splitlines(keepends=True)
    out, cursor = tmp_path / "events.jsonl", tmp_path / "cursor"
    out.write_bytes(b"".join(whole[:3]) + torn)
    cursor.write_text('{"next":3,"origin":"ledger.example/prod"}')
    with out.open("ab") as appended:
        process = start_stream(place, str(cursor), appended.fileno())
        assert process.wait(60) == 0
    rest = [] if torn.startswith(b"{") else [torn + b"\n"]
    assert out.read_bytes().splitlines(keepends=True) == [*whole[:3], *rest, *whole[3:]]


def test_killed_while_it_writes_to_a_file_it_leaves_every_event_readable(
    place: Workplace, tmp_path: Path
) -> None:
    out, cursor = tmp_path / "events.jsonl", tmp_path / "cursor"
    for wait_seconds in (0.6, 0.7, 0.8, 0.9, 1.0, 1.1):
        with out.open("ab") as appended:
            process = start_stream(place, str(cursor), appended.fileno())
            time.sleep(wait_seconds)
            process.send_signal(signal.SIGKILL)
            process.wait()
    with out.open("ab") as appended:
        assert start_stream(place, str(cursor), appended.fileno()).wait(60) == 0
    seen = {int(json.loads(line)["id"]) for line in out.read_bytes().splitlines()}
    size = json.loads(cursor.read_text())["next"]
    assert seen == set(range(size))


def test_a_refusal_in_a_bag_that_is_none_says_so(place: Workplace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert place.run("export", "verify", str(tmp_path / "empty")).status == 2
    assert place.run("export", "verify", str(tmp_path / "missing")).status == 3


def test_the_script_without_its_second_file_says_what_is_missing(opened: Path, tmp_path: Path) -> None:
    shutil.copy(opened / "data/verify/verify.py", tmp_path / "verify.py")
    words = [sys.executable, "-I", "-S", str(tmp_path / "verify.py"), str(opened)]
    done = subprocess.run(words, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "verify_bag.py, which has to lie beside" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr
