"""Source code for filters: lines that leave an outcome in a variable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from hogbox.flags._cohort import CohortFilter, Combination, Entry, NegatedEntry
from hogbox.flags._compiled.inline import inline_of
from hogbox.flags._condition import Filter
from hogbox.flags._filter import GroupFilter, PropertyFilter
from hogbox.flags._reason import all_of, opposite, stronger
from hogbox.flags._value import MISSING

# Integers are looked at in line because they are common. Beyond the first bound one may be no JSON number,
# beyond the second a double does not hold each of them.
_WIDE: Final = 2**63
_EXACT: Final = 2**53

# A larger cohort is found out once per person, and remembered.
_MOST_ENTRIES: Final = 6

# So many filters may take whatever a text costs; more of them are for texts of a usual length.
_MOST_UNCOUNTED: Final = 8
_USUAL_LENGTH: Final = 10_000
_USUAL_MEMBERS: Final = 200


def needs_person(item: Filter | Entry) -> bool:
    """Whether a filter's outcome takes the person, and not the person's properties alone."""
    if isinstance(item, CohortFilter):
        return _small_tree(item) is None
    if not isinstance(item, PropertyFilter) or isinstance(item, GroupFilter):
        return True
    return item.check.judge_at is not None or item.key == "distinct_id"


def _small_tree(item: CohortFilter) -> Combination | None:
    """The cohort's entries, if they are few and refer to nothing else."""
    root = None if item.cohort is None else item.cohort.root
    if root is None:
        return None
    entries = list(_entries(root))
    simple = len(entries) <= _MOST_ENTRIES and all(
        isinstance(entry, Combination | NegatedEntry)
        or (isinstance(entry, PropertyFilter) and not needs_person(entry) and entry.check.cost is None)
        for entry in entries
    )
    return root if simple else None


def _entries(entry: Entry) -> Iterator[Entry]:
    yield entry
    for inner in entry.entries if isinstance(entry, Combination) else ():
        yield from _entries(inner)
    if isinstance(entry, NegatedEntry):
        yield entry.entry


class GroupSource(NamedTuple):
    """The variable that holds the group of a condition."""

    variable: str
    type_name: str


class FilterSource:
    """Collects lines of source, and what their names stand for."""

    def __init__(self, *, shared: bool) -> None:
        self.lines: list[str] = []
        self.opening: list[str] = []
        """Lines to go before all others."""
        self.names: dict[str, Any] = {
            "MISSING": MISSING,
            "NESTED": (list, dict, tuple),
            "WIDE": _WIDE,
            "EXACT": _EXACT,
            "all_of": all_of,
            "opposite": opposite,
            "stronger": stronger,
        }
        self._shared = shared
        """Whether each property is looked up once for all filters."""
        self._values: dict[str, str] = {}
        self._named: dict[int, str] = {}
        self._count = 0
        self._counts_sizes = self._in_loop = False
        self._slow = ""
        """The statement that leaves a flag to the plain evaluator, which counts steps."""

    def line(self, depth: int, text: str) -> None:
        """One more line."""
        self.lines.append(" " * depth + text)

    def name(self, thing: object) -> str:
        """The name that stands for the thing."""
        name = self._named.get(id(thing))
        if name is None:
            name = self._named[id(thing)] = f"part_{self.fresh()}"
            self.names[name] = thing
        return name

    def fresh(self) -> int:
        """A number that no other name has."""
        self._count += 1
        return self._count

    def filter(self, depth: int, item: Filter | Entry, group: GroupSource | None = None) -> str:
        """Lines that find out what a filter or an entry of a cohort says; returns the variable with it."""
        outcome = f"outcome_{self.fresh()}"
        tree = _small_tree(item) if isinstance(item, CohortFilter) else None
        if isinstance(item, Combination):
            self._combination(depth, item, outcome)
        elif isinstance(item, NegatedEntry):
            self.line(depth, f"{outcome} = opposite({self.filter(depth, item.entry)})")
        elif isinstance(item, CohortFilter) and tree is not None:
            member = self.filter(depth, tree)
            self.line(depth, f"{outcome} = {f'opposite({member})' if item.inverted else member}")
        elif isinstance(item, GroupFilter):
            self._group_property(depth, item, outcome, group)
        elif isinstance(item, PropertyFilter) and not needs_person(item):
            self._property(depth, item, outcome, *self._value(depth, item.key))
        else:
            self.line(depth, f"{outcome} = {self.name(item.outcome)}(person)")
        return outcome

    def count_sizes(self, filters: int) -> None:
        """Leave long texts to the plain evaluator, if a flag has so many filters that they could take long."""
        self._counts_sizes = filters > _MOST_UNCOUNTED

    def _group_property(self, depth: int, item: GroupFilter, outcome: str, group: GroupSource | None) -> None:
        """Of the condition's own group, whose properties are at hand, or of another one."""
        if group is None or group.type_name != item.group_type or item.check.judge_at is not None:
            self.line(depth, f"{outcome} = {self.name(item.outcome)}(person)")
            return
        self.line(depth, f"value = {group.variable}.properties.get({self.name(item.key)}, MISSING)")
        self.line(depth, "kind = value.__class__")
        self._property(depth, item, outcome, "value", "kind")

    def _property(self, depth: int, item: PropertyFilter, outcome: str, value: str, kind: str) -> None:
        check, judge = item.check, self.name(item.check.judge)
        if check.cost is not None:
            self._costly_property(depth, item, outcome, value, kind)
            return
        inline = inline_of(check)
        if inline is None:
            # What json_value leaves alone goes to the check at once.
            condition = f"{kind} is str or {kind} is int and -WIDE < {value} < WIDE"
            answer = f"{judge}({value})"
        else:
            condition = f"{kind} is str"
            if inline.kind is int:
                condition = f"{kind} is int and -EXACT < {value} < EXACT"
            constant = self.name(inline.constant)
            answer = inline.expression.format(value=value, constant=constant, judge=judge)
        if self._counts_sizes and not self._in_loop:
            self.line(depth, f"if {kind} is str and len({value}) > {_USUAL_LENGTH}:")
            self.line(depth + 1, self._slow)
        self.line(depth, f"if {condition}:")
        self.line(depth + 1, f"{outcome} = {answer}")
        if not self._in_loop:
            self.line(depth, f"elif {kind} in NESTED and len({value}) > {_USUAL_MEMBERS}:")
            self.line(depth + 1, self._slow)
        self.line(depth, "else:")
        self.line(depth + 1, f"{outcome} = {self.name(item.judge)}({value}, complete)")

    def _costly_property(self, depth: int, item: PropertyFilter, outcome: str, value: str, kind: str) -> None:
        """Only the searches that are too cheap to count stay here. It is never inside of a cohort's loop."""
        inline = inline_of(item.check)
        if inline is not None and inline.longest:
            self.line(depth, f"if {kind} is str and len({value}) <= {inline.longest} and {value}.isascii():")
            answer = inline.expression.format(value=value, constant=self.name(inline.constant))
            self.line(depth + 1, f"{outcome} = {answer}")
            self.line(depth, f"elif {value} is MISSING:")
        else:
            self.line(depth, f"if {value} is MISSING:")
        self.line(depth + 1, f"{outcome} = {self.name(item.judge)}({value}, complete)")
        self.line(depth, "else:")
        self.line(depth + 1, self._slow)

    def _value(self, depth: int, key: str) -> tuple[str, str]:
        """The variables that hold a property's value and its type."""
        look_up = f"properties.get({self.name(key)}, MISSING)"
        if not self._shared:
            self.line(depth, f"value = {look_up}")
            self.line(depth, "kind = value.__class__")
            return "value", "kind"
        value = self._values.get(key)
        if value is None:
            value = self._values[key] = f"value_{self.fresh()}"
            self.opening += [f" {value} = {look_up}", f" kind_{value} = {value}.__class__"]
        return value, f"kind_{value}"

    def _combination(self, depth: int, item: Combination, outcome: str) -> None:
        """A loop that runs once, so that the entry that decides can break out of it."""
        decisive = not item.conjunction
        # The statement for large values would leave this loop, not the flag's; the loop has few entries.
        outside, self._in_loop = self._in_loop, True
        self.line(depth, f"{outcome} = {item.conjunction}")
        self.line(depth, "while True:")
        for entry in item.entries:
            inner = self.filter(depth + 1, entry)
            self.line(depth + 1, f"if {inner} is {decisive}:")
            self.line(depth + 2, f"{outcome} = {decisive}")
            self.line(depth + 2, "break")
            self.line(depth + 1, f"if {inner} is not {item.conjunction}:")
            joined = f"stronger({outcome}, {inner})"
            self.line(depth + 2, f"{outcome} = {inner} if {outcome} is {item.conjunction} else {joined}")
        self.line(depth + 1, "break")
        self._in_loop = outside
