"""The developers' tools, ``/v1/developer/…``: what a developer needs to see why something did not arrive."""

from __future__ import annotations

from fastapi import APIRouter

from api.openapi import responses
from api.routes import developer_deliveries, developer_webhooks
from api.routes.developer_caller import Developer
from api.schemas import developer as bodies
from api.wording import format_millisecond

router = APIRouter(prefix="/v1/developer", tags=["Developers' tools"])


@router.get("/apps", summary="Your apps", responses=responses(401, 403))
def list_apps(caller: Developer) -> bodies.AppList:
    """The apps that you may see: one with a bearer token, all of yours with an API key."""
    data = [
        bodies.App(
            app=app.app,
            name=app.name,
            developer=app.developer,
            environments=list(app.environments),
            can_write=app.can_write,
            created_at=format_millisecond(app.created_at_ms),
        )
        for app in caller.apps
    ]
    return bodies.AppList(data=data, meta=bodies.Page(result_count=len(data)))


router.include_router(developer_webhooks.router)
router.include_router(developer_deliveries.router)
