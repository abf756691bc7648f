"""Compares what the shop's database says with what PostHog received. Pure, and takes nothing on hogbox's word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Fact(NamedTuple):
    """Something that happened in the shop: to whom, what, and which (an order's number; empty for a sign-up)."""

    person: str
    event: str
    number: str


class Arrival(NamedTuple):
    """A fact as it reached PostHog; arrivals that share an identity are repeats, which PostHog drops."""

    fact: Fact
    identity: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison found. Only repeats are allowed."""

    committed: int
    delivered: int
    repeated: int
    lost: tuple[Fact, ...] = ()
    """Committed, and never arrived."""
    undone: tuple[Fact, ...] = ()
    """Arrived, and the shop's database doesn't know them: they were rolled back."""
    doubled: tuple[Fact, ...] = ()
    """Arrived under more than one identity: PostHog would count them twice."""
    out_of_order: tuple[Fact, ...] = ()
    """Arrived for the first time after something that the same person did later."""

    @property
    def good(self) -> bool:
        """Whether every committed fact arrived, in order, and nothing else did."""
        return not (self.lost or self.undone or self.doubled or self.out_of_order)


def compare(committed: Sequence[Fact], arrivals: Sequence[Arrival]) -> Verdict:
    """What became of the committed facts, given each person's in order, by the arrivals in order."""
    identities: dict[Fact, set[str]] = {}
    for arrival in arrivals:
        identities.setdefault(arrival.fact, set()).add(arrival.identity)
    known = set(committed)
    return Verdict(
        committed=len(committed),
        delivered=len(known & identities.keys()),
        repeated=len(arrivals) - sum(len(several) for several in identities.values()),
        lost=tuple(fact for fact in committed if fact not in identities),
        undone=tuple(fact for fact in identities if fact not in known),
        doubled=tuple(fact for fact, several in identities.items() if len(several) > 1),
        out_of_order=_out_of_order(committed, list(identities)),
    )


def _out_of_order(committed: Sequence[Fact], first_arrivals: Sequence[Fact]) -> tuple[Fact, ...]:
    """The facts that come after a later one of the same person."""
    place = {fact: index for index, fact in enumerate(committed)}
    furthest: dict[str, int] = {}
    late = []
    for fact in first_arrivals:
        if fact not in place:
            continue
        if place[fact] < furthest.get(fact.person, -1):
            late.append(fact)
        furthest[fact.person] = max(place[fact], furthest.get(fact.person, -1))
    return tuple(late)
