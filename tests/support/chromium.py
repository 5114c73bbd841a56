"""Headless Chromium that shows a page from memory, and a record of everything it asked for or complained of.

Chromium is sent through a proxy of this process, which answers for one made-up host and nothing else: a request to
anywhere else is recorded and refused, so that no test depends on a network or reaches one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "http://report.example"
_CANDIDATES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-component-extensions-with-background-pages",
    "--disable-client-side-phishing-detection",
    "--disable-domain-reliability",
    "--disable-field-trial-config",
    "--metrics-recording-only",
    "--no-pings",
    "--gaia-url=http://127.0.0.1:9",
    "--disable-features=NetworkTimeServiceQuerying,OptimizationHints,MediaRouter,Translate",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)
_BROWSERS_OWN = frozenset({"update.googleapis.com:443"})
"""What Chromium asks for by itself, whatever it shows and however it is told not to; nothing is served from there."""

_console = re.compile(r"CONSOLE[^\"]*(\".*)$", re.MULTILINE)


@dataclass
class Visit:
    """What came of showing a page: its document, a screenshot where one was taken, requests and console messages."""

    dom: str
    screenshot: bytes = b""
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)


def find_chromium() -> str:
    """The Chromium of this machine; AssertionError with the fix where there is none."""
    for name in (os.environ.get("CHROMIUM", ""), *_CANDIDATES):
        path = shutil.which(name) if name else None
        if path:
            return path
    raise AssertionError(
        "no Chromium here: run scripts/test, or `apt-get install chromium`, or set CHROMIUM to one"
    )


def visit(pages: Mapping[str, str], path: str = "/", *, size: tuple[int, int] | None = None) -> Visit:
    """Show ``pages[path]``; with ``size`` in pixels take a screenshot, else read the document as it then is."""
    requests: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer for the made-up host; refuse and record all else."""
            page = pages.get(self.path.removeprefix(HOST))
            requests.append(self.path)
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write((page or "").encode())

        def do_CONNECT(self) -> None:
            """Refuse every tunnel."""
            if self.path not in _BROWSERS_OWN:
                requests.append(self.path)
            self.send_error(403)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
            return _run(Path(profile), server.server_address[1], path, size, requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _run(profile: Path, port: int, path: str, size: tuple[int, int] | None, requests: list[str]) -> Visit:
    image = profile / "page.png"
    what = [f"--window-size={size[0]},{size[1]}", f"--screenshot={image}"] if size else ["--dump-dom"]
    proxy = [f"--proxy-server=http://127.0.0.1:{port}", "--proxy-bypass-list=<-loopback>"]
    command = [find_chromium(), *_FLAGS, *proxy, f"--user-data-dir={profile}", *what, f"{HOST}{path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    shot = image.read_bytes() if size else b""
    return Visit(done.stdout, shot, list(requests), _console.findall(done.stderr))
