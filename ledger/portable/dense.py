"""Python written densely, from its syntax tree: for the portable checker (:mod:`ledger.portable.build`).

What a definition does is left as it is. Annotations go, a docstring becomes a comment behind the name where there is room, a
class that only holds values becomes a named tuple, and short statements share a line: so the whole stays short enough to be
read.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from itertools import groupby

WIDTH = 144
INDENT = "    "

_BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.FunctionDef)


def write_nodes(nodes: Sequence[ast.stmt], attributes: set[str]) -> str:
    """The text of top-level definitions; of classes only the methods that are called (``attributes``)."""
    text = ""
    for is_class, group in groupby(nodes, lambda node: isinstance(node, ast.ClassDef)):
        if is_class:
            text += "".join(
                _write_class(node, attributes) for node in group if isinstance(node, ast.ClassDef)
            )
        else:
            text += "".join(_wrap(line) for line in _block(list(group), ""))
    return text


def find_sentence(text: str) -> str:
    """The first sentence of a docstring, without its full stop."""
    paragraph = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    return re.split(r"(?<=[\w)`\"])[.](?: |$)|; |[;:]+$", paragraph, maxsplit=1)[0].replace("``", "")


def is_kept(member: ast.AST, attributes: set[str]) -> bool:
    """Whether a member of a class is needed: every field, and the methods that something calls."""
    if isinstance(member, ast.FunctionDef):
        return member.name in attributes or member.name.startswith("__")
    is_text = isinstance(member, ast.Expr) and isinstance(member.value, ast.Constant)
    is_slots = isinstance(member, ast.Assign) and ast.unparse(member.targets[0]) == "__slots__"
    return not is_text and not is_slots


def _write_class(node: ast.ClassDef, attributes: set[str]) -> str:
    sentence = find_sentence(ast.get_docstring(node) or "")
    kept = [member for member in node.body if is_kept(member, attributes)]
    methods = [member for member in kept if isinstance(member, ast.FunctionDef)]
    fields = [member for member in kept if isinstance(member, ast.AnnAssign)]
    bases = ", ".join(base for base in map(ast.unparse, node.bases) if base != "NamedTuple")
    head = f"class {node.name}({bases}):".replace("()", "")
    if fields:
        names = " ".join(ast.unparse(member.target) for member in fields)
        defaults = ", ".join(ast.unparse(member.value) for member in fields if member.value is not None)
        made = f"namedtuple('{node.name}', '{names}'{f', defaults=[{defaults}]' if defaults else ''})"
        if not methods:
            return _wrap(f"{node.name} = {made}", sentence)
        head = f"class {node.name}({made}):"
    others = [member for member in kept if not isinstance(member, ast.AnnAssign)]
    if not others:
        return _wrap(f"{head} pass", sentence)
    return _wrap(head, sentence) + "".join(_wrap(line) for line in _block(others, INDENT))


def _block(statements: Sequence[ast.stmt], indent: str) -> list[str]:
    """The lines of ``statements``, short simple ones together."""
    lines: list[str] = []
    joined = ""
    for statement in statements:
        if isinstance(statement, _BLOCKS):
            lines += [indent + joined] if joined else []
            lines += _compound(statement, indent)
            joined = ""
            continue
        text = _simple(statement)
        if joined and len(indent) + len(joined) + len(text) + 2 <= WIDTH:
            joined += f"; {text}"
        elif text:
            lines += [indent + joined] if joined else []
            joined = text
    return [*lines, indent + joined] if joined else lines


def _simple(statement: ast.stmt) -> str:
    """The text of a statement that is one line; nothing for one that only annotates."""
    if isinstance(statement, ast.AnnAssign):
        return (
            ""
            if statement.value is None
            else f"{ast.unparse(statement.target)} = {ast.unparse(statement.value)}"
        )
    if isinstance(statement, ast.Assert):
        return f"assert {ast.unparse(statement.test)}"
    # A tuple on the right needs no parentheses.
    return re.sub(r"^([\w, ]+ = )\((.*)\)$", _bare_tuple, ast.unparse(statement))


def _bare_tuple(match: re.Match[str]) -> str:
    try:
        ast.parse(f"[{match[2]}]")
    except SyntaxError:
        return match[0]
    is_tuple = (
        isinstance(ast.parse(match[0].partition(" = ")[2]).body[0], ast.Expr) and match[1].count(",") > 0
    )
    return f"{match[1]}{match[2]}" if is_tuple else match[0]


def _compound(statement: ast.stmt, indent: str) -> list[str]:
    """The lines of a statement with blocks, and those blocks on the line of their head where they are short."""
    lines: list[str] = []
    for head, body in _clauses(statement):
        inner = _block(body, indent + INDENT)
        is_flat = not any(isinstance(each, _BLOCKS) for each in body)
        if len(inner) == 1 and is_flat and len(indent) + len(head) + len(inner[0].strip()) < WIDTH:
            lines.append(f"{indent}{head} {inner[0].strip()}")
        else:
            lines += [f"{indent}{head}", *inner]
    if isinstance(statement, ast.FunctionDef):
        decorated = [f"{indent}@{ast.unparse(each)}" for each in statement.decorator_list]
        sentence = find_sentence(ast.get_docstring(statement) or "")
        return [*decorated, _commented(lines[0], sentence), *lines[1:]]
    return lines


def _clauses(node: ast.stmt) -> Iterator[tuple[str, Sequence[ast.stmt]]]:
    """The heads of a compound statement, each with its block."""
    match node:
        case ast.FunctionDef():
            arguments = ast.unparse(_bare(node.args))
            has_text = ast.get_docstring(node) is not None
            yield f"def {node.name}({arguments}):", node.body[1:] if has_text else node.body
        case ast.If():
            yield f"if {_bare_walrus(node.test)}:", node.body
            rest = node.orelse
            while len(rest) == 1 and isinstance(rest[0], ast.If):
                yield f"elif {_bare_walrus(rest[0].test)}:", rest[0].body
                rest = rest[0].orelse
            if rest:
                yield "else:", rest
        case ast.For():
            yield f"for {_bare_tuple_text(node.target)} in {ast.unparse(node.iter)}:", node.body
        case ast.While():
            yield f"while {_bare_walrus(node.test)}:", node.body
        case ast.With():
            yield f"with {', '.join(ast.unparse(item) for item in node.items)}:", node.body
        case ast.Try():
            yield "try:", node.body
            for handler in node.handlers:
                kind = "" if handler.type is None else f" {ast.unparse(handler.type)}"
                yield f"except{kind}{f' as {handler.name}' if handler.name else ''}:", handler.body
            if node.finalbody:
                yield "finally:", node.finalbody


def _bare_walrus(test: ast.expr) -> str:
    text = ast.unparse(test)
    return text[1:-1] if isinstance(test, ast.NamedExpr) else text


def _bare_tuple_text(target: ast.expr) -> str:
    text = ast.unparse(target)
    return text[1:-1] if isinstance(target, ast.Tuple) and text.startswith("(") else text


def _bare(arguments: ast.arguments) -> ast.arguments:
    copied = ast.parse(f"def copied({ast.unparse(arguments)}): pass").body[0]
    assert isinstance(copied, ast.FunctionDef), "it was written as one"
    for argument in (*copied.args.posonlyargs, *copied.args.args, *copied.args.kwonlyargs):
        argument.annotation = None
    return copied.args


def _commented(line: str, sentence: str) -> str:
    """``line`` with ``sentence`` as a comment behind it, or as much of its beginning as there is room for."""
    room = WIDTH - len(line) - 4
    for text in (
        sentence,
        *(sentence[: found.start()] for found in [*re.finditer(r"[,:(]| where | when ", sentence)][::-1]),
    ):
        if 12 < len(text.strip()) <= room:
            return f"{line}  # {text.strip()}"
    return line


def _wrap(line: str, sentence: str = "") -> str:
    """``line``, in several where it is too long, with ``sentence`` as a comment behind it where there is room."""
    line = _commented(line, sentence) if sentence else line
    indent = line[: len(line) - len(line.lstrip())]
    if len(line) <= WIDTH:
        return f"{line}\n"
    lines, current = [], indent
    for piece in _pieces(line.lstrip()):
        if len(current) + len(piece.rstrip()) > WIDTH and current.strip():
            lines.append(current.rstrip())
            current, piece = indent + INDENT * 2, piece.lstrip()
        current += piece
    return "\n".join([*lines, current.rstrip()]) + "\n"


def _pieces(line: str) -> Iterator[str]:
    """``line`` in pieces between which it may be broken: within brackets, between tokens, and at the spaces of long texts."""
    depth, start = 0, 0
    for token in tokenize.generate_tokens(io.StringIO(line + "\n").readline):
        begin, end = token.start[1], token.end[1]
        if token.type == tokenize.OP:
            depth += (token.string in "([{") - (token.string in ")]}")
        if depth and token.type == tokenize.STRING and end - begin > WIDTH // 2:
            yield line[start:begin]
            yield from _split_text(token.string)
            start = end
        elif depth and end > start and token.string in (",", "and", "or", "else", "for", "if"):
            cut = end if token.string == "," else begin
            yield line[start:cut]
            start = cut
    yield line[start:]


def _split_text(text: str) -> list[str]:
    """A text's literal as several that mean the same, none of them long; broken at spaces that stand in no braces."""
    prefix, quote = ("f", text[1]) if text[0] == "f" else ("", text[0])
    parts, current, depth = [], "", 0
    for char in text[len(prefix) + 1 : -1]:
        depth += (char == "{") - (char == "}")
        current += char
        if char == " " and depth == 0 and len(current) > WIDTH // 3:
            parts.append(current)
            current = ""
    parts.append(current)
    made = [f"{prefix}{quote}{part}{quote}" for part in parts if part]
    return [f"{part} " for part in made[:-1]] + made[-1:]
