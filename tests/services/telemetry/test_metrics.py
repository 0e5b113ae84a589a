"""Metrics are named as Prometheus wants them, and told in the documents."""

import json
import re

import pytest

from services.telemetry.metrics import METRICS, REFUSALS, Metric, listen
from tests.documents import ROOT, spans
from tests.services.telemetry.conftest import Heard

DASHBOARD = ROOT / "services" / "telemetry" / "dashboard.json"
PAGE = ROOT / "docs" / "observing.md"
UNITS = {
    "counter": "_total",
    "histogram": ("_seconds", "_rows", "_pictures"),
    "gauge": ("_replies", "_requests", "_bytes"),
}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_ends_in_its_unit_and_a_histogram_has_buckets(metric: Metric):
    assert re.fullmatch(r"fromage_[a-z_]+", metric.name)
    assert metric.name.endswith(UNITS[metric.kind])
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.help.endswith(".")


def test_no_two_metrics_have_one_name():
    assert len({metric.name for metric in METRICS}) == len(METRICS) > 20


def test_what_nobody_listens_to_goes_nowhere(heard: Heard):
    listen(None)
    REFUSALS.record(status="503", code="overloaded")
    assert heard.records == []


def test_nothing_is_added_to_a_counter_by_nothing(heard: Heard):
    REFUSALS.record(0, status="503", code="overloaded")
    assert heard.records == []


def test_every_metric_is_told_with_its_labels_and_every_metric_told_is_there():
    told = {name for name in spans(PAGE) if name.startswith("fromage_")}
    assert told == {metric.name for metric in METRICS}
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `fromage_")]
    for metric in METRICS:
        (row,) = [row for row in rows if f"| `{metric.name}` |" in row]
        assert metric.kind in row
        assert all(f"`{label}`" in row for label in metric.labels)


def test_the_dashboard_shows_every_metric_and_no_other():
    asked = set(re.findall(r"ray_(fromage_\w+?)(?:_bucket|_count|_sum)?\b", DASHBOARD.read_text()))
    assert asked == {metric.name for metric in METRICS}


def test_panels_of_the_dashboard_do_not_lie_on_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
