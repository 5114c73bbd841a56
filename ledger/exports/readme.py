"""The page in an export that says what it is and how to check it (exports, section 5.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.exports.bag_writer import WrittenFile
from ledger.reporting.page import render_page

SECTIONS = (
    ("what", "What this is"),
    ("check", "How to check it"),
    ("counts", "What is in it"),
    ("keys", "What is complete"),
    ("limits", "What it does not show"),
    ("files", "The files"),
)


def render_readme(manifest: Mapping[str, Any], files: Mapping[str, WrittenFile]) -> str:
    """The page of an export with this ``manifest``, which holds ``files`` beside the page itself."""
    return render_page(
        "export.html",
        {
            "headline": f"Export {manifest['export']} of {manifest['origin']}",
            "sections": SECTIONS,
            "manifest": manifest,
            "files": sorted(files.values(), key=lambda file: file.path),
        },
    )
