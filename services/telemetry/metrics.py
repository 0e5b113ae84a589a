"""Every metric of the services: its name, unit, labels, buckets, and what it says.

Whoever measures calls one here; where it goes is decided once for the process by `listen`, and goes nowhere until then.
Knows nothing of Ray, of HTTP or of models. A call costs some microseconds where somebody listens: one for each step of
the LM is nothing, one for each token of each reply would be something.

Names are Prometheus's: the base unit last, `_total` for what only grows. Ray puts `ray_` before them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Listener = Callable[["Metric", float, dict[str, str]], None]

FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Seconds that a part of a reply takes."""
PATIENT_S = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
"""Seconds that a client waits."""
TOGETHER = (1, 2, 4, 8, 16, 32, 64)

_listener: Listener | None = None


def listen(listener: Listener | None) -> Listener | None:
    """From here on what this process measures goes to `listener` -> who listened before."""
    global _listener
    before, _listener = _listener, listener
    return before


@dataclass(frozen=True)
class Metric:
    """`buckets`: upper bounds, in the unit that the name ends in; of a histogram alone."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    def record(self, value: float = 1, /, **labels: str) -> None:
        """Add to a counter, set a gauge, or observe in a histogram. Nothing is added to a counter by 0."""
        if _listener is not None and (value or self.kind != "counter"):
            _listener(self, value, labels)

    @contextmanager
    def timed(self, **labels: str) -> Iterator[None]:
        """Observes the seconds that a block takes, unless it raises."""
        start_s = time.perf_counter()
        yield
        self.record(time.perf_counter() - start_s, **labels)


REQUESTS = Metric(
    "fromage_requests_total", "counter", "HTTP requests that were answered.", labels=("route", "method", "status")
)
REQUEST_SECONDS = Metric(
    "fromage_request_seconds",
    "histogram",
    "Seconds from an HTTP request to the last byte of its answer.",
    labels=("route",),
    buckets=PATIENT_S,
)
OPEN_REQUESTS = Metric("fromage_open_requests", "gauge", "HTTP requests that are being answered.")
REFUSALS = Metric(
    "fromage_refusals_total",
    "counter",
    "Requests that were refused or failed, by HTTP status and the error's code.",
    labels=("status", "code"),
)

REPLIES = Metric(
    "fromage_replies_total",
    "counter",
    "Replies by how they ended: stop, length, left (the client went) or error.",
    labels=("end",),
)
FIRST_TOKEN_SECONDS = Metric(
    "fromage_time_to_first_token_seconds",
    "histogram",
    "Seconds from a readable request to the first piece of its reply's text.",
    buckets=PATIENT_S,
)
FIRST_PRODUCT_SECONDS = Metric(
    "fromage_time_to_first_product_seconds",
    "histogram",
    "Seconds from a readable request to the first products of its reply.",
    buckets=PATIENT_S,
)
REPLY_SECONDS = Metric(
    "fromage_reply_seconds", "histogram", "Seconds from a readable request to the end of its reply.", buckets=PATIENT_S
)
TOKENS = Metric(
    "fromage_tokens_total",
    "counter",
    "Tokens of complete replies: of their prompts (in) and of what was written (out).",
    labels=("direction",),
)
PRODUCTS = Metric("fromage_products_total", "counter", "Products that replies showed.")

WAITING = Metric("fromage_waiting_replies", "gauge", "Replies that wait for a row of the LM.")
WRITING = Metric("fromage_writing_replies", "gauge", "Replies that have a row of the LM: read or written.")
QUEUE_SECONDS = Metric(
    "fromage_queue_seconds", "histogram", "Seconds that a reply waited for a row of the LM.", buckets=(*FAST_S, 15, 60)
)
PREFILL_SECONDS = Metric(
    "fromage_prefill_seconds",
    "histogram",
    "Seconds from a reply's row to its first event: its prompt is read.",
    buckets=(*FAST_S, 15, 60),
)
TOKEN_GAP_SECONDS = Metric(
    "fromage_time_between_tokens_seconds",
    "histogram",
    "Seconds between a step of the LM and the next, in which all replies get a token; observed once for each step.",
    buckets=FAST_S,
)
STEP_ROWS = Metric(
    "fromage_step_rows", "histogram", "Replies that got a token in one step of the LM.", buckets=TOGETHER
)
STEP_TOKENS = Metric("fromage_step_tokens_total", "counter", "Tokens that the LM wrote, cancelled replies' too.")
FAILED_STEPS = Metric("fromage_failed_steps_total", "counter", "Steps of the LM that failed, and lost their replies.")
PREFIX_POSITIONS = Metric(
    "fromage_prefix_cache_positions_total",
    "counter",
    "Positions of prompts that had been read before (hit) or had to be read (miss).",
    labels=("result",),
)
PREFIX_BYTES = Metric("fromage_prefix_cache_bytes", "gauge", "Memory of what has been read and is kept, in bytes.")

PICTURES = Metric(
    "fromage_encoder_pictures_total",
    "counter",
    "Pictures of requests whose features were known (hit) or were not (miss).",
    labels=("result",),
)
ENCODER_SECONDS = Metric(
    "fromage_encoder_seconds",
    "histogram",
    "Seconds that a picture which was not known took, decoding and waiting for others included.",
    buckets=FAST_S,
)
ENCODER_BATCH = Metric(
    "fromage_encoder_batch_pictures", "histogram", "Pictures in one forward of the encoder.", buckets=TOGETHER
)
RETRIEVAL_SECONDS = Metric(
    "fromage_retrieval_seconds", "histogram", "Seconds of one search of the index.", buckets=FAST_S
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(vars().values()) if isinstance(value, Metric))
