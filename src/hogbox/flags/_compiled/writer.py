"""Writes functions that decide the simple cases of flags in a fraction of the time: for one flag, or for several.

The functions join the flags' parts (checks, bounds, results) in the order of section 3, unrolled. They know their
limits: what needs the set of possible values they leave to the plain evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha1
from types import CodeType, FunctionType
from typing import Any, Final, NamedTuple, TypeAlias, cast

from hogbox.flags._bucket import EVERYBODY, NOBODY, VARIANT_SALT
from hogbox.flags._cohort import CohortFilter
from hogbox.flags._compiled.filter_source import FilterSource, GroupSource, needs_person
from hogbox.flags._compiled.rules_writer import RulesWriter, rules_are_simple, rules_need_person
from hogbox.flags._condition import FlagCondition
from hogbox.flags._decision import Decision
from hogbox.flags._evaluator import AnyFlag, FastPath
from hogbox.flags._filter import PropertyFilter
from hogbox.flags._flag import PERSONS, Flag
from hogbox.flags._person import FLAG_STEPS, EvaluatedPerson, Value
from hogbox.flags._reason import Reason
from hogbox.flags._result import FlagResult
from hogbox.flags._rules.flag import RulesFlag

Batch: TypeAlias = Callable[[Mapping[str, Any], bytes, bool, EvaluatedPerson, dict[str, FlagResult]], None]
"""Takes what a `FastPath` takes, and puts the results of several flags into the last argument."""

SlowPath: TypeAlias = Callable[[EvaluatedPerson], FlagResult]


class CompilerInput(NamedTuple):
    """A flag, and how the plain evaluator decides it where the fast path ends."""

    flag: AnyFlag
    slow_path: SlowPath


_MOST_CONDITIONS: Final = 20
_MOST_FILTERS: Final = 30


def write_fast_path(given: CompilerInput, codes: dict[str, CodeType]) -> FastPath:
    """A flag's fast path; for a flag that is not simple, it is the slow path.

    Only the shape of a flag is in the source, so `codes` can hold the code of the shapes that were met so
    far.
    """
    flag, slow_path = given
    settled = flag.settled_result
    if settled is not None:
        return fixed_path(settled)
    if not _is_simple(flag):
        return cast(FastPath, lambda _properties, _identifier, _complete, person: person and slow_path(person))
    writer = _Writer(shared=False)
    writer.write_flag(1, given, "return {}", "return None if person is None else {}")
    source = writer.source("fast_path(properties, identifier, complete, person)")
    code = codes.get(source)
    if code is None:
        code = codes[source] = _code_of(source)
    # A copy for each flag, because the interpreter adapts the code of a function to the names that it meets.
    return cast(FastPath, FunctionType(code.replace(), writer.names))


def write_batch(inputs: Sequence[CompilerInput]) -> Batch:
    """One function for several flags, which looks each property up once and calls nothing for each flag."""
    writer = _Writer(shared=True)
    for given in inputs:
        flag, slow_path = given
        leave = f"results[{writer.name(flag.key)}] = {{}}"
        settled = flag.settled_result
        if settled is not None:
            writer.line(1, leave.format(writer.name(settled)))
        elif not _is_simple(flag):
            writer.line(1, leave.format(f"{writer.name(slow_path)}(person)"))
        else:
            # A loop that runs once, so that the condition that decides can break out of it.
            writer.line(1, "while True:")
            writer.write_flag(2, given, f"{leave}; break", f"{leave}; break")
    code = _code_of(writer.source("batch(properties, identifier, complete, person, results)"))
    return cast(Batch, FunctionType(code, writer.names))


def fixed_path(result: FlagResult) -> FastPath:
    """The fast path of what has the same result for everybody."""
    return cast(FastPath, lambda _properties, _identifier, _complete, _person: result)


def goes_without_person(flag: AnyFlag) -> bool:
    """Whether the flag's fast path has a chance without a person."""
    if flag.settled is not None:
        return True
    if isinstance(flag, RulesFlag):
        return rules_are_simple(flag) and not rules_need_person(flag)
    return _is_simple(flag) and all(
        condition.audience == PERSONS and not any(map(needs_person, condition.filters)) for condition in flag.conditions
    )


def _is_simple(flag: AnyFlag) -> bool:
    if isinstance(flag, RulesFlag):
        return rules_are_simple(flag)
    special = flag.enrollment or flag.holdout or flag.super_condition or flag.dependencies
    if special or flag.bucketing.by != "distinct_id" or len(flag.conditions) > _MOST_CONDITIONS:
        return False
    # Fast paths count no steps: they are only for flags that the plain evaluator does not give up.
    filters = [item for condition in flag.conditions for item in condition.filters]
    if sum(item.price for item in filters if isinstance(item, PropertyFilter)) > FLAG_STEPS:
        return False
    return all(
        (condition.audience == PERSONS or condition.audience.type_name is not None)
        and len(condition.filters) <= _MOST_FILTERS
        for condition in flag.conditions
    )


def _code_of(source: str) -> CodeType:
    """The code of the one function in the source, which is made of our own words and numbers only."""
    module = compile(source, "<hogbox.flags._compiled>", "exec")
    return next(constant for constant in module.co_consts if isinstance(constant, CodeType))


class _Writer(FilterSource):
    """Writes flags. `leave` and `leave_slow` are the statements that end one, with its result and on the slow path."""

    def __init__(self, *, shared: bool) -> None:
        super().__init__(shared=shared)
        self.names |= {"SALT": VARIANT_SALT, "sha1": sha1}
        self._flag: Flag
        self._leave = self._key = ""
        self._partial = 0

    def source(self, signature: str) -> str:
        """The whole function."""
        return "\n".join([f"def {signature}:", *self.opening, *self.lines, " return None"])

    def write_flag(self, depth: int, given: CompilerInput, leave: str, leave_slow: str) -> None:
        """One flag that is simple."""
        self._slow = leave_slow.format(f"{self.name(given.slow_path)}(person)")
        if isinstance(given.flag, RulesFlag):
            RulesWriter(self, given.flag, leave, self._slow).write(depth)
        else:
            self._write_conditions(depth, given.flag, leave)

    def _write_conditions(self, depth: int, flag: Flag, leave: str) -> None:
        self._flag, self._leave = flag, leave
        self._key = self.name(flag.bucketing.key)
        of_persons = [item.rollout.bound for item in flag.conditions if item.audience == PERSONS]
        self._partial = sum(bound not in (NOBODY, EVERYBODY) for bound in of_persons)
        filters = (item for condition in flag.conditions for item in condition.filters)
        if any(isinstance(item, CohortFilter) and needs_person(item) for item in filters):
            self.line(depth, "person.begin_flag()")
        self.line(depth, f"miss = {self._off(Reason.NO_CONDITION_MATCH, None)}")
        if self._partial > 1:
            self.line(depth, "hashed = None")
        for index, condition in enumerate(flag.conditions):
            self._write_condition(depth, index, condition)
        self.line(depth, leave.format("miss"))

    def _write_condition(self, depth: int, index: int, condition: FlagCondition) -> None:
        group = self._write_group(depth, condition)
        identifier = "identifier" if group is None else f"{group.variable}.identity.identifier"
        outcomes = []
        for item in condition.filters:
            outcomes.append(self.filter(depth, item, group))
            self.line(depth, f"if {outcomes[-1]} is not False:")
            depth += 1
        bound = condition.rollout.bound
        if bound not in (NOBODY, EVERYBODY):
            self.line(depth, f"if {self._hash(identifier)} < {self.name(bound)}:")
            self._write_in(depth + 1, index, condition, outcomes, identifier)
            self.line(depth, "else:")
            self._write_out(depth + 1, index, outcomes)
        elif bound:
            self._write_in(depth, index, condition, outcomes, identifier)
        else:
            self._write_out(depth, index, outcomes)

    def _write_group(self, depth: int, condition: FlagCondition) -> GroupSource | None:
        """Finds the group that the condition is for; without one, or without its hash, it is the slow path."""
        if condition.audience.type_name is None:
            return None
        group = GroupSource(f"group_{self.fresh()}", condition.audience.type_name)
        self.line(depth, f"{group.variable} = person.group({self.name(group.type_name)})")
        self.line(depth, f"if {group.variable} is None or {group.variable}.identity.identifier is None:")
        self.line(depth + 1, self._slow)
        return group

    def _write_in(self, depth: int, index: int, condition: FlagCondition, outcomes: list[str], identifier: str) -> None:
        """The identifier is in the rollout: the condition decides, unless a filter is unknown."""
        for outcome in outcomes:
            self.line(depth, f"if {outcome} is not True:")
            self.line(depth + 1, self._doubt(index, outcomes))
        variants = condition.bucketing.variants
        if condition.override is None and variants.keys:
            self.line(depth, f"hashed_variant = sha1({self._key} + {identifier} + SALT).digest()")
            for key, bound in zip(variants.keys, variants.bounds, strict=True):
                self.line(depth, f"if hashed_variant < {self.name(bound)}:")
                self.line(depth + 1, self._leave.format(self._on(key, index)))
        value = True if condition.override is None else condition.override
        self.line(depth, self._leave.format(self._on(value, index)))

    def _write_out(self, depth: int, index: int, outcomes: list[str]) -> None:
        """The identifier is not in the rollout: on to the next, unless the flag exits early."""
        out = self._off(Reason.OUT_OF_ROLLOUT_BOUND, index)
        found = self._leave.format(out) if self._flag.early_exit else f"miss = {out}"
        if not outcomes:
            self.line(depth, found)
            return
        self.line(depth, f"if {' and '.join(f'{outcome} is True' for outcome in outcomes)}:")
        self.line(depth + 1, found)
        if self._flag.early_exit:
            self.line(depth, "else:")
            self.line(depth + 1, self._slow)

    def _doubt(self, index: int, outcomes: list[str]) -> str:
        """An unknown filter leaves two values in the last condition; before it, what follows may agree."""
        if index + 1 < len(self._flag.conditions):
            return self._slow
        reasons = (Reason.UNSUPPORTED_DEFINITION, Reason.EVALUATION_LIMIT, Reason.MISSING_CONTEXT)
        doubtful = self.name({reason: self._flag.result(Decision(None, reason)) for reason in reasons})
        return self._leave.format(f"{doubtful}[all_of(({', '.join(outcomes)}, ))]")

    def _hash(self, identifier: str) -> str:
        """The hash of an identifier; that of the person's is kept where several conditions want it."""
        hashing = f"sha1({self._key} + {identifier}).digest()"
        return hashing if self._partial <= 1 or identifier != "identifier" else f"(hashed := hashed or {hashing})"

    def _on(self, value: Value, index: int) -> str:
        return self.name(self._flag.result(Decision(frozenset({value}), Reason.CONDITION_MATCH, index)))

    def _off(self, reason: Reason, index: int | None) -> str:
        return self.name(self._flag.result(Decision(frozenset({False}), reason, index)))
