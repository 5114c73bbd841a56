"""The log as the service shows it over HTTP, cosigned, against a reader of other people (transparency formats, section 4).

The reader stands on golang.org/x/mod, the code of the Go checksum database (tests/conformance/tlog_reader); what was built on
C2SP's own text is in tests/interop.
"""

from __future__ import annotations

from pathlib import Path

from ledger.core.note import parse_note
from ledger.core.tiles import bundles_added, format_path, tiles_added
from tests.api.callers import Caller
from tests.conformance.log_reader import read_published
from tests.support.service_world import ORIGIN, ServiceWorld
from tests.support.witness_world import ServedWitness, make_witness, policy_text

ACCOUNTS = 700


def test_a_reader_of_other_people_accepts_the_cosigned_log_that_is_served(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    with (
        ServiceWorld(tmp_path / "ledger", environment={"GRANTLEDGER_WITNESS_POLICY": str(policy)}) as world,
        ServedWitness(make_witness(tmp_path / "own", "witness.example/own")) as own,
    ):
        ledger = world.service.ledger
        own.opened.book.add_key(ledger.vkey, 0)
        policy.write_text(policy_text(ledger.vkey, ("own", own.opened.signer.vkey(), own.url)))
        world.serve()
        key = Caller.new(world)._issuing.issue_key("auditor", "").text
        (tmp_path / "old").write_bytes(ledger.sealer.seal().note)
        for number in range(ACCOUNTS):
            world.new_account(str(number))
        size = ledger.sealer.seal().checkpoint.size
        with world.client(authorization=f"Bearer {key}") as client:
            for path in ("checkpoint", *map(format_path, (*tiles_added(0, size), *bundles_added(0, size)))):
                answer = client.get(f"/{path}")
                assert answer.status_code == 200, path
                (tmp_path / "log" / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / "log" / path).write_bytes(answer.content)
            vkey = client.get("/log.vkey").text.strip()
    signed = parse_note((tmp_path / "log" / "checkpoint").read_bytes()).signatures
    assert [line.name for line in signed] == [ORIGIN, "witness.example/own"]
    reading = read_published(tmp_path / "log", vkey, tmp_path / "old")
    assert reading.accepted, reading.reason
    assert reading.line.startswith(f"ok size={size} ")
