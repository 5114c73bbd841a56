"""The log as the service shows it, and its witnesses, against other people's tools (transparency formats, section 4).

What they are and how they are pinned: tests/interop/tlog_tools/go.mod. They come from the Go module proxy, which a machine
that runs all other checks need not reach: ``scripts/interop`` builds them and runs these tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ledger.core.note import parse_note
from ledger.core.tlog_proof import format_tlog_proof
from ledger.errors import ForkError
from ledger.vault.ed25519 import from_seed
from tests.api.callers import Caller
from tests.interop.tlog_tools import litewitness, run
from tests.support.histories import History
from tests.support.service_world import ORIGIN, ServiceWorld
from tests.support.witness_world import ServedWitness, make_witness, policy_text

ACCOUNTS = 700


@dataclass
class Served:
    """A served, cosigned log: where it is, whom it lets read entries, and a policy that it fulfils."""

    world: ServiceWorld
    url: str
    key: str
    policy: Path
    size: int
    first: bytes


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A log with a witness of this project's and one of other people's."""
    directory = tmp_path_factory.mktemp("tools")
    policy = directory / "policy"
    environment = {"GRANTLEDGER_WITNESS_POLICY": str(policy)}
    with (
        ServiceWorld(directory / "ledger", environment=environment) as world,
        ServedWitness(make_witness(directory / "own", "witness.example/own")) as own,
        litewitness(directory / "lite", "witness.example/lite", {ORIGIN: world.service.ledger.vkey}) as lite,
    ):
        own.opened.book.add_key(world.service.ledger.vkey, 0)
        text = policy_text(
            world.service.ledger.vkey,
            ("own", own.opened.signer.vkey(), own.url),
            ("lite", lite.vkey, lite.url),
        )
        policy.write_text(text)
        url = world.serve()
        key = Caller.new(world)._issuing.issue_key("auditor", "").text
        first = world.service.ledger.sealer.seal().note
        for number in range(ACCOUNTS):
            world.new_account(str(number))
        size = world.service.ledger.sealer.seal().checkpoint.size
        yield Served(world, url, key, policy, size, first)


def test_another_peoples_witness_cosigns_what_this_log_proves_to_it(served: Served) -> None:
    note = served.world.service.ledger.store.load_checkpoint()
    assert note is not None
    assert [line.name for line in parse_note(note).signatures] == [
        ORIGIN,
        "witness.example/own",
        "witness.example/lite",
    ]


def test_torchwood_verifies_the_served_log_its_cosignatures_and_every_entry(served: Served) -> None:
    ran = run("tlog-check", "log", served.url, str(served.policy), served.key)
    assert ran.accepted, ran.reason
    assert ran.line.startswith(f"ok size={served.size} ")
    assert ran.line.endswith(" signatures=3")


def test_torchwood_refuses_the_log_under_a_policy_that_it_does_not_fulfil(
    served: Served, tmp_path: Path
) -> None:
    from ledger.vault.cosignatures import cosigner_from_seed

    absent = cosigner_from_seed("witness.example/absent", bytes(32))
    policy = tmp_path / "policy"
    policy.write_text(policy_text(served.world.service.ledger.vkey, ("absent", absent.vkey(), "http://x")))
    assert not run("tlog-check", "log", served.url, str(policy), served.key).accepted


def test_torchwood_gets_no_entries_without_an_auditors_key(served: Served) -> None:
    ran = run("tlog-check", "log", served.url, str(served.policy))
    assert (ran.accepted, "401" in ran.reason) == (False, True)


def test_torchwood_verifies_a_proof_of_one_entry_with_its_cosignatures(
    served: Served, tmp_path: Path
) -> None:
    ledger = served.world.service.ledger
    row = next(iter(ledger.store.fetch_range(300, 301)))
    proof = ledger.prove_entry(row)
    assert proof is not None
    files = {"proof": format_tlog_proof(proof), "leaf": row.data, "other": row.data[:-1]}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    policy, proven = str(served.policy), str(tmp_path / "proof")
    assert run("tlog-check", "proof", policy, proven, str(tmp_path / "leaf")).accepted
    assert not run("tlog-check", "proof", policy, proven, str(tmp_path / "other")).accepted


def fsck(served: Served, vkey: str, directory: Path) -> str:
    """What fsck said of the served log; it ends with the same status whatever it found."""
    (directory / "log.vkey").write_text(vkey)
    return run(
        "fsck",
        *(f"--storage_url={served.url}", f"--public_key={directory / 'log.vkey'}"),
        *(f"--bearer_token={served.key}", "--ui=false"),
    ).reason


def test_tesseras_fsck_finds_nothing_wrong_with_the_served_log(served: Served, tmp_path: Path) -> None:
    said = fsck(served, httpx.get(f"{served.url}/log.vkey").text.strip(), tmp_path)
    assert f"Successfully fsck'd log with size {served.size} and root" in said
    assert "fsck failed" not in said


def test_tesseras_fsck_refuses_the_log_under_another_key(served: Served, tmp_path: Path) -> None:
    said = fsck(served, from_seed(ORIGIN, bytes(32)).vkey(), tmp_path)
    assert "fsck failed" in said
    assert "Successfully" not in said


def test_a_fork_is_told_by_another_peoples_witness_too(tmp_path: Path) -> None:
    from ledger.core.witness_policy import parse_policy
    from ledger.transparency.cosigning import WitnessCosigning
    from ledger.transport.witnesses import HttpWitnessCalls
    from ledger.vault.cosignatures import cosignature_verifier
    from ledger.wiring import SYSTEM_CLOCK

    log = from_seed("ledger.example/forked", bytes(32))
    history = History("a", log)
    kept: list[bytes] = []

    def keep(data: bytes) -> str:
        kept.append(data)
        return "memory"

    with litewitness(tmp_path / "lite", "witness.example/lite", {log.name: log.vkey()}) as lite:
        policy = parse_policy(f"witness lite {lite.vkey} {lite.url}\nquorum lite\n".encode())
        calls = HttpWitnessCalls()
        asking = WitnessCosigning(
            policy,
            {"lite": cosignature_verifier(lite.vkey)},
            calls,
            SYSTEM_CLOCK,
            keep,
            log_verifiers=[log.verifier()],
        )

        def cosign(story: History, size: int) -> bytes:
            return asking.cosign(story.note(size), lambda old: story.prove(old, size))

        for size in (5, 5, 9, 300):
            assert len(parse_note(cosign(history, size)).signatures) == 2
        with pytest.raises(ForkError, match="another tree of 300 entries"):
            cosign(history.fork(200), 300)
        with pytest.raises(ForkError, match="does not accept that the tree continues the one of 300"):
            cosign(history.fork(200), 301)
        with pytest.raises(ForkError, match="it has cosigned 300 entries, more than the 9"):
            cosign(history, 9)
        calls.close()
    assert len(kept) == 3
