"""The published log itself, for readers of tlog-tiles (C2SP tlog-tiles; transparency formats, sections 4.3 and 4.4).

::

    /checkpoint                      the signed checkpoint, with the witnesses' lines
    /log.vkey                        the log's public key, a line
    /tile/<L>/<N>[.p/<W>]            hash tiles
    /tile/entries/<N>[.p/<W>]        entry bundles

Checkpoint, key and tiles are anybody's. Entry bundles hold tags, which show when something happened to *someone*, and to
the same someone again, so they are for auditors; ``GRANTLEDGER_PUBLIC_ENTRIES=1`` shows them to everybody. A path that is
not spelled exactly as the format does is not there.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Security
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.deps import API_KEY, key_with, service_of, static_log_of
from api.openapi import responses
from api.problems import ProblemError
from ledger.core.tiles import ENTRIES_LEVEL, TileId, parse_path
from ledger.errors import FormatError

router = APIRouter(tags=["log"])

CHECKPOINT_CACHE: Final = "public, max-age=1"
"""A checkpoint is replaced every few seconds at most; whoever shares a cache shares a second."""
IMMUTABLE: Final = "max-age=31536000, immutable"
KEY_CACHE: Final = "public, max-age=300"
GZIP_BYTES_MIN: Final = 1_024
GZIP_LEVEL: Final = 6

# Documented, and answered as unknown (404) where a path is none.
_TILE: Final[dict[str, Any]] = {"pattern": r"^[0-9]{1,2}/(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?$"}
_BUNDLE: Final[dict[str, Any]] = {"pattern": r"^(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?$"}

_OCTETS: Final[dict[str, Any]] = {
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
}
_TEXT: Final[dict[str, Any]] = {"text/plain": {"schema": {"type": "string"}}}
_OPEN: Final = {
    # What is public may be read by pages of others, too: a verifier that runs in a browser.
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
}
_split_coding = re.compile(r"\s*([^\s;,]+)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?", re.ASCII).fullmatch

_auditor = key_with("auditor")


async def reader_of_entries(request: Request, _: Annotated[None, Security(API_KEY)]) -> None:
    """An auditor's key, unless entries are shown to everybody."""
    if not service_of(request).settings.public_entries:
        await _auditor(request, None)


_Reader = Annotated[None, Depends(reader_of_entries)]


@router.get(
    "/checkpoint",
    summary="The published checkpoint",
    response_class=Response,
    response_model=None,
    responses={
        200: {"description": "A signed note.", "content": _TEXT},
        304: {"description": "It is the one that `If-None-Match` names."},
        **responses(404, 503),
    },
)
async def read_checkpoint(request: Request) -> Response:
    """What the log has signed last and, where a policy asks for witnesses, what these have cosigned."""
    note = await run_in_threadpool(static_log_of(request).load_checkpoint)
    if note is None:
        raise ProblemError("not-found", "Nothing is sealed yet.")
    tag = f'"{hashlib.sha256(note).hexdigest()[:32]}"'
    headers = {"cache-control": CHECKPOINT_CACHE, "etag": tag, **_OPEN}
    if _is_named(tag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(note, headers=headers, media_type="text/plain; charset=utf-8")


@router.get(
    "/log.vkey",
    summary="The log's public key",
    response_class=Response,
    response_model=None,
    responses={200: {"description": "A verifier key.", "content": _TEXT}, **responses(503)},
)
async def read_vkey(request: Request) -> Response:
    """The key that the log says is its own; compare it with one that came by another way."""
    headers = {"cache-control": KEY_CACHE, **_OPEN}
    return Response(
        f"{service_of(request).ledger.vkey}\n", headers=headers, media_type="text/plain; charset=utf-8"
    )


# Asked before the tiles: a level is never called `entries`.
@router.get(
    "/tile/entries/{bundle:path}",
    summary="A bundle of entries",
    response_class=Response,
    response_model=None,
    responses={
        200: {"description": "Up to 256 entries, each behind its length.", "content": _OCTETS},
        **responses(401, 403, 404, 503),
    },
)
async def read_bundle(
    request: Request,
    _: _Reader,
    bundle: Annotated[
        str, Path(json_schema_extra=_BUNDLE, description="`<N>[.p/<W>]`", examples=["000.p/1"])
    ],
) -> Response:
    """Entries as the tree has them. For auditors, unless the operator shows them to everybody."""
    is_public = service_of(request).settings.public_entries
    data = await _load(request, f"tile/entries/{bundle}")
    headers = {
        "cache-control": f"{'public' if is_public else 'private'}, {IMMUTABLE}",
        "vary": "accept-encoding" if is_public else "accept-encoding, authorization",
        **(_OPEN if is_public else {}),
    }
    if len(data) >= GZIP_BYTES_MIN and _takes_gzip(request.headers.get("accept-encoding", "")):
        packed = await run_in_threadpool(gzip.compress, data, GZIP_LEVEL, mtime=0)
        if len(packed) < len(data):
            data, headers["content-encoding"] = packed, "gzip"
    return Response(data, headers=headers, media_type="application/octet-stream")


@router.get(
    "/tile/{tile:path}",
    summary="A tile of hashes",
    response_class=Response,
    response_model=None,
    responses={
        200: {"description": "Up to 256 hashes of the tree, 32 bytes each.", "content": _OCTETS},
        **responses(404, 503),
    },
)
async def read_tile(
    request: Request,
    tile: Annotated[
        str, Path(json_schema_extra=_TILE, description="`<L>/<N>[.p/<W>]`", examples=["0/000.p/1"])
    ],
) -> Response:
    """Hashes of the tree as far as the published checkpoint covers it; never compressed, because hashes do not shrink."""
    data = await _load(request, f"tile/{tile}")
    headers = {"cache-control": f"public, {IMMUTABLE}", **_OPEN}
    return Response(data, headers=headers, media_type="application/octet-stream")


async def _load(request: Request, path: str) -> bytes:
    """The file at ``path``; raises ProblemError (404) unless the log has published it and the path is spelled as it is."""
    tile = _tile_at(request, path)
    data = None if tile is None else await run_in_threadpool(static_log_of(request).load, tile)
    if data is None:
        raise ProblemError("not-found", "The published log has no such file.")
    return data


def _tile_at(request: Request, path: str) -> TileId | None:
    # The framework undoes escapes; a file that is never named with any has one name.
    if b"%" in request.scope.get("raw_path", b""):
        return None
    try:
        tile = parse_path(path)
    except FormatError:
        return None
    return tile if (tile.level == ENTRIES_LEVEL) == path.startswith("tile/entries/") else None


def _is_named(tag: str, if_none_match: str) -> bool:
    names = [name.strip().removeprefix("W/") for name in if_none_match.split(",")]
    return "*" in names or tag in names


def _takes_gzip(accept_encoding: str) -> bool:
    """Whether the client takes gzip (RFC 9110, section 12.5.3): named, or covered by ``*``, with a weight above 0."""
    weights: dict[str, float] = {}
    for part in accept_encoding.split(","):
        found = _split_coding(part)
        if found is None:
            continue
        try:
            weights[found[1].lower()] = 1.0 if found[2] is None else float(found[2])
        except ValueError:
            continue
    return weights.get("gzip", weights.get("*", 0.0)) > 0
