"""The web application and its health route.

:func:`create_app` builds an application without touching a database, a key or the network, so that a server,
a test and a tool that reads the OpenAPI text all build the same one.
"""

from __future__ import annotations

from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel

from ledger import __version__


class Health(BaseModel):
    """What ``GET /healthz`` answers: the process serves requests, and which version it is."""

    status: Literal["ok"]
    version: str


def create_app() -> FastAPI:
    """A new application with every route; two calls share nothing."""
    app = FastAPI(title="grantledger", version=__version__)

    @app.get("/healthz")
    async def healthz() -> Health:
        """Whether the process serves requests; says nothing about the ledger behind it."""
        return Health(status="ok", version=__version__)

    return app
