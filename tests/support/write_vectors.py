"""Writes this project's own conformance vectors: ``scripts/vectors`` runs it."""

from __future__ import annotations

from pathlib import Path

from tests.support.own_vectors import all_cases, text_of

VECTORS = Path(__file__).resolve().parents[2] / "docs" / "vectors"


def write() -> None:
    """Write every case, and remove those that are none any more."""
    cases = {VECTORS / f"{name}.json": text_of(case) for name, case in all_cases()}
    for path, text in cases.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")
    for path in VECTORS.rglob("*.json"):
        if path not in cases:
            path.unlink()


if __name__ == "__main__":
    write()
