"""``grantledger serve``: one process of the service, from its start to its clean stop.

The command line knows this module by its name alone (``ledger`` imports nothing of ``api``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from api.app import create_app
from api.metrics import CONTENT_TYPE, Metrics, RequestMetrics
from api.service import Service
from api.worker import ROLES, Role, Worker
from ledger.errors import LedgerError
from ledger.serving import run_server

KEEP_ALIVE_SECONDS = 30
GRACE_SECONDS = 10
CONNECTIONS_MAX = 2_000
HEADER_BYTES_MAX = 32_768

log = structlog.get_logger()


def build(service: Service, roles: Collection[Role] = ROLES) -> tuple[FastAPI, Worker]:
    """The application, and what runs beside it, of one process with ``roles``; nothing is started."""
    metrics = Metrics(service)
    worker = Worker(service, metrics, roles)
    app = create_app(service) if "api" in roles else FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(RequestMetrics, metrics=metrics)

    def is_ready() -> list[str]:
        try:
            service.ledger.store.size()
        except LedgerError:
            return ["the database cannot be read", *worker.problems()]
        return worker.problems()

    async def readyz() -> Response:
        """Whether this process can do its work now, with the reasons why not."""
        problems = await run_in_threadpool(is_ready)
        return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)

    async def metrics_text() -> Response:
        """Counters for Prometheus."""
        return Response(await run_in_threadpool(metrics.exposition), media_type=CONTENT_TYPE)

    async def healthz() -> Response:
        """Whether the process serves requests."""
        return JSONResponse({"status": "ok"})

    if "api" not in roles:
        app.add_api_route("/healthz", healthz, include_in_schema=False)
    app.add_api_route("/readyz", readyz, include_in_schema=False)
    app.add_api_route("/metrics", metrics_text, include_in_schema=False)
    return app, worker


def serve(service: Service, roles: Collection[Role], on_listening: Callable[[], None]) -> bool:
    """Serve until the process is told to stop (SIGINT, SIGTERM); whether everything ended cleanly.

    ``on_listening`` is called once requests are taken. Raises LedgerError when the ledger cannot be written to.
    """
    app, worker = build(service, roles)
    config = uvicorn.Config(
        app,
        host=service.settings.listen_host,
        port=service.settings.listen_port,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=CONNECTIONS_MAX,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
    )
    worker.start()
    has_listened = False
    try:
        has_listened = run_server(config, on_listening)
    finally:
        is_clean = worker.stop()
    return is_clean and has_listened
