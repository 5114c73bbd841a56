"""`grantledger receiver run --receipts` as a process: what arrives at it is confirmed in the log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from ledger.gateway.offered import OfferedEvent
from ledger.gateway.tokens import Issuing
from tests.support.service_world import ServiceWorld, free_port, payload, wait_for

ACCOUNT = "3001969357"


def run(world: ServiceWorld, *arguments: str) -> dict[str, str]:
    """What a command about the world's ledger prints with --json."""
    made = subprocess.run(
        [sys.executable, "-m", "ledger.cli", *arguments, "--json"],
        capture_output=True,
        check=True,
        env={**os.environ, **world.environment},
    )
    shown: dict[str, str] = json.loads(made.stdout)
    return shown


def receipts_of(world: ServiceWorld) -> list[dict[str, object]]:
    store = world.service.ledger.store
    entries = (json.loads(row.data) for row in store.fetch_range(0, store.size()))
    return [entry for entry in entries if entry["kind"] == "delivery.receipt"]


def test_what_a_receiver_takes_is_confirmed_with_its_developers_key(tmp_path: Path) -> None:
    port = free_port()
    with ServiceWorld(tmp_path, settings={"host_overrides": f"a.example=127.0.0.1:{port}"}) as world:
        world.serve(("api", "dispatch"))
        app = world.new_app()
        service, developer = world.service, app.app.developer
        (tmp_path / "app.json").write_text(json.dumps({"consumer_secret": app.consumer_secret}))
        (tmp_path / "log.vkey").write_text(service.ledger.vkey)
        issuing = Issuing(
            credentials=service.credentials,
            sealing=service.sealing,
            clock=service.clock,
            randomness=service.randomness,
        )
        (tmp_path / "api.key").write_text(issuing.issue_key("developer", developer).text)
        made = run(world, "receiver", "key", str(tmp_path / "receipts.key"), "--developer", developer)
        run(world, "developer", "key", developer, made["public_key"])
        receiving = subprocess.Popen(
            [sys.executable, "-m", "ledger.cli", "receiver", "run", str(tmp_path / "receiver"),
             "--app", str(tmp_path / "app.json"), "--port", str(port), "--vkey", str(tmp_path / "log.vkey"),
             "--receipts", str(tmp_path / "receipts.key"), "--api-key", str(tmp_path / "api.key"),
             "--service", f"http://127.0.0.1:{world.port}", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert receiving.stderr is not None
            assert b"listening" in receiving.stderr.readline()
            wait_for(
                lambda: world.service.transport.challenge("1", "https://a.example/x", "", {}).observed.status
            )
            world.subscribe(app, world.new_webhook(app), world.new_account(ACCOUNT))
            event = {"for_user_id": ACCOUNT, "follow_events": payload("follow_events")["follow_events"]}
            service.intake.accept([OfferedEvent(event, json.dumps(event).encode())])
            wait_for(lambda: receipts_of(world))
        finally:
            receiving.send_signal(signal.SIGTERM)
            receiving.communicate(timeout=20)
        (receipt,) = receipts_of(world)
        assert (receipt["developer"], receipt["host"]) == (developer, "a.example")
        assert [finding.code for finding in world.verify().findings] == []
