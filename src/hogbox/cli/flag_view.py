"""The output of `hogbox flags` on a terminal: tables, trees and lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from hogbox._wire.printable import counted, json_text
from hogbox.cli.terminal import Terminal, say
from hogbox.flags import Explanation, FilterExplanation, FlagResult
from hogbox.flags._words.change import Difference
from hogbox.flags._words.description import FlagDescription

_STYLES = {
    "match": "green",
    "no match": "red",
    "out of rollout": "red",
    "unknown": "yellow",
    "skipped": "dim",
    "paused": "red",
    "held out": "red",
}


def print_view(view: RenderableType) -> None:
    """Print it in the width of the terminal; flag keys are never interpreted as markup."""
    Terminal().print(view)


def print_document(document: Any) -> None:
    """Print JSON."""
    say(json_text(document, indent=2))


def flag_table(
    described: Iterable[FlagDescription], changed: Mapping[str, int], oldest: int, *, revision: int
) -> RenderableType:
    """A table with one flag per row. `oldest` is the oldest revision kept. Empty columns are left out."""
    rows = [_cells(one, changed.get(one.key), oldest) for one in described]
    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = [name for name in (rows[0] if rows else ()) if any(row[name] for row in rows)]
    for name in shown:
        table.add_column(name, overflow="fold", no_wrap=name == "flag")
    for row in rows:
        table.add_row(*(Text(row[name]) for name in shown))
    return Group(table, Text(f"{counted(len(rows), 'flag')}, revision {revision}", style="dim"))


def _cells(one: FlagDescription, changed: int | None, oldest: int) -> dict[str, str]:
    variants = ", ".join(f"{key} {percentage:g} %" for key, percentage in one.variants)
    return {
        "flag": one.key,
        "active": _yes(one.active),
        "kind": f"{one.kind}: {variants}" if variants else one.kind,
        "rollout": one.rollout,
        "conditions": str(len(one.conditions)),
        "depends on": ", ".join(one.depends_on),
        "payloads": ", ".join(one.payloads),
        "experiment": "" if one.experiment is None else _yes(one.experiment),
        "changed": f"{oldest} or earlier" if changed is None else str(changed),
    }


def flag_view(one: FlagDescription) -> RenderableType:
    """One flag as a tree of sentences."""
    tree = Tree(Text(f"{one.key}{f': {one.name}' if one.name else ''}", style="bold"))
    inactive = f"not active: {'off' if one.default is None else 'your default'} for everybody"
    tree.add(Text(f"{'active' if one.active else inactive}, {one.kind}; rollout: {one.rollout}"))
    if one.default is None:
        none = "none: off for everybody"
        _branch(tree, "conditions (the first that matches decides)", _numbered(one.conditions), none)
    else:
        _branch(tree, "rules (the first that decides)", _numbered(one.conditions))
        tree.add(Text(f"otherwise: {one.default}"))
    if one.holdout:
        tree.add(Text(f"before them: {one.holdout}"))
    _branch(tree, "variants", (f"{key}: {percentage:g} %" for key, percentage in one.variants))
    _branch(tree, "payloads", (f"{value}: {_payload(payload)}" for value, payload in one.payloads.items()))
    _branch(tree, "cohorts", (f"{number}: {words}" for number, words in one.cohorts.items()))
    _branch(tree, "depends on", one.depends_on)
    if one.experiment is not None:
        tree.add(Text(f"experiment: {_yes(one.experiment)}"))
    _branch(tree, "to evaluate it here, pass", one.needs)
    _branch(tree, "only PostHog can evaluate (the flag is inconclusive here if it depends on it)", one.only_posthog)
    return tree


def result_view(result: FlagResult) -> RenderableType:
    """A result, one fact per line."""
    rows: list[tuple[str, str]] = [("value", _value(result))]
    if result.variant is not None:
        rows.append(("variant", result.variant))
    if result.payload is not None:
        rows.append(("payload", _payload(result.payload)))
    rows.append(("reason", str(result.reason)))
    if result.condition_index is not None:
        rows.append(("rule" if result.config_version == 2 else "condition", str(result.condition_index + 1)))
    return Group(*(Text(f"{name}: {value}") for name, value in rows))


def _value(result: FlagResult) -> str:
    if result.value is not None:
        return _payload(result.value)
    return "none of its own" if result.conclusive else "inconclusive"


def explanation_view(explanation: Explanation) -> RenderableType:
    """The whole explanation as a tree."""
    tree = Tree(Text(explanation.sentence, style="bold"))
    if explanation.holdout is not None:
        tree.add(Text(f"holdout of {explanation.holdout.percentage:g} %: {explanation.holdout.outcome}"))
    for condition in explanation.conditions:
        style = _STYLES[condition.outcome] if condition.reached else "dim"
        branch = tree.add(Text(condition.sentence + (" <- decides" if condition.decisive else ""), style=style))
        for item in condition.filters:
            _add_filter(branch, item)
    _branch(tree, "missing", explanation.missing)
    return tree


def difference_view(difference: Difference, before: int, after: int) -> RenderableType:
    """The changes between two revisions."""
    if not difference:
        return Text(f"no differences between revisions {before} and {after}")
    tree = Tree(Text(f"from revision {before} to {after}", style="bold"))
    for key in difference.added:
        tree.add(Text(f"+ {key}", style="green"))
    for key in difference.removed:
        tree.add(Text(f"- {key}", style="red"))
    for key, changes in difference.changed.items():
        _branch(tree, f"~ {key}", [*map(str, changes), *difference.warnings.get(key, ())])
    _branch(tree, "other changes", map(str, difference.other))
    return tree


def _add_filter(branch: Tree, item: FilterExplanation) -> None:
    """Add the filter's own line, and its parts as branches of it."""
    own = branch.add(Text(next(item.lines()), style=_STYLES[item.outcome]))
    for part in item.parts:
        _add_filter(own, part)


def _branch(tree: Tree, title: str, lines: Iterable[str], otherwise: str = "") -> None:
    shown = list(lines) or ([otherwise] if otherwise else [])
    if shown:
        branch = tree.add(Text(title))
        for line in shown:
            branch.add(Text(line))


def _numbered(lines: Iterable[str]) -> Iterable[str]:
    return (f"{number}. {line}" for number, line in enumerate(lines, start=1))


def _payload(payload: Any) -> str:
    return payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"
