"""The house's style, as far as the linters have no rule for it: limits on everything, no loose ends, no local paths."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("ledger", "api", "scripts")
FILE_LINES_MAX = 400
MADE = {"ledger/portable/verify.py": 600, "ledger/portable/verify_bag.py": 600}
"""Files that are made from others, and how long they may be."""
FUNCTION_LINES_MAX = 70
LOOSE_ENDS = re.compile(r"\b(TODO|FIXME|XXX)\b|pragma: no cover|pytest\.(mark\.)?(skip|xfail)")
STUBS = re.compile(r"\bNotImplementedError\b")
LOCAL_PATHS = re.compile(r"(?<![\w.~}-])/(home|root|work)/")
TEXT_SUFFIXES = {
    "",
    ".cfg",
    ".css",
    ".go",
    ".html",
    ".ini",
    ".js",
    ".lock",
    ".mako",
    ".md",
    ".py",
    ".sh",
    ".toml",
    ".txt",
}
NOT_SOURCE = {"build", "dist", "node_modules", "reenactment-out"}
ASSERTING_CALLS = re.compile(r"^(check|assert)_|^(raises|warns|fail|run_state_machine_as_test)$")


def walk(*tops: str) -> Iterator[Path]:
    """Every file below ``tops`` (the project when none is given) that somebody wrote."""
    for path in sorted(path for top in tops or (".",) for path in (ROOT / top).rglob("*")):
        folders = path.relative_to(ROOT).parts[:-1]
        made = any(
            name in NOT_SOURCE or name == "__pycache__" or name.endswith(".egg-info") for name in folders
        )
        hidden = any(name.startswith(".") and name != ".ci" for name in folders)
        if path.is_file() and not made and not hidden:
            yield path


def sources(*tops: str) -> list[Path]:
    return [path for path in walk(*tops) if path.suffix == ".py"]


def texts(*tops: str) -> Iterator[tuple[Path, str]]:
    """Every text but this one, which names what it looks for."""
    for path in walk(*tops):
        if (
            path.suffix in TEXT_SUFFIXES
            and not path.name.startswith(".")
            and path != Path(__file__).resolve()
        ):
            yield path, path.read_text("utf-8")


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def matches(pattern: re.Pattern[str], found: Iterable[tuple[Path, str]]) -> list[str]:
    """Each line that ``pattern`` is found in, as ``path:line: text``."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, text in found
        for number, line in enumerate(text.split("\n"), 1)
        if pattern.search(line)
    ]


def called_name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def is_asserting(function: ast.AST, helpers: frozenset[str] = frozenset()) -> bool:
    """Whether ``function`` has an assert, expects an exception, or calls a check or one of ``helpers``."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and (
            ASSERTING_CALLS.search(called_name(node)) or called_name(node) in helpers
        ):
            return True
    return False


def test_no_source_file_is_longer_than_400_lines() -> None:
    lines = {
        str(path.relative_to(ROOT)): text.count("\n")
        for path, text in texts(*SHIPPED)
        if path.suffix != ".html"
    }
    assert {name: count for name, count in lines.items() if count > MADE.get(name, FILE_LINES_MAX)} == {}


def test_no_function_is_longer_than_70_lines() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{function.lineno}: {function.name}"
        for path in sources(*SHIPPED)
        for function in functions(parse(path))
        if (function.end_lineno or 0) - function.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources(*SHIPPED, "migrations", "tests")
        if ast.get_docstring(parse(path)) is None and path.read_bytes()
    ]
    assert silent == []


def test_nothing_is_left_for_later() -> None:
    assert matches(LOOSE_ENDS, texts()) == []


def test_nothing_that_is_shipped_is_a_stub() -> None:
    assert matches(STUBS, texts(*SHIPPED)) == []


def test_no_text_names_a_path_of_one_machine() -> None:
    assert matches(LOCAL_PATHS, texts()) == []


def test_every_test_asserts_something() -> None:
    silent = []
    for path in sources("tests"):
        tree = parse(path)
        helpers = frozenset(function.name for function in functions(tree) if is_asserting(function))
        silent += [
            f"{path.relative_to(ROOT)}:{function.lineno}: {function.name}"
            for function in functions(tree)
            if function.name.startswith("test_") and not is_asserting(function, helpers)
        ]
    assert silent == []


def test_every_dependency_is_forbidden_to_the_core() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = {contract["id"]: contract for contract in project["tool"]["importlinter"]["contracts"]}
    required = {re.split(r"[^A-Za-z0-9_.-]", text)[0].lower() for text in project["project"]["dependencies"]}
    modules = {
        module
        for module, distributions in packages_distributions().items()
        if not module.startswith("_") and required & {name.lower() for name in distributions}
    }
    assert len(modules) >= len(required) - 1
    assert modules - set(contracts["pure-core"]["forbidden_modules"]) == set()
