"""How finished spans leave each of Serve's processes: over OTLP, without keys and without what Serve tells twice."""

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from services.telemetry.logs import without_keys

PATH = "url.path"
OF_A_REPLICA = "replica_handle_request"


def processors() -> list[SpanProcessor]:
    """What Serve calls; the endpoint, its headers and time-outs are in the environment, as OpenTelemetry reads them."""
    return [Ours(BatchSpanProcessor(OTLPSpanExporter()))]


class Ours(SpanProcessor):
    """In front of another processor.

    Around a request Serve has a span as FastAPI has, that knows of no client: it would be a trace of its own.
    """

    def __init__(self, behind: SpanProcessor):
        self._behind = behind

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        path = (span.attributes or {}).get(PATH)
        if isinstance(path, str):
            span.set_attribute(PATH, without_keys(path))
        self._behind.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        if span.parent is not None or not span.name.startswith(OF_A_REPLICA):
            self._behind.on_end(span)

    def shutdown(self) -> None:
        self._behind.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._behind.force_flush(timeout_millis)
