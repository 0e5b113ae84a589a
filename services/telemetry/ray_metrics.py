"""Metrics to Ray, which exports them to Prometheus from every node. The one place that knows Ray's metrics."""

import threading
import time
from typing import Any

from ray.serve import metrics

from services.telemetry.metrics import Metric, listen

REPEAT_S = 1.0
"""Ray forgets a gauge that nobody has set since it last asked; at most so often does it ask."""


class RayMetrics:
    """A listener of `metrics.listen`. Inside a replica, Serve adds deployment, replica and application as labels."""

    def __init__(self) -> None:
        self._known: dict[Metric, Any] = {}
        self._standing: dict[Metric, tuple[float, dict[str, str]]] = {}

    def __call__(self, metric: Metric, value: float, labels: dict[str, str]) -> None:
        known = self._known.get(metric)
        if known is None:
            known = self._known[metric] = _of_ray(metric)
        if isinstance(known, metrics.Counter):
            known.inc(value, tags=labels)
        elif isinstance(known, metrics.Histogram):
            known.observe(value, tags=labels)
        else:
            self._standing[metric] = (value, labels)
            known.set(value, tags=labels)

    def repeat_gauges(self) -> None:
        """For ever, so that a gauge stands where it was set."""
        while True:
            time.sleep(REPEAT_S)
            for metric, (value, labels) in list(self._standing.items()):
                self(metric, value, labels)


def export_to_ray() -> None:
    """What this replica measures goes to Ray."""
    ray_metrics = RayMetrics()
    listen(ray_metrics)
    threading.Thread(target=ray_metrics.repeat_gauges, name="gauges", daemon=True).start()


def _of_ray(metric: Metric) -> Any:
    if metric.kind == "counter":
        return metrics.Counter(metric.name, description=metric.help, tag_keys=metric.labels)
    if metric.kind == "gauge":
        return metrics.Gauge(metric.name, description=metric.help, tag_keys=metric.labels)
    return metrics.Histogram(
        metric.name, description=metric.help, boundaries=list(metric.buckets), tag_keys=metric.labels
    )
