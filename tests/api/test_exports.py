"""Exports and streams over HTTP, on both databases: who sees what, and that taking one is recorded first."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from ledger.core import canonical
from ledger.core.export_filter import Filter
from ledger.exports.parts import Question
from ledger.exports.sealed_file import open_files
from ledger.gateway.tokens import Issuing
from ledger.vault.recipients import NaclSealing
from ledger.wiring.surroundings import SYSTEM_RANDOMNESS
from tests.support.export_world import ONE, PRIVATE_KEY, PUBLIC_KEY, TWO
from tests.support.postgresql import PostgresqlServer
from tests.support.service_world import ServiceWorld


@dataclass
class Office:
    """A served service with one sealed export and one that waits for approval."""

    world: ServiceWorld

    def client(self, role: str, subject: str = "") -> httpx.Client:
        service = self.world.service
        issuing = Issuing(
            credentials=service.credentials,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
        )
        text = issuing.issue_key(role, subject).text  # type: ignore[arg-type]
        return self.world.client(Authorization=f"Bearer {text}")

    def entries(self, kind: str) -> list[dict[str, Any]]:
        store = self.world.service.ledger.store
        members = (canonical.decode(row.data) for row in store.fetch_range(0, store.size()))
        return [each for each in members if each["kind"] == kind]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def office(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgresql_server: PostgresqlServer,
) -> Iterator[Office]:
    directory = tmp_path_factory.mktemp("office")
    if request.param == "sqlite":
        yield from _office(directory, None)
    else:
        with postgresql_server.database(with_tables=False) as name:
            yield from _office(directory, postgresql_server.url(name))


def _office(directory: Path, database: str | None) -> Iterator[Office]:
    with ServiceWorld(directory, database=database) as world:
        world.serve(("api",))
        world.new_app()
        world.service.ledger.sealer.seal()
        desk = world.service.exports
        for name in ("x-sealed", "x-waits"):
            desk.create(Question("A regulator", "1", "Art. 58", Filter(), ONE, (PUBLIC_KEY,), export=name))
        desk.approve("x-sealed", TWO)
        desk.seal("x-sealed", ONE)
        yield Office(world)


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        ("regulator", ["x-sealed"]),
        ("auditor", ["x-sealed", "x-waits"]),
        ("operator", ["x-sealed", "x-waits"]),
    ],
)
def test_a_regulator_sees_what_is_sealed_and_others_everything(
    office: Office, role: str, seen: list[str]
) -> None:
    with office.client(role) as client:
        answer = client.get("/v1/exports")
        assert sorted(one["export"] for one in answer.json()["data"]) == seen
        assert client.get("/v1/exports/x-waits").status_code == (404 if role == "regulator" else 200)


@pytest.mark.parametrize("role", ["platform", "developer", "person"])
def test_nobody_else_sees_any(office: Office, role: str) -> None:
    with office.client(role, "" if role == "platform" else "somebody") as client:
        for path in (
            "/v1/exports",
            "/v1/exports/x-sealed",
            "/v1/exports/x-sealed/file",
            "/v1/stream",
            "/v1/table",
        ):
            assert client.get(path).status_code == 403


def test_a_regulator_gets_what_was_approved_and_not_the_whole_log(office: Office) -> None:
    with office.client("regulator") as client:
        for path in ("/v1/stream", "/v1/table", "/v1/table?format=parquet"):
            assert client.get(path).status_code == 403


def test_taking_the_file_is_recorded_and_its_recipient_can_open_it(office: Office, tmp_path: Path) -> None:
    before = len(office.entries("export.downloaded"))
    with office.client("regulator") as client:
        shown = client.get("/v1/exports/x-sealed").json()
        answer = client.get("/v1/exports/x-sealed/file")
        assert client.post("/v1/exports/x-sealed/opened").status_code == 200
    assert (
        hashlib.sha256(answer.content).hexdigest()
        == shown["file_sha256"]
        == answer.headers["x-export-sha256"]
    )
    header = open_files(
        io.BytesIO(answer.content), PRIVATE_KEY, NaclSealing(SYSTEM_RANDOMNESS), tmp_path / "out"
    )
    assert header.export == "x-sealed"
    taken = office.entries("export.downloaded")
    assert len(taken) == before + 1
    assert taken[-1]["actor"].startswith("regulator:")
    assert office.entries("export.opened")[-1]["file_sha256"] == shown["file_sha256"]


def test_what_is_not_sealed_is_not_handed_out_and_not_recorded(office: Office) -> None:
    before = len(office.entries("export.downloaded"))
    with office.client("auditor") as client:
        assert client.get("/v1/exports/x-waits/file").status_code == 422
        assert client.get("/v1/exports/x-unknown/file").status_code == 404
        assert client.get("/v1/exports/..%2f..%2fetc/file").status_code in (404, 422)
    assert len(office.entries("export.downloaded")) == before


@pytest.mark.parametrize("form", ["ocsf", "cloudevents"])
def test_a_stream_goes_on_where_its_cursor_stands(office: Office, form: str) -> None:
    size = office.world.service.ledger.store.size()
    events, cursor = [], "0"
    with office.client("auditor") as client:
        while True:
            answer = client.get("/v1/stream", params={"format": form, "from": cursor, "limit": 3})
            assert answer.headers["content-type"].startswith("application/x-ndjson")
            if answer.headers["x-ledger-count"] == "0":
                break
            events += [json.loads(line) for line in answer.text.splitlines()]
            cursor = answer.headers["x-ledger-next"]
    numbers = [event["metadata"]["sequence"] if form == "ocsf" else int(event["id"]) for event in events]
    assert numbers[:size] == list(range(size))


def test_a_cursor_that_is_beyond_the_log_is_told_so(office: Office) -> None:
    with office.client("auditor") as client:
        answer = client.get("/v1/stream", params={"from": office.world.service.ledger.store.size() + 100})
        assert (answer.status_code, "of another log" in answer.text) == (422, True)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_table_over_http_has_every_entry(office: Office, form: str) -> None:
    store = office.world.service.ledger.store
    with office.client("auditor") as client:
        size = store.size()
        answer = client.get("/v1/table", params={"format": form})
        assert answer.headers["content-disposition"] == f'attachment; filename="entries.{form}"'
        assert answer.headers["cache-control"] == "no-store"
    if form == "csv":
        found = [int(row["seq"]) for row in csv.DictReader(io.StringIO(answer.text, newline=""))]
    elif form == "jsonl":
        found = [json.loads(line)["seq"] for line in answer.text.splitlines()]
    else:
        found = pq.read_table(io.BytesIO(answer.content)).column("seq").to_pylist()
    assert found[:size] == list(range(size))


def test_a_look_by_a_table_over_http_is_recorded_before_it_is_shown(office: Office) -> None:
    tag = office.entries("account.registered")[0]["account"] if office.entries("account.registered") else ""
    developer = office.entries("developer.registered")[0]["developer"]
    before = len(office.entries("access.viewed"))
    params = {"format": "jsonl", "developer": developer, "kind": "access.viewed", "purpose": "audit-7"}
    with office.client("auditor") as client:
        answer = client.get("/v1/table", params=params)
        if tag:
            client.get("/v1/table", params={"account": tag})
    looks = office.entries("access.viewed")[before:]
    assert [look.get("developer") or look["account"] for look in looks] == [
        developer,
        *([tag] if tag else []),
    ]
    assert (looks[0]["purpose"], looks[0]["actor"].split(":")[0]) == ("audit-7", "auditor")
    assert json.loads(answer.text.splitlines()[-1])["seq"] == looks[0]["seq"]


@pytest.mark.parametrize(
    "query",
    [
        "format=xls",
        "account=nobody",
        "kind=no.kind",
        "at_from=yesterday",
        "seq_from=-1",
        "pair=x",
        "purpose=a%20b",
    ],
)
def test_a_table_that_cannot_be_is_refused(office: Office, query: str) -> None:
    with office.client("auditor") as client:
        assert client.get(f"/v1/table?{query}").status_code == 422


@pytest.mark.parametrize("query", ["format=cef", "from=-1", "limit=0", "limit=10001", "from=x"])
def test_a_stream_that_cannot_be_is_refused(office: Office, query: str) -> None:
    with office.client("auditor") as client:
        assert client.get(f"/v1/stream?{query}").status_code == 422
