"""The README's quick start, run as it stands there: every command, its exit status and the output that is shown."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cli_process import ROOT, Workplace

README = ROOT / "README.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMANDS = ("init", "import", "seal", "verify", "exposure", "show", "log publish", "verify --tiles")


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the README: its words, the lines shown below it (``...`` for some left out) and its status."""

    words: tuple[str, ...]
    shown: tuple[str, ...]
    status: int


def quick_start() -> str:
    """The section of that name."""
    return README.read_text("utf-8").partition("\n## Quick start\n")[2].partition("\n## ")[0]


def steps(text: str) -> Iterator[Step]:
    """The commands in the console blocks of ``text``; ``echo $?`` follows where the status is not 0."""
    told: list[tuple[str, list[str]]] = []
    for line in "".join(BLOCK.findall(text)).splitlines():
        if line.startswith("$ "):
            told.append((line[2:], []))
        else:
            told[-1][1].append(line)
    for place, (command, shown) in enumerate(told):
        if command == "echo $?":
            continue
        asked = place + 1 < len(told) and told[place + 1][0] == "echo $?"
        yield Step(tuple(shlex.split(command)), tuple(shown), int(told[place + 1][1][0]) if asked else 0)


STEPS = tuple(steps(quick_start()))


def is_shown(shown: tuple[str, ...], out: str) -> bool:
    """Whether ``out`` holds the lines ``shown`` in this order, with nothing between them but where ``...`` stands."""
    parts = [r"(?:.*\n)*?" if line == "..." else re.escape(line.rstrip()) + r"[ ]*\n" for line in shown]
    return re.fullmatch("".join(parts), out) is not None


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    directory = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "docs" / "examples", directory / "docs" / "examples")
    return Workplace(directory, starts_python=True)


def test_every_command_of_the_quick_start_does_what_is_shown_below_it(workplace: Workplace) -> None:
    for step in STEPS:
        assert step.words[0] == "grantledger"
        done = workplace.run(*step.words[1:])
        assert done.status == step.status, (step.words, done.err)
        assert is_shown(step.shown, done.text), (step.words, done.text)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_quick_start_shows_each_command_that_a_newcomer_needs(command: str) -> None:
    assert any(" ".join(step.words[1:]).startswith(command) for step in STEPS)


def test_only_the_shown_output_is_the_shown_output() -> None:
    assert is_shown(("a", "...", "d"), "a\nb\nc\nd\n")
    assert not is_shown(("a", "d"), "a\nb\nd\n")


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    pages = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
        if not target.startswith("https://") and not leads_somewhere(page, target)
    ]
    assert broken == []


def leads_somewhere(page: Path, target: str) -> bool:
    """Whether ``target``, a link in ``page``, names a file, and a heading of it where it has a ``#``."""
    name, _, heading = target.partition("#")
    path = page.parent / name if name else page
    if not path.exists():
        return False
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE) if heading else []
    return not heading or heading in {
        re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings
    }
