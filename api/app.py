"""The web application: every route, and what stands around all of them.

:func:`create_app` puts it together from a service that somebody else has built: it reads no environment, opens nothing and
starts nothing, so that a server, a test and a tool that reads the OpenAPI text all build the same one. From the outside in a
request passes the frame (request id, headers, the last resort), the bounds on bodies, the table of problems, its route.

The framework's documentation pages are off, because they load scripts from elsewhere; ``/openapi.json`` is there for tools.
So are its redirects for a missing slash, because they trust the Host header.
"""

from __future__ import annotations

from typing import Literal

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from api import openapi
from api.auth import Authenticator
from api.body_limits import BodyLimits
from api.frame import RequestFrame
from api.oauth_server import OAuthServer
from api.problems import ProblemError, handle
from api.routes import (
    account,
    account_activity_enterprise,
    account_activity_v1,
    account_activity_v2,
    canaries,
    developer,
    egress,
    exports,
    grants,
    incidents,
    ingest,
    notices,
    oauth,
    obligation_steps,
    obligations,
    pages,
    privacy,
    receipts,
    tables,
    tlog,
)
from api.service import Service
from api.sessions import Sessions
from ledger import __version__
from ledger.errors import LedgerError
from ledger.transparency.static_log import StaticLog

ROUTES = (
    # The busiest first: each route is asked in turn whether a path is its own.
    ingest,
    receipts,
    tlog,
    oauth,
    pages,
    account,
    grants,
    account_activity_v1,
    account_activity_enterprise,
    account_activity_v2,
    developer,
    canaries,
    egress,
    exports,
    tables,
    notices,
    obligation_steps,
    obligations,
    incidents,
    privacy,
)
"""Modules with a ``router``, in the order in which they are asked whether a path is theirs."""


class Health(BaseModel):
    """What ``GET /healthz`` answers: the process serves requests, and which version it is."""

    status: Literal["ok"]
    version: str


def create_app(service: Service) -> FastAPI:
    """A new application over ``service`` with every route; two calls share nothing but the service."""
    app = FastAPI(
        title="grantledger",
        version=__version__,
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    authenticator = Authenticator(service)
    app.state.service = service
    app.state.authenticator = authenticator
    app.state.oauth_server = OAuthServer(service, authenticator)
    app.state.sessions = Sessions(service)
    app.state.static_log = StaticLog(service.ledger.store, service.ledger.record.load)
    for exception in (ProblemError, HTTPException, RequestValidationError, LedgerError):
        app.add_exception_handler(exception, handle)
    # The last one added is the outermost.
    app.add_middleware(BodyLimits)
    is_https = all(base_url.startswith("https://") for base_url in service.settings.external_urls)
    app.add_middleware(RequestFrame, randomness=service.randomness, is_https=is_https)
    app.add_api_route("/healthz", healthz, tags=["service"])
    for module in ROUTES:
        app.include_router(module.router)
    openapi.install(app)
    return app


async def healthz() -> Health:
    """Whether the process serves requests; says nothing about the ledger behind it."""
    return Health(status="ok", version=__version__)
