"""What the calls about receipts and egress counts take and answer, for the OpenAPI text."""

from __future__ import annotations

from typing import Any, Final

from api.schemas.ingest import batch_of, results_of, schema_of
from ledger.gateway.egress_counts import CountResult
from ledger.gateway.receipts import ReceiptResult

_PROPERTIES: Final[dict[str, Any]] = {
    "payload": {"type": "string", "description": "base64 of the statement's canonical bytes"},
    "payloadType": {"type": "string"},
    "signatures": {
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": {
            "type": "object",
            "required": ["sig"],
            "properties": {"keyid": {"type": "string"}, "sig": {"type": "string"}},
            "additionalProperties": False,
        },
    },
    "ticket": {"type": "string", "description": "the header x-ledger-entry, where there was one"},
}
_ENVELOPE: Final = {
    "type": "object",
    "description": "A DSSE envelope over a receipt, and beside it the ticket that came with the delivery.",
    "required": ["payload", "payloadType", "signatures"],
    "properties": _PROPERTIES,
    "additionalProperties": False,
}

ENVELOPE: Final[dict[str, Any]] = {
    **_ENVELOPE,
    "description": "A DSSE envelope.",
    "properties": {name: schema for name, schema in _PROPERTIES.items() if name != "ticket"},
}

_COUNT: Final = {
    **_ENVELOPE,
    "description": "A DSSE envelope over what a proxy counted in an hour.",
    "properties": {name: schema for name, schema in _PROPERTIES.items() if name != "ticket"},
}

COUNTS: Final = batch_of(_COUNT)
COUNT_RESULTS: Final = results_of(schema_of(CountResult))
BATCH: Final = batch_of(_ENVELOPE)
RESULTS: Final = results_of(schema_of(ReceiptResult))
