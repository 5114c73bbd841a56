"""A real ``grantledger serve`` as a process of its own: started, asked whether it is ready, watched, and stopped.

It is started by the name of the command line's module, because nothing here may import the web. It listens on a loopback
port that was free a moment before; where somebody else was faster, on another one. What it says goes to a log file, and
stands in the error when it does not run.

It leads a session of its own, so that an interrupt at the terminal reaches whoever plays, who then stops it in order. It is
ended with the block that it was started in, whatever ends that: an error, an interrupt, SIGTERM.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Self

import httpx

import ledger
from ledger.errors import StoreError

START_S = 60.0
STOP_S = 60.0
"""Longest time to start, and to stop in order."""

PORTS_TRIED = 3
LOG_LINES_SHOWN = 8
_LINE_CHARACTERS_MAX = 300
_UNUSABLE = 3
"""The exit status of a service that cannot have its address, among other reasons."""
_LOOK_S = 0.05


class ServiceProcess:
    """``grantledger serve`` with the settings ``environment``, its output appended to ``log``. Use as a context manager."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        """Prepare; nothing runs yet."""
        # Nothing of the caller's own settings reaches it.
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("GRANTLEDGER_")}
        package = str(Path(ledger.__file__).resolve().parents[1])
        paths = [package, *filter(None, [inherited.get("PYTHONPATH")])]
        self._environment = {**inherited, "PYTHONPATH": os.pathsep.join(paths), **environment}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.base_url = ""

    def __enter__(self) -> Self:
        """Return it, not started."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End it, in order where there is time for that."""
        self.end()

    @property
    def pid(self) -> int | None:
        """The number of the process that runs, or None."""
        return None if self._process is None else self._process.pid

    def start(self, host_overrides: str) -> None:
        """Start it with webhooks' hosts at ``host_overrides`` and wait until it is ready; raises StoreError."""
        for _ in range(PORTS_TRIED):
            port = _free_port()
            self._spawn(port, host_overrides)
            status = self._becomes_ready()
            if status is None:
                return
            if status != _UNUSABLE or not _is_taken(port):
                break
        raise self.failure("the service did not start")

    def stop(self) -> None:
        """Tell it to stop and wait; raises StoreError where it ended before, or not in order."""
        self.check()
        assert self._process is not None, "checked above"
        self._process.terminate()
        try:
            status = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise self.failure(f"the service did not stop within {STOP_S:.0f} s") from None
        self._process = None
        if status != 0:
            raise self.failure(f"the service did not stop in order (exit status {status})")

    def check(self, grace_s: float = 0.0) -> None:
        """Raise StoreError unless it runs; with ``grace_s`` one that is just ending has so much time for it."""
        if self._process is None:
            raise self.failure("the service does not run")
        try:
            status = self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            return
        else:
            self._process = None
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            raise self.failure(f"the service ended in the middle of the play ({how})")

    def end(self) -> None:
        """End it, if it runs: in order, or after a while, or interrupted in that, by force."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # It hangs, or somebody interrupts this as well: nothing may be left behind.
            process.kill()
            process.wait()

    def _spawn(self, port: int, host_overrides: str) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        words = [sys.executable, "-m", "ledger.cli", "serve", "--json", "--listen", f"127.0.0.1:{port}"]
        with self._log.open("ab") as log:
            # The words are our own, and no shell reads them.
            self._process = subprocess.Popen(  # noqa: S603
                words,
                env={**self._environment, "GRANTLEDGER_HOST_OVERRIDES": host_overrides},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _becomes_ready(self) -> int | None:
        """Wait until it answers that it is ready; the exit status where it ended instead, 0 where it takes too long."""
        assert self._process is not None, "it was started"
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            status = self._process.poll()
            if status is not None:
                self._process = None
                return status
            try:
                if httpx.get(f"{self.base_url}/readyz", timeout=5, trust_env=False).status_code == 200:
                    return None
            except httpx.HTTPError:
                pass  # It does not listen yet.
            time.sleep(_LOOK_S)
        return 0

    def failure(self, what: str) -> StoreError:
        """An error that says ``what`` and how the log of the service ends."""
        try:
            lines = self._log.read_text("utf-8", "replace").splitlines()[-LOG_LINES_SHOWN:]
        except OSError:
            lines = []
        said = "".join(f"\n  {line[:_LINE_CHARACTERS_MAX]}" for line in lines)
        return StoreError(f"{what}; the end of its log, {self._log}:{said or ' nothing'}")


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt the block as SIGINT does, so that what was started in it is ended, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # Connections that have ended keep nobody from listening there.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
