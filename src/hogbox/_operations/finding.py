"""Finding: something that was examined, how bad it is, and what to do about it; of `hogbox status` and `doctor`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from hogbox._operations.page import Page


class Severity(IntEnum):
    """How bad it is. The number is the exit code of `hogbox status` and of `hogbox doctor`."""

    HEALTHY = 0
    """Nothing is to be done."""

    DEGRADED = 1
    """Nothing is lost, and it works, but not as well as it could, or it may fail later; look at it today."""

    BROKEN = 2
    """It does not work: some events are not delivered, or some flags not known, until somebody fixes it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. `name` is for programs, `text` is a sentence.

    `todo` is what to do, where a few words are enough; `page` describes it at length. A healthy finding may have
    neither.
    """

    name: str
    severity: Severity
    text: str
    todo: str = ""
    page: Page | None = None


def worst(findings: Iterable[Finding]) -> Severity:
    """The worst severity of all; healthy where there are none."""
    return max((finding.severity for finding in findings), default=Severity.HEALTHY)
