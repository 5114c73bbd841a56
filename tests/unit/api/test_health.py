"""The health route, asked over HTTP from a real server on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from api.app import create_app
from ledger import __version__

STARTED_WITHIN_S = 20.0


@pytest.fixture
def base_url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            give_up_at = time.monotonic() + STARTED_WITHIN_S
            while not server.started:
                assert thread.is_alive(), "the server ended before it served"
                assert time.monotonic() < give_up_at, f"the server did not start within {STARTED_WITHIN_S} s"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(STARTED_WITHIN_S)


def test_a_running_server_says_that_it_is_up_and_which_version_it_is(base_url: str) -> None:
    response = httpx.get(f"{base_url}/healthz", trust_env=False)
    assert (response.status_code, response.json()) == (200, {"status": "ok", "version": __version__})


def test_a_route_that_does_not_exist_is_not_found(base_url: str) -> None:
    assert httpx.get(f"{base_url}/healthz/nothing", trust_env=False).status_code == 404
