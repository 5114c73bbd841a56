"""Help teaches: every command explains itself with an example, and docs/cli.md repeats what it says."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from ledger.cli.reference import command_names, render_help, render_reference
from tests.support.cli_process import ROOT

COMMANDS = [" ".join(words) for words in ((), *command_names())]
GROUPS = [
    name
    for name in COMMANDS
    if any(other.startswith(f"{name} ".lstrip()) for other in COMMANDS if other != name)
]
shown_by = cache(lambda command: render_help(tuple(command.split())))
SLOW_TO_IMPORT = ("alembic", "cryptography", "duckdb", "httpx", "pyarrow", "rich", "sqlalchemy", "structlog")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example_that_runs_grantledger(command: str) -> None:
    assert f"  grantledger {command.partition(' ')[0]}" in shown_by(command)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_its_exit_status_means(command: str) -> None:
    assert "Exit status" in shown_by(command)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in GROUPS])
def test_every_command_takes_the_options_that_all_share(command: str) -> None:
    shown = shown_by(command)
    options = ("--json", "--quiet") if "Needs no ledger" in shown else ("--db URL", "--json", "--quiet")
    assert all(option in shown for option in options)


def test_the_list_of_commands_cuts_no_line_short() -> None:
    assert "..." not in shown_by("").partition("Commands:")[2]


def test_the_page_in_docs_is_what_the_commands_say() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert page == render_reference(), "docs/cli.md is stale: run scripts/docs_cli"


def test_help_imports_nothing_that_is_slow() -> None:
    probe = "import sys, ledger.cli.app; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(SLOW_TO_IMPORT).isdisjoint(loaded.stdout.split())
