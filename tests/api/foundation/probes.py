"""Routes that only say who called and with what, so that callers and limits are tested by themselves."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request

from api.auth import AppCaller, KeyCaller, UserCaller
from api.deps import any_of_app, app_only, key_with, limited, owner, owner_or_app, user
from api.json_bodies import json_object
from api.parameters import parameters_of
from api.problems import ProblemError
from ledger.errors import ConflictError, ForkError, RejectedError, StoreError, UsageError
from ledger.gateway.subscriptions import DuplicateSubscription
from ledger.gateway.webhooks import WebhookRefused

SECRET_TEXT = "postgresql://user:hunter2@host/783214"

FAULTS: dict[str, Exception] = {
    "store": StoreError(SECRET_TEXT),
    "fork": ForkError(SECRET_TEXT),
    "bug": KeyError(SECRET_TEXT),
    "rejected": RejectedError("the grant is dead"),
    "conflict": ConflictError("the uid is taken"),
    "usage": UsageError("say it otherwise"),
    "webhook": WebhookRefused("CrcValidationFailed", "High latency on CRC GET request."),
    "duplicate": DuplicateSubscription(),
}


def add_probes(app: FastAPI) -> None:
    """Add the probing routes under each dialect's paths."""
    for prefix in ("/1.1", "/2", "/v1"):
        router = APIRouter(prefix=f"{prefix}/probe", include_in_schema=False)
        _add_callers(router)
        _add_bodies(router)
        app.include_router(router)


def _add_callers(router: APIRouter) -> None:
    for name, dependency in (
        ("app", app_only),
        ("owner", owner),
        ("owner_or_app", owner_or_app),
        ("any", any_of_app),
        ("user", user),
        ("limited", limited("count", any_of_app)),
        ("limited_user", limited("replay", user)),
    ):
        router.add_api_route(f"/{name}", _teller(dependency), methods=["GET", "POST"], name=name)

    @router.get("/key")
    def key(caller: Annotated[KeyCaller, Depends(key_with("auditor", "operator"))]) -> dict[str, str]:
        return {"key": caller.key.key}

    @router.get("/limited_failing")
    def failing(caller: Annotated[AppCaller, Depends(limited("count", app_only))]) -> None:
        raise ProblemError("not-found")


def _teller(dependency: Any) -> Any:
    async def tell(
        request: Request,
        caller: AppCaller | UserCaller = Depends(dependency),  # noqa: B008 - a closure
    ) -> dict[str, Any]:
        told: dict[str, Any] = {"app": caller.app.app, "parameters": dict(await parameters_of(request))}
        if isinstance(caller, UserCaller):
            return told | {"account": caller.account.tag, "signed": caller.signed_text.decode()}
        return told | {"by": caller.by}

    return tell


def _add_bodies(router: APIRouter) -> None:
    @router.post("/json")
    async def read_json(request: Request) -> dict[str, int]:
        return {"members": len(await json_object(request))}

    @router.post("/bytes")
    async def read_bytes(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @router.get("/typed/{number}")
    def typed(number: int, limit: int) -> dict[str, int]:
        return {"sum": number + limit}

    @router.get("/fault/{name}")
    def fault(name: str) -> None:
        raise FAULTS[name]
