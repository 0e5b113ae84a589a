"""Somebody who listens to what is measured in this process, and a trace that is recorded in it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.telemetry import spans
from services.telemetry.metrics import Metric, listen


@dataclass
class Heard:
    """Every value in its order, by metric and labels."""

    records: list[tuple[Metric, float, dict[str, str]]] = field(default_factory=list)

    def __call__(self, metric: Metric, value: float, labels: dict[str, str]) -> None:
        assert tuple(labels) == metric.labels
        self.records.append((metric, value, labels))

    def of(self, metric: Metric, **labels: str) -> list[float]:
        """`labels`: those that matter."""
        return [value for found, value, has in self.records if found is metric and labels.items() <= has.items()]


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    before = listen(heard)
    yield heard
    listen(before)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Where finished spans are found. A process has one provider for good, so ours is only asked by `spans`."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "_tracer", lambda: provider.get_tracer("tests"))
    return exporter
