"""Processes for commands that have the program's modules already: importing them takes longer than most commands do.

A nursery is a process that has imported the command line and waits. Asked for a command it forks: the child gets the
caller's directory, environment and files, runs ``grantledger`` as ``python -m ledger.cli`` does, and ends as that ends.
Nothing of one command is left for the next. Tests of starting up, and of what a newcomer does, start Python instead.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUEST_BYTES_MAX = 1 << 20
PRELOADED = ("ledger.cli.app", "ledger.wiring.service", "ledger.verifying", "rich.progress", "rich.table")


class Nursery:
    """One process that forks commands; safe for use from any number of threads."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.cli_nursery", str(theirs.fileno())],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def close(self) -> None:
        """End the process; commands that run go on."""
        self._socket.close()
        self._process.wait()

    def run(
        self,
        arguments: tuple[str, ...],
        directory: Path,
        environment: Mapping[str, str],
        stdin: bytes,
        seconds: float,
    ) -> tuple[int, bytes, bytes]:
        """Exit status, standard output and standard error; TimeoutError, with the command killed, after ``seconds``."""
        request = json.dumps([arguments, str(directory), dict(environment)]).encode()
        assert len(request) < REQUEST_BYTES_MAX, "a longer command line than the nursery takes"
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as error,
        ):
            given.write(stdin)
            given.seek(0)
            told, tell = os.pipe()
            with os.fdopen(told, "rb", buffering=0) as status:
                try:
                    files = [given.fileno(), out.fileno(), error.fileno(), tell]
                    socket.send_fds(self._socket, [request], files)
                finally:
                    os.close(tell)
                ended = _wait(status.fileno(), seconds)
            out.seek(0)
            error.seek(0)
            return ended, out.read(), error.read()


def _wait(status: int, seconds: float) -> int:
    """What ``subprocess`` would give as the return code, read from the command's guardian."""
    said = b""
    while select.select([status], [], [], seconds)[0]:
        part = os.read(status, 100)
        if not part:
            _, _, ended = said.decode().partition("\n")
            assert ended, "the nursery, or the guardian of a command, has died"
            return int(ended)
        said += part
    os.kill(int(said.split()[0]), signal.SIGKILL)
    raise TimeoutError(f"a command took longer than {seconds} s")


@cache
def nursery() -> Nursery:
    """The one of this process of the tests."""
    made = Nursery()
    atexit.register(made.close)
    return made


def serve(channel: socket.socket) -> None:
    """Fork a guardian for each command that is asked for, until nobody can ask any more."""
    for name in PRELOADED:
        import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, files, _, _ = socket.recv_fds(channel, REQUEST_BYTES_MAX, 4)
        if not request:
            return
        if os.fork() == 0:
            channel.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _guard(request, files)
        for file in files:
            os.close(file)


def _guard(request: bytes, files: list[int]) -> None:
    """Fork the command, say its process id, wait for it, and say how it ended. Returns in the command only."""
    child = os.fork()
    if child == 0:
        _become(request, files)
        return
    status = files[3]
    os.write(status, f"{child}\n".encode())
    _, ended = os.waitpid(child, 0)
    os.write(status, str(os.waitstatus_to_exitcode(ended)).encode())
    os._exit(0)


def _become(request: bytes, files: list[int]) -> None:
    """Be a process that was started with this request."""
    arguments, directory, environment = json.loads(request)
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    sys.argv = ["grantledger", *arguments]
    raise Command


class Command(BaseException):
    """Raised in the process that is to run the command, through everything that the nursery has on its stack."""


if __name__ == "__main__":
    try:
        serve(socket.socket(fileno=int(sys.argv[1])))
    except Command:
        pass
    else:
        sys.exit(0)
    import_module("ledger.cli.app").main()
