"""The reference of the command line, made from the commands' own help; docs/cli.md holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import cache
from io import StringIO

import typer
from typer.main import get_command

from ledger.cli.app import NAME, app
from ledger.cli.output import Output

_HEAD = """\
# The command line

Made by `scripts/docs_cli` from what `--help` says; a test fails when it is not.
"""


def command_names(group: typer.Typer = app, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names of all commands below ``group``, each as the words after the program's name, groups among them."""
    for command in group.registered_commands:
        yield (*path, command.name or _name_of(command.callback))
    for below in group.registered_groups:
        assert below.name is not None, "every group is registered with its name"
        yield (*path, below.name)
        if below.typer_instance is not None:
            yield from command_names(below.typer_instance, (*path, below.name))


def render_help(words: tuple[str, ...]) -> str:
    """What ``grantledger`` with ``words`` and ``--help`` prints."""
    said = StringIO()
    with redirect_stdout(said):
        _whole()(args=[*words, "--help"], prog_name=NAME, standalone_mode=False)
    return said.getvalue().strip()


def render_reference() -> str:
    """The whole page, in Markdown."""
    sections = [
        f"## {' '.join((NAME, *words))}\n\n```text\n{render_help(words)}\n```\n"
        for words in ((), *command_names())
    ]
    return "\n".join([_HEAD, *sections])


@cache
def _whole() -> Callable[..., object]:
    return get_command(app).main


def _name_of(callback: object) -> str:
    return getattr(callback, "__name__", "").replace("_", "-")


if __name__ == "__main__":
    Output().raw(render_reference().encode())
