"""An incident's document as lines for people: aligned fields, small tables, a timeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ledger.cli.output import Field

BAR_CHARACTERS = 24
TIMELINE_SHOWN = 40

Document = Mapping[str, Any]


def incident_line(row: Document) -> str:
    """An incident in one line."""
    of = f" of {row['cause_of']}" if row["cause_of"] else ""
    told = f"{row['cause']}{of}  {row['status']}  revision {row['revision']}  since {row['opened_at']}"
    if "is_assessed" in row:
        told += "  assessed anew" if row["is_assessed"] else "  as before"
    return told


def document_fields(document: Document, only: Sequence[str] | None = None) -> list[Field]:
    """The fields of ``incident show``; with ``only`` those of these labels."""
    made: dict[str, Callable[[Document], str]] = {
        "incident": lambda it: incident_line(it) + (f"\n{it['title']}" if it["title"] else ""),
        "people": _people,
        "window": _window,
        "receivers": _receivers,
        "data": lambda it: _table(
            [[one["in_words"], f"{one['records']:,} records"] for one in it["data_categories"]]
        ),
        "codes": _codes,
        "frozen": _frozen,
        "aware since": _aware,
        "moments": _moments,
        "deadlines": _deadlines,
        "risk": _risk,
        "notices": lambda it: _table(
            [
                [one["medium"], one["state"], f"{one['notices']:,}", f"{one['read']:,} read"]
                for one in it["notices"]
            ]
        ),
        "described": lambda it: _table(
            [[field, _short(one["text"]), one["by"]] for field, one in sorted(it["texts"].items())]
        ),
        "decisions": lambda it: _table(
            [[one["at"], one["decision"], one["by"], _short(one["text"])] for one in it["decisions"]]
        ),
        "authorities": lambda it: _table(
            [[one["at"], one["jurisdiction"], one["notification"], one["by"]] for one in it["authorities"]]
        ),
        "updates": lambda it: _table(
            [[f"{one['number']}", one["published_at"], _short(one["text"])] for one in it["updates"]]
        ),
        "timeline": lambda it: _table(
            [[one["at"], one["what"], one["by"]] for one in it["timeline"][-TIMELINE_SHOWN:]]
        ),
    }
    wanted = made if only is None else {name: made[name] for name in only}
    told = [(label, draw(document)) for label, draw in wanted.items()]
    return [(label, text or "none") for label, text in told if text or only is not None]


def draft_fields(draft: Document) -> list[Field]:
    """The fields of ``incident art33``."""
    late = ", late" if draft["is_late"] else ""
    fields: list[Field] = [
        ("draft", f"{draft['form']}, {draft['notification']} notification, {draft['jurisdiction']}{late}"),
        ("filled", f"{len(draft['fields'])} fields"),
    ]
    section = None
    for one in draft["fields"]:
        if one["section"] != section:
            section = one["section"]
            fields.append((section, ""))
        fields.append((f"  {one['label']}", _short(_said(one["value"]))))
    missing = _table([[one["label"], one["hint"]] for one in draft["missing"]])
    fields.append(("missing", missing or "nothing"))
    if draft["to_follow"]:
        fields.append(("to follow", ", ".join(one["label"] for one in draft["to_follow"])))
    return fields


def open_duties(document: Document) -> list[str]:
    """What is left to be done about an incident, whatever its status is, a line each."""
    left = [
        f"{one['policy']} {one['jurisdiction'] or 'everywhere'}, due {one['due_at']}"
        for one in document["deadlines"]
        if one["state"] in ("open", "overdue")
    ]
    left += [
        f"{owed['obligation']} of {one['developer']} is {owed['state']}"
        for one in document["recipients"]
        for owed in one["obligations"]
        if owed["state"] not in ("CLOSED", "WAIVED")
    ]
    return left + [
        f"{one['developer']} was not asked to delete anything"
        for one in document["recipients"]
        if not one["obligations"]
    ]


def _people(document: Document) -> str:
    made = document["assessment"]
    if made is None:
        return ""
    share = 100 * made["share_of_active_accounts"]
    rows = [
        [name, f"{made[key]['definite']:,} definite", f"{made[key]['possible']:,} possible"]
        for name, key in (("accounts", "accounts"), ("other people", "others"))
    ]
    of = f"{share:.3f} % of the {made['active_accounts']:,} accounts active then"
    return f"{made['people']:,} altogether, {of}\n{_table(rows)}"


def _window(document: Document) -> str:
    made = document["assessment"]
    if made is None:
        return ""
    return f"{made['window_from']} to {made['window_to']}, {made['deliveries']:,} deliveries, {made['copies']:,} copies"


def _receivers(document: Document) -> str:
    made = document["assessment"]
    if made is None:
        return ""
    most = max((one["definite"] + one["possible"] for one in made["developers"]), default=1)
    deletion = {one["developer"]: one["deletion"] for one in document["recipients"]}
    rows = []
    for one in made["developers"]:
        count = one["definite"] + one["possible"]
        bar = "#" * max(1, round(BAR_CHARACTERS * count / most))
        told = f"{one['definite']:,} definite, {one['possible']:,} possible"
        rows.append([one["developer"], f"{bar:<{BAR_CHARACTERS}}", told, deletion.get(one["developer"], "")])
    return _table(rows)


def _codes(document: Document) -> str:
    made = document["assessment"]
    if made is None:
        return ""
    return _table([[one["code"], f"{one['definite'] + one['possible']:,}"] for one in made["codes"]])


def _frozen(document: Document) -> str:
    made = document["assessment"]
    if made is None:
        return ""
    return (
        f"revision {made['revision']} as of tree size {made['tree_size']:,}, {made['findings']:,} findings\n"
        f"findings root {made['findings_root']}\nlog root {made['root']}"
    )


def _aware(document: Document) -> str:
    aware = document["awareness"]
    return "" if aware is None else f"{aware['at']} ({aware['moment']}: {_short(aware['evidence'])})"


def _moments(document: Document) -> str:
    return _table(
        [
            [
                ">" if one["starts_the_clock"] else "",
                one["at"],
                one["moment"],
                "defensible" if one["is_defensible"] else "an investigation begins",
                _short(one["evidence"]),
            ]
            for one in document["moments"]
        ]
    )


def _deadlines(document: Document) -> str:
    return _table(
        [
            [
                one["due_at"],
                one["policy"],
                one["jurisdiction"] or "everywhere",
                one["period"],
                one["state"].upper() if "late" in one["state"] or one["state"] == "overdue" else one["state"],
            ]
            for one in document["deadlines"]
        ]
    )


def _risk(document: Document) -> str:
    risk = document["risk"]
    if risk["level"] is None:
        return ""
    return f"{risk['level']}, says {risk['author'] or 'nobody'}: {_short(risk['reasoning'] or 'no reasons')}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """``rows`` in columns, a line each."""
    if not rows:
        return ""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _short(text: str, most: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _said(value: Any) -> str:
    """A value of a form's field, in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "; ".join(_said(each) for each in value)
    return str(value)
