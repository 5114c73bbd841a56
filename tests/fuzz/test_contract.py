"""Every operation of the OpenAPI document under generated requests, as each kind of caller: no 5xx, no breach of contract.

``GRANTLEDGER_FUZZ_EXAMPLES`` says how many examples an operation gets from each caller; ``scripts/fuzz`` runs 200.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, cast, get_args

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from oauthlib.oauth1 import Client
from schemathesis.checks import CHECKS

from ledger.ports.credentials import Role
from tests.api.callers import FORM, Caller, Signer
from tests.support.service_world import ServiceWorld

EXAMPLES = int(os.environ.get("GRANTLEDGER_FUZZ_EXAMPLES", "5"))
ROLES: tuple[str, ...] = (*get_args(Role), "bearer", "owner", "user", "nobody")
SIGNED = frozenset({"owner", "user"})
TOO_LONG = frozenset({413, 414, 431})
"""What a generated request may run into before its operation is reached."""

# A generated value may be well formed and still name nothing; and who may call is tested by itself.
EXCLUDED = ("positive_data_acceptance", "ignored_auth")
# The signature is put on after generation, over what a client library can sign.
EXCLUDED_SIGNED = ("negative_data_rejection", "missing_required_header")


class SignedBy(requests.auth.AuthBase):
    """OAuth 1.0a as a client library signs."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        signer = self._signer
        client = Client(
            signer.consumer_key,
            client_secret=signer.consumer_secret,
            resource_owner_key=signer.token or None,
            resource_owner_secret=signer.token_secret or None,
        )
        is_form = FORM in (request.headers.get("content-type") or "")
        body = request.body.decode() if isinstance(request.body, bytes) else cast("str | None", request.body)
        try:
            _, headers, _ = client.sign(
                cast(str, request.url),
                http_method=cast("Any", request.method),
                body=(body or None) if is_form else None,
                headers={"Content-Type": FORM} if is_form and body else {},
            )
            request.headers["Authorization"] = headers["Authorization"]
        except ValueError:
            # Nothing that a client library could sign.
            request.headers["Authorization"] = 'OAuth oauth_consumer_key="none"'
        return request


class PresentedAs(requests.auth.AuthBase):
    """A bearer token or an API key."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._text}"
        return request


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceWorld]:
    with ServiceWorld(tmp_path_factory.mktemp("fuzz")) as made:
        made.serve()
        yield made


@pytest.fixture(scope="module")
def callers(world: ServiceWorld) -> dict[str, requests.auth.AuthBase | None]:
    caller = Caller.new(world, environments=("prod", "Dev"))
    caller.webhook()
    account = world.new_account("783214")
    made: dict[str, requests.auth.AuthBase | None] = {
        "bearer": PresentedAs(caller.bearer.text),
        "owner": SignedBy(caller.owner),
        "user": SignedBy(caller.user(account)),
        "nobody": None,
    }
    for role in get_args(Role):
        subject = {"developer": caller.app.developer, "person": account.tag, "business": account.tag}.get(
            role, ""
        )
        made[role] = PresentedAs(caller._issuing.issue_key(role, subject).text)
    return made


def check(case: Any, role: str, auth: requests.auth.AuthBase | None) -> None:
    """One request as ``role``, and what its answer has to keep to."""
    try:
        response = case.call(**({} if auth is None else {"auth": auth}))
    except requests.exceptions.InvalidHeader:
        return  # no client sends it
    assert response.status_code < 500, f"{case.method} {case.path}: {response.status_code}"
    if response.status_code in TOO_LONG:
        return
    names = EXCLUDED + (EXCLUDED_SIGNED if role in SIGNED else ())
    case.validate_response(response, excluded_checks=[CHECKS.get_one(name) for name in names])


@pytest.mark.parametrize("role", ROLES)
def test_no_request_breaks_the_contract(
    world: ServiceWorld, callers: dict[str, requests.auth.AuthBase | None], role: str
) -> None:
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{world.port}/openapi.json")
    operations = [cast("Any", result).ok() for result in schema.get_all_operations()]
    assert len(operations) > 50
    for operation in operations:
        run: Callable[[], None] = settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )(given(case=operation.as_strategy())(lambda case: check(case, role, callers[role])))
        run()
