"""The second portable file, which checks exports: made from the core, too, and for any Python from 3.8 on."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from ledger.portable import build

SCRIPT = Path(build.__file__).with_name("verify_bag.py")
LINES_MAX = 600


def test_the_script_is_what_the_core_says_now() -> None:
    assert SCRIPT.read_text("utf-8") == build.build_bag(), "run scripts/portable"


def test_the_script_is_short_enough_to_be_read() -> None:
    assert SCRIPT.read_text("utf-8").count("\n") < LINES_MAX


def test_the_script_uses_nothing_that_python_3_8_lacks() -> None:
    tree = ast.parse(SCRIPT.read_text("utf-8"), feature_version=(3, 8))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert (
        names & {"bit_count", "removeprefix", "removesuffix", "batched", "pairwise", "cache", "file_digest"}
        == set()
    )
    modules = {node.names[0].name for node in ast.walk(tree) if isinstance(node, ast.Import)}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.partition(".")[0] for module in modules} <= {*sys.stdlib_module_names, "verify"}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    keywords = {keyword.arg for call in calls for keyword in call.keywords}
    assert keywords & {"strict_mode", "slots", "strict", "kw_only"} == set()
    merged = [
        node for node in ast.walk(tree) if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.BitOr)
    ]
    assert merged == [], "dictionaries cannot be merged by an operator before 3.9"


def test_every_name_that_it_takes_from_the_first_file_is_there(tmp_path: Path) -> None:
    for name in ("verify.py", "verify_bag.py"):
        (tmp_path / name).write_bytes(SCRIPT.with_name(name).read_bytes())
    command = [
        sys.executable,
        "-B",
        "-S",
        "-c",
        "import verify_bag; print(verify_bag.check_directory.__name__)",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("check_directory\n", "")
