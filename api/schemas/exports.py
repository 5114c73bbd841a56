"""What the calls about exports answer (exports, section 5.5)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class ExportShown(BaseModel):
    """An export: a part of the log with proofs, made by one person and approved by another."""

    export: str
    state: Literal["requested", "approved", "rejected", "sealed"]
    manifest: Annotated[str, Field(description="SHA-256 of its data/export.json, as approved")]
    tree_size: Annotated[int, Field(description="it is about the first so many entries of the log")]
    entries: Annotated[int, Field(description="how many of these it holds")]
    incident: str | None
    requested_by: str
    decided_by: str | None
    created_at: str
    decided_at: str | None
    sealed_at: str | None
    file_sha256: Annotated[str | None, Field(description="of the sealed file")]
    file_bytes: int | None


class ExportsShown(BaseModel):
    """All exports that the caller may see, by age."""

    data: list[ExportShown]


class Recorded(BaseModel):
    """The entry that says so."""

    seq: int
    leaf_hash: str
