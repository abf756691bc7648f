"""Metrics as text, in the format that Prometheus scrapes (text/plain; version=0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from hogbox._operations.metrics.family import Distribution, Family

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def render(families: Iterable[Family]) -> str:
    """The page to answer a scrape with."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    metric = family.metric
    yield f"# HELP {metric.name} {_escaped(metric.help)}"
    yield f"# TYPE {metric.name} {metric.kind.value}"
    for sample in family.samples:
        pairs = list(zip(metric.labels, sample.labels, strict=True))
        if isinstance(sample.value, Distribution):
            yield from _histogram(family, pairs, sample.value)
        else:
            yield f"{metric.name}{_labels(pairs)} {_number(sample.value)}"


def _histogram(family: Family, pairs: list[tuple[str, str]], value: Distribution) -> Iterator[str]:
    name = family.metric.name
    for bound, count in zip(family.metric.bounds, value.within, strict=True):
        yield f"{name}_bucket{_labels([*pairs, ('le', _number(bound))])} {count}"
    yield f"{name}_bucket{_labels([*pairs, ('le', '+Inf')])} {value.total}"
    yield f"{name}_sum{_labels(pairs)} {_number(value.sum)}"
    yield f"{name}_count{_labels(pairs)} {value.total}"


def _labels(pairs: list[tuple[str, str]]) -> str:
    inside = ",".join(f'{name}="{_quoted(value)}"' for name, value in pairs)
    return f"{{{inside}}}" if inside else ""


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', r"\"")


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
