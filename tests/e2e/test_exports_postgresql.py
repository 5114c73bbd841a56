"""``export``, ``table`` and ``stream`` of a ledger on a PostgreSQL server, by the service's own role."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli_process import ROOT, Workplace
from tests.support.postgresql import PASSWORD, PASSWORD_ROLE, PostgresqlServer

RECORDS = ROOT / "docs" / "examples" / "records.jsonl"
ASKED = ("--for", "DPC", "--case", "2018-7", "--basis", "GDPR Art. 58", "--by", "operator:maria")


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer
) -> Iterator[tuple[Workplace, str]]:
    """A sealed ledger, and its URL for the role that has a service's rights."""
    place = Workplace(tmp_path_factory.mktemp("server"))
    passwords = place.directory / ".pgpass"
    passwords.write_text(f"*:*:*:{PASSWORD_ROLE}:{PASSWORD}\n")
    passwords.chmod(0o600)
    with postgresql_server.database(with_tables=False) as name:
        place.good("init", "--db", postgresql_server.url(name), "--service-role", PASSWORD_ROLE)
        url = postgresql_server.url(name, PASSWORD_ROLE)
        place.good("import", str(RECORDS), "--db", url)
        place.good("seal", "--db", url)
        yield place, url


def test_an_export_goes_from_the_question_to_the_offline_check(service: tuple[Workplace, str]) -> None:
    place, url = service
    vkey = place.good("log", "vkey", "--db", url).text.strip()
    public = place.good("export", "keygen", "dpc.key", "--json").json()["public_key"]
    asked = ("--account", "1001", "--open", "all", "--to", public, *ASKED, "--db", url, "--json")
    name = place.good("export", "create", *asked).json()["export"]
    place.good("export", "approve", name, "--by", "operator:jonas", "--db", url)
    place.good("export", "seal", name, "--by", "operator:maria", "--db", url)
    place.good("export", "download", name, "-o", "dpc.sealed", "--by", "regulator:dpc", "--db", url)
    place.good("export", "open", "dpc.sealed", "--key", "dpc.key", "-o", "opened", "--vkey", vkey)
    words = [sys.executable, "-I", "-S", "opened/data/verify/verify.py", "opened", "--vkey", vkey]
    done = subprocess.run(
        words, cwd=place.directory, env={}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "PROVEN"), done.stdout + done.stderr


@pytest.mark.parametrize(
    "options", [(), ("--account", "1001"), ("--developer", "dev-a", "--kind", "grant.issued")]
)
def test_a_table_has_the_rows_of_its_lines(service: tuple[Workplace, str], options: tuple[str, ...]) -> None:
    place, url = service
    lines = [
        json.loads(line)
        for line in place.good("table", "--format", "jsonl", *options, "--db", url).out.splitlines()
    ]
    rows = list(csv.DictReader(io.StringIO(place.good("table", *options, "--db", url).text, newline="")))
    assert lines
    assert [int(row["seq"]) for row in rows][: len(lines)] == [line["seq"] for line in lines]
    told = place.good(
        "table", "--format", "parquet", "-o", "t.parquet", *options, "--db", url, "--json"
    ).json()
    assert told["rows"] >= len(lines)


def test_a_stream_goes_on_where_its_cursor_stands(service: tuple[Workplace, str], tmp_path: Path) -> None:
    place, url = service
    cursor = str(tmp_path / "cursor")
    first = place.good("stream", "--cursor", cursor, "--db", url).out.splitlines()
    place.good("table", "--account", "1001", "--db", url)
    second = place.good("stream", "--cursor", cursor, "--db", url).out.splitlines()
    numbers = [json.loads(line)["metadata"]["sequence"] for line in (*first, *second)]
    assert numbers == list(range(len(numbers)))
    assert len(second) == 1
