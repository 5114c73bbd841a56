"""A witness over HTTP (C2SP tlog-witness; transparency formats, section 4.6).

::

    POST /add-checkpoint      the protocol
    GET  /evidence            names of the evidence kept, with log and time
    GET  /evidence/<name>     one of them, for anybody to check
    GET  /witness.vkey        its public key
    GET  /healthz, /metrics

Nobody authenticates: a checkpoint counts by the log's signature. What is not the protocol is public, too, and holds nothing
but what logs have signed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import structlog
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ledger.core.add_checkpoint import PATH, REQUEST_BYTES_MAX
from ledger.errors import LedgerError
from ledger.witness.place import OpenedWitness
from ledger.witness.witness import JSON_MEDIA_TYPE, TEXT_MEDIA_TYPE, Answer

BODY_SECONDS_MAX = 10.0
METRICS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

log = structlog.get_logger()


class WitnessApp:
    """The application of one opened witness."""

    def __init__(self, opened: OpenedWitness) -> None:
        self._opened = opened
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "grantledger_witness_requests",
            "Requests for a cosignature, by the status they were answered with.",
            ["status"],
            registry=self._registry,
        )
        self._registry.register(_Known(opened))

    def application(self) -> Starlette:
        """The witness as an ASGI application."""
        return Starlette(
            routes=[
                Route(f"/{PATH}", self._add_checkpoint, methods=["POST"]),
                Route("/evidence", self._list_evidence),
                Route("/evidence/{name}", self._show_evidence),
                Route("/witness.vkey", self._show_vkey),
                Route("/healthz", self._healthz),
                Route("/metrics", self._metrics),
            ]
        )

    async def _add_checkpoint(self, request: Request) -> Response:
        answer = await self._answer(request)
        self._requests.labels(str(answer.status)).inc()
        # As a header: the framework would add a charset to whatever begins with text/, and the protocol has none there.
        return Response(answer.body, answer.status, {**_HEADERS, "content-type": answer.media_type})

    async def _answer(self, request: Request) -> Answer:
        try:
            async with asyncio.timeout(BODY_SECONDS_MAX):
                body = await _read(request)
        except (TimeoutError, ClientDisconnect):
            return Answer(408, b"the request did not arrive in time\n")
        if body is None:
            return Answer(413, b"the request is too large\n")
        try:
            return await run_in_threadpool(self._opened.witness.add_checkpoint, body)
        except LedgerError as error:
            # Nothing is known to be persisted, so nothing was cosigned; the log asks again.
            log.error("witness.failed", reason=str(error))
            return Answer(503, b"the witness cannot persist what it would cosign; ask again\n")

    async def _list_evidence(self, request: Request) -> Response:
        kept = await run_in_threadpool(self._opened.book.evidence)
        rows = [{"name": one.name, "origin": one.origin, "seen_at": one.seen_at_s} for one in kept]
        return JSONResponse({"evidence": rows}, headers=_HEADERS)

    async def _show_evidence(self, request: Request) -> Response:
        kept = await run_in_threadpool(self._opened.book.evidence_named, request.path_params["name"])
        if kept is None:
            return Response(b"there is no such evidence\n", 404, _HEADERS, TEXT_MEDIA_TYPE)
        return Response(kept.data, 200, _HEADERS, JSON_MEDIA_TYPE)

    async def _show_vkey(self, request: Request) -> Response:
        return Response(f"{self._opened.signer.vkey()}\n".encode(), 200, _HEADERS, TEXT_MEDIA_TYPE)

    async def _healthz(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "name": self._opened.signer.name}, headers=_HEADERS)

    async def _metrics(self, request: Request) -> Response:
        text = await run_in_threadpool(generate_latest, self._registry)
        return Response(text, 200, _HEADERS, METRICS_MEDIA_TYPE)


async def _read(request: Request) -> bytes | None:
    """The body, or None where it is larger than any request is; counted as it arrives, whatever its header claims."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > REQUEST_BYTES_MAX:
            return None
        parts.append(part)
    return b"".join(parts)


class _Known(Collector):
    """What is looked up when somebody asks: how far each log was cosigned, and the evidence against it."""

    def __init__(self, opened: OpenedWitness) -> None:
        self._book = opened.book

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The state now; what cannot be read is left out."""
        sizes = GaugeMetricFamily(
            "grantledger_witness_size", "Entries cosigned last, by log.", labels=["origin"]
        )
        times = GaugeMetricFamily(
            "grantledger_witness_cosigned_seconds",
            "When a log was cosigned last (Unix time).",
            labels=["origin"],
        )
        kept = GaugeMetricFamily(
            "grantledger_witness_evidence",
            "Pieces of evidence kept against a log: forks, and what it has not explained.",
            labels=["origin"],
        )
        try:
            evidence = [one.origin for one in self._book.evidence()]
            for origin in self._book.origins():
                last = self._book.load(origin)
                sizes.add_metric([origin], 0 if last is None else last.size)
                times.add_metric([origin], 0 if last is None else last.cosigned_at_s)
                kept.add_metric([origin], evidence.count(origin))
        except LedgerError:
            return
        yield from (sizes, times, kept)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: asking costs a look at the database."""
        return iter(())
