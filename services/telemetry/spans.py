"""Spans of a trace for the stages of a request, by OpenTelemetry, where one is being recorded; nothing otherwise.

FastAPI begins the trace, or goes on with the one that the client's `traceparent` names, and Ray Serve carries it across
handles; here are our stages below their spans. Knows nothing of chats. Spans hold no content of messages, so of an
error they name the kind alone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import StatusCode

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's own variables, of which either turns traces on."""
RATIO = "OTEL_TRACES_SAMPLER_ARG"
SERVICE_NAME = ("OTEL_SERVICE_NAME", "fromage-chat")
PROCESSORS = "services.telemetry.trace_export:processors"


def tracing_config() -> dict[str, object]:
    """`tracing_config` of `serve.start`: traces of all requests, or of the share of them that OTEL_TRACES_SAMPLER_ARG
    says, to the endpoint that the environment names; none where it names none. Raises ValueError for a share that is
    none.
    """
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return {"enabled": False}
    os.environ.setdefault(*SERVICE_NAME)
    share = os.environ.get(RATIO) or "1"
    try:
        ratio = float(share)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise ValueError(f"{RATIO} is {share!r}; expected a number from 0 to 1, for example 0.1")
    return {"enabled": True, "exporter_import_path": PROCESSORS, "sampling_ratio": ratio}


@contextmanager
def stage(name: str, **attributes: int | str) -> Iterator[None]:
    """A span around a block that does not yield: an async generator's context may be another's when it goes on."""
    with _tracer().start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def tell_stage(name: str, start_ns: int, stop_ns: int) -> None:
    """A span of what is over, below the current one; times in nanoseconds since 1970."""
    if trace.get_current_span().is_recording():
        _tracer().start_span(name, start_time=start_ns).end(end_time=stop_ns)


def tell_request_id(request_id: str) -> None:
    """The current span is of this request, which the log names by the same id."""
    trace.get_current_span().set_attribute("request_id", request_id)


def _tracer() -> trace.Tracer:
    return trace.get_tracer("services")
