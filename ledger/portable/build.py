"""Makes the portable checker: one file of the standard library that holds what the core says, and nothing else.

There is one truth about proofs, and it stands in the core. This takes the functions and classes that the checker's command
reaches, module by module, and writes them below each other, densely, so that the whole can be read in one sitting: without
annotations, docstrings as a comment behind the name, methods only where something calls them, plain value classes as named
tuples (:mod:`ledger.portable.dense`). What Python 3.8 spells otherwise is spelt so (:data:`SPELLINGS`); names that two
modules use for different things are told apart by the module's. A test makes the file again and compares.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files

from ledger.portable.dense import INDENT, WIDTH, find_sentence, is_kept, write_nodes

ENTRY = ("ledger.portable.command", "main")
BAG_ENTRY = ("ledger.portable.bag_command", "check_directory")

SPELLINGS = (
    # The text is encoded again and compared, which refuses all that the stricter mode does.
    (re.compile(r"a2b_base64\(text, strict_mode=True\)"), "a2b_base64(text)"),
    (re.compile(r"([\w.]+)\.bit_count\(\)"), r"bin(\1).count('1')"),
    # Each of these stands behind a look that the prefix is there.
    (re.compile(r"(\w+)\.removeprefix\((\w+)\)"), r"\1[len(\2):]"),
    (re.compile(r"int\.from_bytes\(([\w.]+)\)"), r"int.from_bytes(\1, 'big')"),
)
"""What is written otherwise for Python 3.8: a pattern and its replacement."""

_HEAD = '''\
#!/usr/bin/env python3
"""Checks proofs of a grantledger log, with nothing but Python (3.8 or later): python3 verify.py FILE [--vkey KEY]

Made from grantledger's core by its `scripts/portable`. Apache-2.0, the grantledger authors. Formats: its docs/check-us.md.
"""
'''

_BAG_HEAD = '''\
"""Checks exports of a grantledger log; verify.py beside it uses this when it is given a directory: python3 verify.py DIR

Made from grantledger's core by its `scripts/portable`. Apache-2.0, the grantledger authors. Formats: its docs/exports.md.
"""
'''

_TAIL = """\
if __name__ == '__main__': sys.exit(main())
"""


@dataclass(slots=True)
class Source:
    """A module's top-level names: what defines each, where imported ones come from, and the lines that import libraries."""

    name: str
    about: str
    definitions: dict[str, ast.stmt] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)
    library: dict[str, str] = field(default_factory=dict)


def build() -> str:
    """The text of the portable file."""
    made, _ = _collect(ENTRY, {}, set())
    imports = made.imports | {"import sys", "from collections import namedtuple"}
    return _HEAD + _import_lines(imports) + "\n" + made.text + _TAIL


def build_bag() -> str:
    """The text of the second portable file: what checks exports and is not in the first one, which it imports."""
    first, names = _collect(ENTRY, {}, set())
    made, _ = _collect(BAG_ENTRY, names, first.attributes)
    used = {node.id for node in ast.walk(ast.parse(made.text)) if isinstance(node, ast.Name)}
    taken = textwrap.wrap(", ".join(sorted(used & set(names.values()))), WIDTH - len(INDENT))
    imports = made.imports | {"from collections import namedtuple"}
    imported = "from verify import (\n" + "".join(f"{INDENT}{line}\n" for line in taken) + ")\n"
    return _BAG_HEAD + _import_lines(imports) + "\n" + imported + "\n" + made.text


@dataclass(frozen=True, slots=True)
class _Collected:
    """The text of all that an entry point reaches, the lines that import libraries, and every name behind a dot."""

    text: str
    imports: set[str]
    attributes: set[str]


def _collect(
    entry: tuple[str, str], known: Mapping[tuple[str, str], str], needed: set[str]
) -> tuple[_Collected, dict[tuple[str, str], str]]:
    """What ``entry`` reaches and is not ``known`` by a name in another file, and the name of all of it.

    ``needed`` are the names behind a dot in that other file, whose classes have no other methods.
    """
    sources: dict[str, Source] = {}
    reached, attributes = _reach(entry, sources)
    order = _order(entry, sources, reached)
    names = _tell_apart(order, reached, known)
    imports, parts = set(), []
    for source in order:
        renamed = _renamings(source, names)
        nodes = {
            id(node): node
            for name, node in source.definitions.items()
            if (source.name, name) in reached and (source.name, name) not in known
        }
        _check_methods(source, known, attributes - needed)
        if not nodes:
            continue
        body = _written(list(nodes.values()), renamed, attributes)
        for pattern, replacement in SPELLINGS:
            body = pattern.sub(replacement, body)
        imports |= {line for name, line in source.library.items() if re.search(rf"(?<!\.)\b{name}\b", body)}
        # What is one line needs no heading.
        heading = f"# {source.name.removeprefix('ledger.')}: {source.about}\n" if body.count("\n") > 1 else ""
        parts.append(heading + body)
    return _Collected("".join(parts), imports, attributes), names


def _check_methods(source: Source, known: Mapping[tuple[str, str], str], attributes: set[str]) -> None:
    """A class of the other file has just the methods that are called there: no others may be needed here."""
    for name, node in source.definitions.items():
        if isinstance(node, ast.ClassDef) and (source.name, name) in known:
            methods = {member.name for member in node.body if isinstance(member, ast.FunctionDef)}
            assert not methods & attributes, f"{name}.{methods & attributes} is not in the other file"


def _import_lines(imports: set[str]) -> str:
    modules = sorted(line.removeprefix("import ") for line in imports if line.startswith("import"))
    lines = [f"import {', '.join(modules)}"]
    for line in sorted(line for line in imports if line.startswith("from")):
        if lines[1:] and len(lines[-1]) + len(line) + 2 <= WIDTH:
            lines[-1] += f"; {line}"
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def load(name: str) -> Source:
    """The module ``name`` as a source."""
    package, _, module = name.rpartition(".")
    tree = ast.parse(files(package).joinpath(f"{module}.py").read_text("utf-8"))
    source = Source(name, find_sentence(ast.get_docstring(tree) or ""))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            source.definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            source.definitions.update((name, node) for target in targets for name in _stored(target))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ledger"):
            source.imported.update((alias.name, (str(node.module), alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            for alias in node.names:
                line = f"from {node.module} import {alias.name}"
                source.library[alias.asname or alias.name] = line + (
                    f" as {alias.asname}" if alias.asname else ""
                )
        elif isinstance(node, ast.Import):
            source.library.update((alias.name, f"import {alias.name}") for alias in node.names)
    return source


def _stored(target: ast.expr) -> Iterator[str]:
    return (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _written(nodes: list[ast.stmt], renamed: dict[str, str], attributes: set[str]) -> str:
    text = write_nodes(nodes, attributes)
    for name, new in renamed.items():
        text = re.sub(rf"(?<![\w.'\"]){name}\b", new, text)
    return text


def _reach(entry: tuple[str, str], sources: dict[str, Source]) -> tuple[set[tuple[str, str]], set[str]]:
    """Every ``(module, name)`` that the command needs, and every name behind a dot in them; fills ``sources``."""
    reached: set[tuple[str, str]] = set()
    attributes: set[str] = set()
    while True:
        found, dotted = {entry}, set(attributes)
        for module, name in reached:
            source = sources[module]
            for node in _parts(source.definitions[name], attributes):
                if isinstance(node, ast.Attribute):
                    dotted.add(node.attr)
                elif isinstance(node, ast.Name) and node.id in source.definitions:
                    found.add((module, node.id))
                elif isinstance(node, ast.Name) and node.id in source.imported:
                    found.add(source.imported[node.id])
        for module, _ in found:
            if module not in sources:
                sources[module] = load(module)
        if found <= reached and dotted <= attributes:
            return reached, attributes
        reached |= found
        attributes = dotted


def _parts(node: ast.AST, attributes: set[str]) -> Iterator[ast.AST]:
    """``node`` and all below it that is kept: no annotations, and of a class only what something needs."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns") or (isinstance(node, ast.ClassDef) and name == "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not (
                isinstance(node, ast.ClassDef) and not is_kept(child, attributes)
            ):
                yield from _parts(child, attributes)


def _order(entry: tuple[str, str], sources: dict[str, Source], reached: set[tuple[str, str]]) -> list[Source]:
    """The modules, each after those that it imports from."""
    used = {module for module, _ in reached}
    ordered: dict[str, Source] = {}

    def visit(name: str) -> None:
        if name in ordered or name not in sources:
            return
        for module in sorted({module for module, _ in sources[name].imported.values()}):
            visit(module)
        ordered[name] = sources[name]

    visit(entry[0])
    return [source for source in ordered.values() if source.name in used]


def _tell_apart(
    order: Iterable[Source], reached: set[tuple[str, str]], known: Mapping[tuple[str, str], str]
) -> dict[tuple[str, str], str]:
    """``(module, name)`` -> its name in the file, another one where an earlier module, or ``known``, has it already."""
    names: dict[tuple[str, str], str] = dict(known)
    for source in order:
        for name in source.definitions:
            if (source.name, name) in reached and (source.name, name) not in names:
                short = source.name.rpartition(".")[2]
                is_taken = name in names.values()
                names[source.name, name] = f"_{short}_{name.lstrip('_')}" if is_taken else name
    return names


def _renamings(source: Source, names: dict[tuple[str, str], str]) -> dict[str, str]:
    renamed = {name: names.get((source.name, name), name) for name in source.definitions}
    renamed |= {name: names.get(origin, name) for name, origin in source.imported.items()}
    return {name: new for name, new in renamed.items() if new != name}
