"""SIGKILL at any moment of making, approving and sealing an export: nothing half has a name, and the next run does it."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.support.cli_process import Workplace, command
from tests.support.records import make_lines

RECORDS = 3_000
KILLS = 4
ASKED = ("--for", "DPC", "--case", "1", "--basis", "none", "--by", "operator:one", "--open", "identities")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A sealed ledger, and a recipient's key pair."""
    made = Workplace(tmp_path_factory.mktemp("killed"))
    (made.directory / "records.jsonl").write_bytes(make_lines(1, RECORDS, accounts=50))
    made.good("init", "--origin", "ledger.example/killed")
    made.good("import", "records.jsonl")
    made.good("seal")
    (made.directory / "dpc.pub").write_text(
        made.good("export", "keygen", "dpc.key", "--json").json()["public_key"]
    )
    return made


def run_killed(place: Workplace, seconds: float, *arguments: str) -> None:
    """Start a command and kill it after ``seconds``, where it has not ended by then."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=place.directory,
        env=place.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def timed(place: Workplace, *arguments: str) -> float:
    """How long a command takes that nobody kills."""
    started = time.monotonic()
    place.good(*arguments)
    return time.monotonic() - started


def names(place: Workplace) -> set[str]:
    """What lies where exports lie, but for locks."""
    found = (place.directory / "grantledger.db.exports").iterdir()
    return {path.name for path in found if not path.name.endswith(".lock")}


def test_runs_killed_at_any_moment_leave_what_entries_tell_of_and_nothing_else(place: Workplace) -> None:
    seconds = timed(place, "export", "create", *ASKED)
    for number in range(1, KILLS + 1):
        run_killed(place, seconds * number / (KILLS + 0.5), "export", "create", *ASKED)
    place.good("export", "create", *ASKED)
    told = [row["export"] for row in place.good("export", "list", "--json").json()["exports"]]
    assert names(place) == set(told)
    for name in told:
        place.good("export", "approve", name, "--by", "operator:two")
        place.good("export", "verify", f"grantledger.db.exports/{name}")


def test_every_step_killed_at_any_moment_is_done_by_the_same_command_again(place: Workplace) -> None:
    steps = (
        ("create", "--to", "dpc.pub", *ASKED, "--id", "{}"),
        ("approve", "{}", "--by", "operator:two"),
        ("seal", "{}", "--by", "operator:one"),
    )
    took = [timed(place, "export", *[word.format("x-whole") for word in step]) for step in steps]
    for number in range(1, KILLS + 1):
        name = f"x-{number}"
        for seconds, step in zip(took, steps, strict=True):
            arguments = ("export", *[word.format(name) for word in step])
            run_killed(place, seconds * number / (KILLS + 0.5), *arguments)
            place.good(*arguments)
        sealed = f"grantledger.db.exports/{name}.sealed"
        place.good("export", "open", sealed, "--key", "dpc.key", "-o", f"opened-{number}")
        place.good("export", "verify", f"opened-{number}")
    kinds = [
        line for line in place.good("table", "--kind", "export.approved").out.splitlines() if b"x-" in line
    ]
    assert len({line.split(b",export.approved,")[1].split(b",")[0] for line in kinds}) == len(kinds)
