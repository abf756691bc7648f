"""The reference of metrics and the dashboard name what the code measures."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from hogbox._operations.metrics.family import METRICS, OF_THE_DATABASE, OF_THIS_PROCESS, Metric, MetricType
from tests.docs.page import DOCS, read_page, rows

DASHBOARD = DOCS / "grafana" / "hogbox.json"

NAME = re.compile(r"\bhogbox_[a-z_]+")


def names_of(metric: Metric) -> set[str]:
    """As Prometheus stores it."""
    if metric.kind is MetricType.HISTOGRAM:
        return {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
    return {metric.name}


STORED = {name: metric for metric in METRICS for name in names_of(metric)}


@pytest.mark.parametrize(
    ("heading", "metrics"), [("Of this process", OF_THIS_PROCESS), ("Of the database", OF_THE_DATABASE)]
)
def test_every_metric_is_listed(heading: str, metrics: tuple[Metric, ...]) -> None:
    table = rows(read_page(DOCS / "reference" / "metrics.md").section(heading))
    listed = [row for row in table if row[0].startswith("`hogbox_")]
    assert listed == [
        [
            f"`{metric.name}`",
            metric.kind.value,
            ", ".join(f"`{label}`" for label in metric.labels) or "none",
            metric.help,
        ]
        for metric in metrics
    ]


def dashboard() -> dict[str, Any]:
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return board


def expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    shown = {name for expression in expressions() for name in NAME.findall(expression)}
    assert shown <= set(STORED)
    assert {STORED[name] for name in shown} == set(METRICS)


def test_the_dashboard_groups_by_labels_that_there_are() -> None:
    for expression in expressions():
        labels = {label for name in NAME.findall(expression) for label in STORED[name].labels}
        for grouped in re.findall(r"by \(([^)]+)\)", expression):
            assert set(re.split(r",\s*", grouped)) <= {*labels, "le"}, expression


def test_the_panels_of_the_dashboard_lie_side_by_side() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 15
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & own, panel["title"]
        cells |= own
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_the_alerts_of_the_guide_name_metrics_that_there_are() -> None:
    text = (DOCS / "how-to" / "monitor.md").read_text()
    known = set(STORED) | {metric.name for metric in METRICS}
    assert set(NAME.findall(text)) <= known
