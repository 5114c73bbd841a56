"""The page for developers, run as it stands there: every command, against a served ledger and a real receiver."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_process import ROOT
from tests.support.service_world import ServiceWorld

PAGE = ROOT / "docs" / "api.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BASE = "http://127.0.0.1:8400"
END = "@@@ end of the command"


def steps() -> list[tuple[str, str]]:
    """Each command of the page with what is shown below it."""
    told: list[tuple[str, str]] = []
    for line in "".join(BLOCK.findall(PAGE.read_text("utf-8"))).splitlines():
        if line.startswith("$ "):
            told.append((line[2:], ""))
        else:
            told[-1] = (told[-1][0], told[-1][1] + line)
    return told


def shape_of(value: Any) -> Any:
    """The names and types of a JSON value: what is the same whenever the command is run."""
    if isinstance(value, dict):
        return {name: shape_of(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape_of(member) for member in value]
    return type(value).__name__


class Shell:
    """One bash in which the commands run one after the other."""

    def __init__(self, world: ServiceWorld, directory: Path) -> None:
        tools = directory / "bin"
        tools.mkdir(parents=True)
        command = tools / "grantledger"
        command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m ledger.cli "$@"\n')
        command.chmod(0o755)
        path = f"{tools}:/usr/local/bin:/usr/bin:/bin"
        self._world = world
        self._app_file = directory / "app.json"
        self._process = subprocess.Popen(
            [shutil.which("bash") or "bash", "--noprofile", "--norc"],
            cwd=directory,
            env={"PATH": path, "HOME": str(directory), **world.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        """The exit status of ``command``, and what it printed."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{command}\nSTATUS=$?; echo; echo '{END}' $STATUS\n")
        process.stdin.flush()
        said = ""
        for line in process.stdout:
            if line.startswith(END):
                self._introduce()
                return int(line.removeprefix(END)), said.strip()
            said += line
        raise AssertionError(f"the shell ended at {command!r}: {said}")

    def _introduce(self) -> None:
        """Tell the receivers the secret of the app that was made, as its developer would."""
        if self._app_file.exists() and self._app_file.stat().st_size:
            self._world.receiver.trust(json.loads(self._app_file.read_text())["consumer_secret"])

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    directory = tmp_path_factory.mktemp("docs")
    with ServiceWorld(directory / "service", hosts=("deskline.example",)) as world:
        world.serve()
        shell = Shell(world, directory / "developer")
        yield shell
        shell.close()


def test_every_command_of_the_page_does_what_is_shown_below_it(shell: Shell) -> None:
    for command, shown in steps():
        status, said = shell.run(command.replace(BASE, f"http://127.0.0.1:{shell._world.port}"))
        assert status == 0, (command, said)
        if shown:
            assert shape_of(json.loads(said)) == shape_of(json.loads(shown)), (command, said)
        else:
            assert "errors" not in said, (command, said)


@pytest.mark.parametrize(
    "call",
    ["all/prod/webhooks.json", "/2/webhooks", "subscriptions/all", "/2/webhooks/replay", "/v1/developer/"],
)
def test_the_page_shows_each_kind_of_call(call: str) -> None:
    assert any(call in command for command, _ in steps())


def test_every_path_of_the_tools_is_told_on_the_page(shell: Shell) -> None:
    text = PAGE.read_text("utf-8")
    from api.app import create_app

    paths = create_app(shell._world.service).openapi()["paths"]
    tools = {path.removeprefix("/v1/developer/") for path in paths if path.startswith("/v1/developer/")}
    assert tools
    assert {path for path in tools if path.replace("webhook_id", "id") not in text} == set()
