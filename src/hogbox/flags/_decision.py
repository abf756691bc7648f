"""A flag's value from what its conditions say: the set of everything that the service could answer (section
3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from hogbox.flags._condition import ConditionFinding
from hogbox.flags._person import Value
from hogbox.flags._reason import Outcome, Reason, stronger


class Decision(NamedTuple):
    """What a flag can be, and why."""

    values: frozenset[Value] | None
    """Conclusive if there is exactly one; None where it could be anything."""

    reason: Reason
    condition_index: int | None = None

    @property
    def value(self) -> Value | None:
        """The value, if there is only one."""
        return next(iter(self.values)) if self.values is not None and len(self.values) == 1 else None


@dataclass(slots=True)
class Tally:
    """Collects the values that the service could answer."""

    early_exit: bool
    values: set[Value] = field(default_factory=set)
    doubt: Reason | None = None
    stopped_by: int | None = None
    excluded_by: int | None = None
    skipped: int = 0
    weighed: int = 0

    def add(self, value: Value, doubt: Reason | None) -> None:
        """One more value that is possible, and why it is not certain."""
        self.values.add(value)
        self.doubt = stronger(self.doubt, doubt)

    def run(self, findings: Iterable[ConditionFinding]) -> None:
        """The loop over the conditions, up to the one that stops it."""
        for index, finding in enumerate(findings):
            self.weighed += 1
            self.skipped += finding.skipped
            if finding.matched is not False and self._weigh(index, finding):
                return
        self.values.add(False)

    def _weigh(self, index: int, finding: ConditionFinding) -> bool:
        """Takes in a condition that may match; whether the loop ends with it."""
        if finding.rolled is False:
            return self._exclude(index, finding.matched)
        self.values.update(finding.values)
        self.doubt = stronger(self.doubt, finding.doubt)
        if finding.matched is True and finding.rolled is True:
            self.stopped_by = index
            return True
        self._doubt(finding.matched)
        self._doubt(finding.rolled)
        if self.early_exit and finding.rolled is not True:
            self.values.add(False)
        return False

    def _exclude(self, index: int, matched: Outcome) -> bool:
        if matched is True:
            self.excluded_by = index
        if self.early_exit:
            self.values.add(False)
            self._doubt(matched)
        return self.early_exit and matched is True

    def _doubt(self, outcome: Outcome) -> None:
        if not isinstance(outcome, bool):
            self.doubt = stronger(self.doubt, outcome)

    def decision(self) -> Decision:
        """The values, with the reason codes of section 13."""
        values = frozenset(self.values)
        if len(values) != 1:
            return Decision(values, self.doubt or Reason.MISSING_CONTEXT)
        if values != {False}:
            return Decision(values, Reason.CONDITION_MATCH, self.stopped_by)
        if self.excluded_by is not None:
            return Decision(values, Reason.OUT_OF_ROLLOUT_BOUND, self.excluded_by)
        if self.skipped and self.skipped == self.weighed:
            return Decision(values, Reason.NO_GROUP_TYPE)
        return Decision(values, Reason.NO_CONDITION_MATCH)
