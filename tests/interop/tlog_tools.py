"""Runs ``build/tlog-tools``: a verifying client, a checker and a witness of other people, pinned in tlog_tools/go.mod."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ledger.core.note import ED25519_COSIGNATURE, format_vkey, make_verifier_key
from tests.support.service_world import free_port, wait_for

TOOLS = Path(__file__).resolve().parents[2] / "build" / "tlog-tools"
WITHIN_S = 120


@dataclass(frozen=True, slots=True)
class Ran:
    """What a tool said: its standard output, or why it did not accept what it was shown."""

    accepted: bool
    line: str
    reason: str


def tool(name: str) -> str:
    """The path of a tool; AssertionError when it was never built."""
    path = TOOLS / name
    assert path.exists(), (
        f"build/tlog-tools/{name} is not there: run scripts/interop, which builds it with Go >= 1.24 from the module in "
        "tests/interop/tlog_tools (see scripts/lib/tlog_tools.sh)"
    )
    return str(path)


def run(name: str, *arguments: str) -> Ran:
    done = subprocess.run(
        [tool(name), *arguments], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    return Ran(done.returncode == 0, done.stdout.strip(), done.stderr.strip())


@dataclass(frozen=True, slots=True)
class Litewitness:
    """A running litewitness: where it is asked, and its public key."""

    url: str
    vkey: str


@contextmanager
def litewitness(directory: Path, name: str, log_vkeys: dict[str, str]) -> Iterator[Litewitness]:
    """torchwood's witness with an empty state for the logs ``log_vkeys`` (origin -> vkey), its key in an ssh-agent."""
    directory.mkdir()
    key = Ed25519PrivateKey.generate()
    key_file = directory / "key"
    key_file.touch(0o600)
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    port, socket = free_port(), directory / "agent"
    environment = {**os.environ, "SSH_AUTH_SOCK": str(socket)}
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        wait_for(socket.exists)
        subprocess.run(["ssh-add", "-q", str(key_file)], env=environment, check=True)
        listed = subprocess.run(
            ["ssh-add", "-l"], env=environment, capture_output=True, text=True, check=True
        )
        witness = subprocess.Popen(
            [
                *(tool("litewitness"), "-db", str(directory / "db"), "-name", name),
                *(
                    "-key",
                    listed.stdout.split()[1],
                    "-ssh-agent",
                    str(socket),
                    "-listen",
                    f"127.0.0.1:{port}",
                ),
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(lambda: _answers(url))
            # Its own tool for this needs another module; the table is its documented configuration.
            with closing(sqlite3.connect(directory / "db")) as database, database:
                empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
                for origin, vkey in log_vkeys.items():
                    database.execute("INSERT INTO log VALUES (?, 0, ?)", (origin, empty))
                    database.execute("INSERT INTO key VALUES (?, ?)", (origin, vkey))
            public = make_verifier_key(name, ED25519_COSIGNATURE, key.public_key().public_bytes_raw())
            yield Litewitness(url, format_vkey(public))
        finally:
            witness.kill()
            witness.wait()
    finally:
        agent.kill()
        agent.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code > 0
    except httpx.TransportError:
        return False
