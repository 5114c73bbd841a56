"""Parts of the OpenAPI text that several routes share, where the framework cannot make them from a signature.

Calls that OAuth 1.0a signs declare no body of their own, because their form is part of what is signed and is read with the
signature (:mod:`api.parameters`); what they take is said here.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.convertors import Convertor, register_url_convertor

from api.routes.webhook_calls import WEBHOOK_ID_PATTERN


class _Id(Convertor[str]):
    """An id in a path, written ``{name:id}``: any segment but the words that stand where ids stand.

    Without it a wrong method at ``…/subscriptions/list.json`` or ``/2/webhooks/replay`` would be taken for a call about
    an account ``list`` or a webhook ``replay``.
    """

    regex = r"(?!(?:list\.json|replay)\Z)[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", _Id())

NO_CONTENT: Final[dict[int | str, dict[str, Any]]] = {204: {"description": "Done; there is no body."}}

NUMERIC: Final[dict[str, Any]] = {"pattern": WEBHOOK_ID_PATTERN}
"""For ids in paths: documented, and answered as unknown (404) where they are none."""

URL_EXAMPLE: Final = "https://hooks.example/webhooks/twitter"
DATE_PATTERN: Final = r"^[0-9]{12}$"


def parameters_anywhere(
    properties: dict[str, dict[str, Any]], *, required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The ``openapi_extra`` of a call whose parameters may stand in the query, a form or a JSON object.

    None is required in any one place; ``required`` are named in the description of the body.
    """
    schema = {"type": "object", "properties": properties}
    described = f"Any of these may stand in the query instead. Needed: {', '.join(required)}."
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": shape}
            for name, shape in properties.items()
        ],
        "requestBody": {
            "required": False,
            "description": described,
            "content": {
                "application/json": {"schema": schema},
                "application/x-www-form-urlencoded": {"schema": schema},
            },
        },
    }


URL_PARAMETER: Final = parameters_anywhere(
    {
        "url": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2048,
            "description": "https, without a port, public.",
            "examples": [URL_EXAMPLE],
        }
    },
    required=("url",),
)

_DATES: Final[dict[str, dict[str, Any]]] = {
    "from_date": {
        "type": "string",
        "pattern": DATE_PATTERN,
        "description": "First minute, yyyymmddhhmm, UTC, within the last five days.",
        "examples": ["202501150000"],
    },
    "to_date": {
        "type": "string",
        "pattern": DATE_PATTERN,
        "description": "The minute behind the last one, yyyymmddhhmm, UTC, in the past.",
        "examples": ["202501150100"],
    },
}

DATE_PARAMETERS: Final = parameters_anywhere(_DATES, required=("from_date", "to_date"))

REPLAY_PARAMETERS: Final = parameters_anywhere(
    {"webhook_id": {"type": "string", "pattern": WEBHOOK_ID_PATTERN, "examples": ["1146654567674912769"]}}
    | _DATES,
    required=("webhook_id", "from_date", "to_date"),
)
