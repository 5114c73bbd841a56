"""The README's "Run the service", run as it stands there by a shell, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.cli_process import ROOT
from tests.support.service_world import free_port

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECONDS_MAX = 150

BEGIN = """set -eu
trap 'status=$?; kill $(jobs -p) 2>/dev/null || true; wait; exit $status' EXIT
"""
END = """
echo "RECEIVED $(grep -c '^arrived' received.txt)"
kill %1 %2
"""


def commands() -> str:
    """All commands of the section, with ports that are free here."""
    section = (
        (ROOT / "README.md").read_text("utf-8").partition("\n## Run the service\n")[2].partition("\n## ")[0]
    )
    blocks = BLOCK.findall(section)
    assert len(blocks) == 4
    http, receiver = str(free_port()), str(free_port())
    text = "".join(blocks).replace("8400", http).replace("8443", receiver)
    text = text.replace(
        "receiver certificate ./receiver", f"receiver certificate ./receiver --port {receiver}"
    )
    text = text.replace("receiver run ./receiver", f"receiver run ./receiver --port {receiver}")
    return f"{BEGIN}export GRANTLEDGER_LISTEN=127.0.0.1:{http}\n{text}{END}"


def run(directory: Path, **environment: str) -> str:
    shutil.copytree(ROOT / "docs" / "examples", directory / "docs" / "examples")
    programs = directory / "bin"
    programs.mkdir()
    shim = programs / "grantledger"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ledger.cli "$@"\n')
    shim.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRANTLEDGER_")}
    done = subprocess.run(
        ["bash", "-c", commands()],
        cwd=directory,
        env={
            **kept,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(directory),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS_MAX,
        check=False,
    )
    log = (directory / "serve.log").read_text() if (directory / "serve.log").exists() else ""
    text = done.stdout.decode()
    assert done.returncode == 0, f"{text}\n{log}"
    return text


def check(text: str) -> None:
    assert '"valid":true' in text, "the webhook was challenged and registered"
    assert "signature  valid" in text
    assert "QX7T2P" in text, "the message arrived as it was"
    assert '"deliveries":1' in text
    assert "DELIVERED_AFTER_REVOCATION" in text
    assert "unbroken; every delivery was backed" in text
    assert "RECEIVED 1" in text, "nothing arrived after the consent was taken back"


def test_a_new_user_sees_a_delivery_a_revocation_and_a_refusal(tmp_path: Path) -> None:
    check(run(tmp_path))
    entries = (tmp_path / "entries.txt").read_text()
    assert entries.count("c2sp.org/tlog-proof@v1") == entries.count('"kind": "') > 15


def test_it_is_the_same_on_postgresql_by_one_setting(tmp_path: Path, postgresql_url: str) -> None:
    check(run(tmp_path, GRANTLEDGER_DB=postgresql_url))


def test_every_setting_of_the_service_is_in_its_page() -> None:
    page = (ROOT / "docs" / "service.md").read_text("utf-8")
    source = (ROOT / "ledger" / "service_settings.py").read_text("utf-8")
    named = set(re.findall(r"``(GRANTLEDGER_[A-Z_]+)``", source))
    assert len(named) > 10
    assert named <= set(re.findall(r"`(GRANTLEDGER_[A-Z_]+)`", page))
