"""Witnesses as their operators run them: commands, processes, policies, evidence."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.core.note import parse_note
from ledger.receiver.certificates import CERTIFICATE_FILE, KEY_FILE, make_certificate
from ledger.transport.tls import client_context
from ledger.vault.ed25519 import from_seed
from ledger.wiring import SYSTEM_RANDOMNESS
from tests.support.cli_process import Workplace
from tests.support.histories import History
from tests.support.service_world import free_port

ORIGIN = "ledger.example/witnessed"


@contextmanager
def serving(place: Workplace, directory: str, *options: str) -> Iterator[str]:
    """``grantledger witness serve`` until the end of the block, where it has to stop cleanly; its address."""
    port = free_port()
    process = place.start("witness", "serve", directory, "--listen", f"127.0.0.1:{port}", "--json", *options)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1].decode()
        yield json.loads(line)["listening"]
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
        assert process.returncode == 0, told.decode()
        assert all(json.loads(each) for each in told.splitlines())
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a new ledger and two witnesses that know it."""
    made = Workplace(tmp_path_factory.mktemp("place"))
    made.good("init", "--origin", ORIGIN)
    (made.directory / "log.vkey").write_bytes(made.good("log", "vkey").out)
    for name in ("north", "south"):
        made.good("witness", "init", name, "--name", f"witness.example/{name}")
        made.good("witness", "add-log", name, "log.vkey")
    return made.directory


@pytest.fixture
def place(made_once: Path, tmp_path: Path) -> Workplace:
    """A copy of it for one test."""
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    return Workplace(tmp_path)


def write_policy(place: Workplace, urls: dict[str, str]) -> dict[str, str]:
    """A policy that asks for all of these witnesses; the settings under it."""
    lines = [f"log {(place.directory / 'log.vkey').read_text().strip()}\n"]
    for name, url in urls.items():
        vkey = (place.directory / name / "witness.vkey").read_text().strip()
        lines.append(f"witness {name} {vkey} {url}\n")
    lines.append(f"group both all {' '.join(urls)}\nquorum both\n")
    (place.directory / "policy").write_text("".join(lines))
    return {"GRANTLEDGER_WITNESS_POLICY": "policy"}


def verify(place: Workplace, *options: str) -> tuple[int, dict[str, Any]]:
    done = place.run(
        "verify",
        "--tiles",
        "public",
        "--vkey",
        "log.vkey",
        "--engine",
        "scalar",
        "--no-remember",
        "--json",
        *options,
    )
    return done.status, done.json()


def test_a_checkpoint_is_cosigned_published_and_verified_under_the_policy(place: Workplace) -> None:
    with serving(place, "north") as north, serving(place, "south") as south:
        settings = write_policy(place, {"north": north, "south": south})
        sealed = place.run("seal", "--json", settings=settings)
        assert (sealed.status, sealed.json()["sealed"]) == (0, True), sealed.err
        status = place.good("witness", "status", "north", "--json").json()
    assert [(one["origin"], one["size"]) for one in status["logs"]] == [(ORIGIN, sealed.json()["tree_size"])]
    place.good("log", "publish", "public")
    exit_status, report = verify(place, "--policy", "policy")
    assert exit_status == 0
    assert [one["name"] for one in report["cosigners"]] == ["north", "south"]
    said = place.good(
        "verify", "--tiles", "public", "--vkey", "log.vkey", "--policy", "policy", "--no-remember"
    ).text
    assert "north (witness.example/north), 20" in said


def test_a_seal_without_its_quorum_names_who_is_missing_and_publishes_nothing(place: Workplace) -> None:
    with serving(place, "north") as north:
        settings = write_policy(place, {"north": north, "south": f"http://127.0.0.1:{free_port()}"})
        done = place.run("seal", settings=settings)
    assert done.status == 3
    assert "south: it cannot be reached" in done.err
    assert place.run("log", "checkpoint").status == 3


def test_a_checkpoint_that_nobody_cosigned_is_refused_under_a_policy(place: Workplace) -> None:
    write_policy(place, {"north": "http://127.0.0.1:1", "south": "http://127.0.0.1:1"})
    place.good("seal")
    place.good("log", "publish", "public")
    assert verify(place)[0] == 0
    exit_status, report = verify(place, "--policy", "policy")
    (finding,) = report["findings"]
    assert (exit_status, report["cosigners"], finding["code"]) == (2, [], "CHECKPOINT_SIGNATURE_INVALID")
    assert "cosignatures of nobody; the policy asks for the quorum 'both'" in finding["text"]


@pytest.mark.parametrize("place_of_bit", [0, 40])
def test_a_cosignature_with_one_changed_bit_counts_for_nothing(place: Workplace, place_of_bit: int) -> None:
    from ledger.core.note import NoteSignature, format_note

    with serving(place, "north") as north:
        settings = write_policy(place, {"north": north})
        assert place.run("seal", settings=settings).status == 0
    place.good("log", "publish", "public")
    path = place.directory / "public" / "checkpoint"
    note = parse_note(path.read_bytes())
    line = note.signatures[1]
    blob = bytearray(line.signature)
    blob[place_of_bit] ^= 1
    path.write_bytes(
        format_note(note.text, [note.signatures[0], NoteSignature(line.name, line.key_id, bytes(blob))])
    )
    assert verify(place, "--policy", "policy")[0] == 2


def test_a_policy_for_other_logs_is_not_for_this_one(place: Workplace) -> None:
    place.good("seal")
    place.good("log", "publish", "public")
    other = from_seed("ledger.example/other", bytes(32))
    (place.directory / "policy").write_text(f"log {other.vkey()}\nquorum none\n")
    done = place.run("verify", "--tiles", "public", "--vkey", "log.vkey", "--policy", "policy")
    assert (done.status, "is none of them" in done.err) == (3, True)
    assert place.run("seal", settings={"GRANTLEDGER_WITNESS_POLICY": "policy"}).status == 3


@pytest.mark.parametrize("text", ["", "quorum x\n", "witness a b\n"])
def test_an_unusable_policy_is_told_before_anything_is_signed(place: Workplace, text: str) -> None:
    (place.directory / "policy").write_text(text)
    done = place.run("seal", settings={"GRANTLEDGER_WITNESS_POLICY": "policy"})
    assert (done.status, "policy" in done.err) == (3, True)
    assert not (place.directory / "grantledger.db.checkpoint").exists()


def test_evidence_is_listed_printed_and_checked_offline(place: Workplace) -> None:
    log = from_seed("other.example/log", bytes(32))
    history = History("a", log)
    (place.directory / "other.vkey").write_text(log.vkey())
    place.good("witness", "add-log", "north", "other.vkey")
    with serving(place, "north") as north:
        bodies = [history.request(0, 5), history.fork(4).request(5, 5), history.fork(3).request(5, 9)]
        statuses = [httpx.post(f"{north}/add-checkpoint", content=body).status_code for body in bodies]
    assert statuses == [200, 422, 422]
    listed = place.good("witness", "evidence", "north", "--json").json()["evidence"]
    assert [one["origin"] for one in listed] == [log.name] * 2
    for row, name in zip(listed, ("fork.json", "unexplained.json"), strict=True):
        (place.directory / name).write_bytes(place.good("witness", "evidence", "north", row["name"]).out)
    fork = place.run("witness", "check-evidence", "fork.json", "--vkey", "other.vkey", "--json")
    assert (fork.status, fork.json()["verdict"], fork.json()["origin"]) == (0, "fork", log.name)
    assert place.run("witness", "check-evidence", "unexplained.json").status == 1
    assert place.run("witness", "check-evidence", "fork.json", "--vkey", "log.vkey").status == 2
    changed = (place.directory / "fork.json").read_text().replace("\\n5\\n", "\\n6\\n", 1)
    (place.directory / "changed.json").write_text(changed)
    assert place.run("witness", "check-evidence", "changed.json").status == 2
    assert place.run("witness", "check-evidence", "policy").status == 3
    status = place.good("witness", "status", "north").text
    assert "2 PIECES OF EVIDENCE AGAINST IT" in status


def test_a_witness_serves_https_with_a_certificate(place: Workplace, tmp_path: Path) -> None:
    make_certificate(tmp_path / "tls", ["localhost", "127.0.0.1"], SYSTEM_RANDOMNESS)
    options = ("--certificate", f"tls/{CERTIFICATE_FILE}", "--key", f"tls/{KEY_FILE}")
    trust = client_context((tmp_path / "tls" / "ca.pem").read_text())
    with serving(place, "north", *options) as north:
        assert north.startswith("https://")
        answer = httpx.get(f"{north.replace('127.0.0.1', 'localhost')}/healthz", verify=trust)
    assert answer.json()["name"] == "witness.example/north"
    assert place.run("witness", "serve", "north", "--certificate", "x").status == 3


def test_a_witness_keeps_its_name_and_its_key(place: Workplace) -> None:
    key = (place.directory / "north" / "witness.key").read_bytes()
    again = place.good("witness", "init", "north", "--name", "witness.example/north", "--json").json()
    assert (again["created"], (place.directory / "north" / "witness.key").read_bytes()) == (False, key)
    assert place.run("witness", "init", "north", "--name", "witness.example/other").status == 3
    assert (place.directory / "north" / "witness.key").stat().st_mode & 0o077 == 0
    (place.directory / "north" / "witness.key").unlink()
    assert place.run("witness", "init", "north", "--name", "witness.example/north").status == 3


@pytest.mark.parametrize(
    "words",
    [
        ("add-log", "north", "policy"),
        ("add-log", "north", "x+y"),
        ("add-log", "nowhere", "log.vkey"),
        ("status", "nowhere"),
        ("serve", "nowhere"),
        ("serve", "north", "--listen", "x"),
        ("evidence", "north", "none"),
        ("init", "west", "--name", "a b"),
    ],
)
def test_what_cannot_be_done_is_told_without_a_traceback(place: Workplace, words: tuple[str, ...]) -> None:
    done = place.run("witness", *words)
    assert (done.status, done.err.startswith("error: ")) == (3, True)


def test_two_witnesses_cannot_take_one_address(place: Workplace) -> None:
    with serving(place, "north") as north:
        done = place.run("witness", "serve", "south", "--listen", north.removeprefix("http://"))
    assert done.status == 3


def test_a_service_under_a_policy_publishes_only_cosigned_checkpoints(place: Workplace) -> None:
    port = free_port()
    with serving(place, "north") as north, serving(place, "south") as south:
        settings = write_policy(place, {"north": north, "south": south})
        environment = place.environment(
            **settings, GRANTLEDGER_SEAL_SECONDS="0.2", GRANTLEDGER_AUDIT_SECONDS="0"
        )
        from tests.support.cli_process import command

        process = subprocess.Popen(
            command("serve", "--listen", f"127.0.0.1:{port}"),
            cwd=place.directory,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            notes = set()
            with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
                _wait_until(lambda: _status(client, "/checkpoint") == 200)
                for number in range(3):
                    notes.add(client.get("/checkpoint").content)
                    place.good("account", "create", str(number))
                    size = len(notes)
                    _wait_until(lambda size=size: len(notes | {client.get("/checkpoint").content}) > size)
                metrics = client.get("/metrics").text
        finally:
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=30)
    assert process.returncode == 0, told.decode()
    names = {tuple(line.name for line in parse_note(note).signatures) for note in notes}
    assert names == {(ORIGIN, "witness.example/north", "witness.example/south")}
    assert 'grantledger_witness_ok{witness="north"} 1.0' in metrics


def _status(client: httpx.Client, path: str) -> int:
    try:
        return client.get(path).status_code
    except httpx.TransportError:
        return 0


def _wait_until(is_so: Any) -> None:
    from tests.support.service_world import wait_for

    wait_for(is_so, 30)
