"""An OpenTelemetry collector for tests: listens on loopback and keeps the spans that it is sent."""

import gzip
import http.server
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE_S = 30


@dataclass(frozen=True)
class Told:
    """A span as it came. `parent`: the id of the span above it, empty for the first of its trace."""

    trace: str
    id: str
    parent: str
    name: str
    attributes: dict[str, str]


class Collector:
    """To be used in a `with`; `url` is what OTEL_EXPORTER_OTLP_ENDPOINT wants."""

    def __init__(self) -> None:
        self.spans: list[Told] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector._take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def trace(self, id: str, *, names: set[str]) -> dict[str, Told]:
        """The spans of a trace by name, once all of `names` have come."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            found = {span.name: span for span in self.spans if span.trace == id}
            if names <= set(found) or time.monotonic() > deadline_s:
                assert names <= set(found), f"only {sorted(found)} came"
                return found
            time.sleep(0.05)

    def _take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {pair.key: pair.value.string_value for pair in span.attributes}
                    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                    self.spans.append(Told(*ids, span.name, attributes))
