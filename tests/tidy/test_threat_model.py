"""docs/threat-model.md names tests that exist, and is honest where nothing catches a lie yet."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w./]+\.py)::(\w+)`")


def functions_of(path: Path) -> set[str]:
    """The test functions that ``path`` defines; none where it is not there."""
    if not path.exists():
        return set()
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def lies() -> list[list[str]]:
    """The cells of every row of every table, without the heads."""
    rows = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if row[0].strip() not in ("---", "lie", "who")]


def test_every_test_that_is_named_exists() -> None:
    missing = [
        f"{path}::{name}" for path, name in NAMED.findall(PAGE) if name not in functions_of(ROOT / path)
    ]
    assert missing == []


def test_every_lie_has_a_test_or_is_not_caught_yet() -> None:
    unproven = [lie for lie, caught, shown in lies() if not NAMED.search(shown) and "**nothing" not in caught]
    assert len(lies()) > 40
    assert unproven == []


def test_the_last_column_holds_nothing_but_tests() -> None:
    assert [shown for *_, shown in lies() if NAMED.sub("", shown).strip()] == []
