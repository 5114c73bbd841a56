"""Nothing readable about an erased person is left in any file, after a real service has delivered (section 1.2)."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger.core.chain import leaf_hash
from ledger.core.ticket import check_ticket
from ledger.exports.sealed_file import open_files
from ledger.ports.vault import Subject
from ledger.store.purges import KEPT
from ledger.vault.recipients import NaclSealing
from ledger.verifying import Asked, run_verification
from ledger.wiring.surroundings import SYSTEM_RANDOMNESS
from tests.support.erasure_life import (
    ABOUT_NOBODY,
    PERSON,
    PRIVATE_KEY,
    SPOKEN,
    WORDS,
    Life,
    caller,
    columns_with,
    count_all,
    files_with,
    live,
    needles_of,
)
from tests.support.postgresql import PostgresqlServer
from tests.support.service_world import ServiceWorld, payload

IN_THE_LOG = {"entries.data", "entries.uid"}
"""Where tags stand for ever."""


def ask(world: ServiceWorld, person: Subject) -> str:
    asked = caller(world, "person", person.tag).post("/v1/account/erasure", json={"words": WORDS})
    assert asked.status_code == 202, asked.text
    return str(asked.json()["erasure"])


def approve(world: ServiceWorld, erasure: str) -> None:
    done = caller(world, "operator").post(f"/v1/erasures/{erasure}/approve")
    assert done.status_code == 200, done.text
    # The service's own loop, at once.
    world.service.privacy.destroyer.run_once()
    assert world.service.privacy.erasures.load(erasure).state == "clean"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path) as made:
        yield made


def check_filled(world: ServiceWorld, life: Life) -> None:
    """Every table that can hold something about a person does, and of this one: so that a search of them proves something."""
    counts = count_all(world)
    assert {table for table, rows in counts.items() if not rows} <= ABOUT_NOBODY
    assert [
        what
        for what, rows in world.service.privacy.erasures.plan(life.person.tag).destroyed.items()
        if not rows
    ] == []
    filled = {name.partition(".")[0] for name in needles_of(world, life.person)}
    with_bytes = {
        "service_events",
        "service_tokens",
        "service_api_keys",
        "service_notices",
        "service_contacts",
    }
    assert filled == with_bytes | {"service_canaries", "privacy_erasures", "vault_subjects"}
    assert columns_with(world, life.person.tag) >= {*KEPT, *IN_THE_LOG} - {"service_events.subjects"}


def check_after(world: ServiceWorld, life: Life) -> None:
    """The ledger verifies by both engines, and counts the tag as not checkable; the person cannot come back."""
    world.service.ledger.sealer.seal()
    for engine in ("scalar", "duckdb"):
        asked = Asked(engine=engine, remember=False)
        identities = world.service.ledger.identity_check()
        report = run_verification(world.settings, asked, lambda *_: None, identities).report
        # As before: two deliveries that went astray; and here everybody's endpoints are one machine's.
        assert report.exit_status == 1, report.findings
        assert report.codes() == {"WRONG_DEVELOPER": 2, "ENDPOINT_COLLISION": 1}
        assert any(note.startswith("1 tags have no vault row (erased") for note in report.notes)
    event = payload("direct_message_events")
    event["for_user_id"] = PERSON
    refused = caller(world, "platform").post("/v1/events", json=event)
    assert refused.status_code == 422
    assert not world.service.vault.find([PERSON])
    assert set(world.service.privacy.erasures.plan(life.person.tag).destroyed.values()) == {0}
    assert columns_with(world, life.person.tag) <= {*KEPT, *IN_THE_LOG}
    for what, value in SPOKEN.items():
        assert columns_with(world, value) == set(), what


def check_exports(world: ServiceWorld, life: Life, out: Path) -> None:
    """The sealed file opens for its recipient, and holds, openings and all; our own bags that open the person are gone."""
    desk = world.service.exports
    sealed = desk.download(life.sealed, "regulator:authority")
    with sealed.open("rb") as data:
        open_files(data, PRIVATE_KEY, NaclSealing(SYSTEM_RANDOMNESS), out)
    assert f'"value":"{PERSON}"' in (out / "data/openings/openings.jsonl").read_text()
    said = check_offline(world, out)
    assert (said.returncode, said.stdout.startswith("PROVEN\n")) == (0, True), said.stderr
    assert not desk.bag_of(life.sealed).exists()
    assert not desk.bag_of(life.handed_over).exists()
    assert check_offline(world, desk.bag_of(life.of_other)).returncode == 0


def check_offline(world: ServiceWorld, bag: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "data/verify/verify.py", "--vkey", world.service.ledger.vkey, "."]
    return subprocess.run(command, cwd=bag, capture_output=True, text=True, timeout=60, check=False)


def check_promise(world: ServiceWorld, ticket: str) -> None:
    """The ticket that went along with a delivery is still kept."""
    promised = check_ticket(ticket, [world.service.ledger.verifier])
    (row,) = world.service.ledger.store.fetch_range(promised.seq, promised.seq + 1)
    assert leaf_hash(row.data) == promised.leaf_hash


def test_no_file_of_a_ledger_on_sqlite_holds_anything_of_an_erased_person(
    world: ServiceWorld,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capfd: pytest.CaptureFixture[str],
) -> None:
    life = live(world)
    erasure = ask(world, life.person)
    check_filled(world, life)
    needles = needles_of(world, life.person)
    # Everything is there before, in the database, its write-ahead file or a bag: so it is looked for in the right way.
    assert [name for name, needle in needles.items() if not files_with(needle, tmp_path)] == []
    assert files_with(PERSON.encode(), tmp_path) != []
    approve(world, erasure)
    assert {name: files_with(needle, tmp_path) for name, needle in needles.items()} == {
        key: [] for key in needles
    }
    for what, value in SPOKEN.items():
        assert files_with(value.encode(), tmp_path) == [], what
    check_after(world, life)
    check_promise(world, life.ticket)
    check_exports(world, life, tmp_path_factory.mktemp("regulator") / "opened")
    said = "".join(capfd.readouterr())
    assert [what for what, value in SPOKEN.items() if value in said] == []
    assert life.person.tag not in said


def test_no_table_of_a_ledger_on_postgresql_and_no_heap_file_holds_anything_of_an_erased_person(
    tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    with (
        postgresql_server.database(with_tables=False) as name,
        ServiceWorld(tmp_path, database=postgresql_server.url(name)) as world,
    ):
        life = live(world)
        erasure = ask(world, life.person)
        check_filled(world, life)
        needles = needles_of(world, life.person)
        ((data,),) = postgresql_server.execute("SHOW data_directory")
        ((oid,),) = postgresql_server.execute(f"SELECT oid FROM pg_database WHERE datname = '{name}'")
        heap = Path(str(data)) / "base" / str(oid)
        # What the server does by itself before long, and keeps samples of values from.
        postgresql_server.execute("ANALYZE", name)
        postgresql_server.execute("CHECKPOINT")
        assert [one for one, needle in needles.items() if not files_with(needle, heap)] == []
        approve(world, erasure)
        postgresql_server.execute("CHECKPOINT")
        assert {one: files_with(needle, heap, tmp_path) for one, needle in needles.items()} == {
            key: [] for key in needles
        }
        check_after(world, life)
        for what, value in SPOKEN.items():
            assert files_with(value.encode(), heap, tmp_path) == [], what


def test_a_plain_delete_would_have_left_it_in_the_file(tmp_path: Path) -> None:
    with ServiceWorld(tmp_path) as world:
        person = world.new_account(PERSON)
        with world.service.ledger.engine.connect() as connection:
            row = connection.execute(
                text("SELECT sealed FROM vault_subjects WHERE tag = :tag"), {"tag": person.tag}
            ).one()
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("DELETE FROM vault_subjects")
    database.close()
    assert files_with(bytes(row[0]), tmp_path)
