"""The stages of a reply are spans of its request's trace, without a word of what was said."""

import asyncio
import io
from collections.abc import Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from PIL import Image

from fromage_model.errors import ImageError
from fromage_model.prompts.messages import Sampling
from services.answering.conversation import Conversation, Picture, Turn
from services.products import Narrowing
from services.telemetry import spans
from services.telemetry.decoding import Stages
from services.telemetry.spans import stage, tracing_config
from services.telemetry.trace_export import Ours
from tests.services.peers import engine

SECRET = "my secret wish"


def conversation(picture: bytes) -> Conversation:
    turns = (Turn("user", (SECRET, Picture(picture, "messages.0"))),)
    return Conversation(turns=turns, narrowing=Narrowing(), retrieval="auto", top_k=3, sampling=Sampling())


async def reply_to(picture: bytes) -> None:
    with stage("request"):
        async for _ in engine().reply(conversation(picture)):
            pass


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "PNG")
    return file.getvalue()


def by_name(finished: Sequence[ReadableSpan]) -> dict[str, ReadableSpan]:
    return {span.name: span for span in finished}


def test_a_picture_is_encoded_and_a_ret_retrieved_within_the_request(recorded: InMemorySpanExporter):
    asyncio.run(reply_to(png()))
    found = by_name(recorded.get_finished_spans())
    assert set(found) == {"encode", "retrieve", "request"}
    for name in ("encode", "retrieve"):
        parent = found[name].parent
        assert parent is not None
        assert parent.span_id == found["request"].context.span_id


def test_a_stage_that_fails_names_the_kind_of_error_alone(recorded: InMemorySpanExporter):
    with pytest.raises(ImageError):
        asyncio.run(reply_to(SECRET.encode()))
    failed = by_name(recorded.get_finished_spans())["encode"]
    assert failed.status.description == "ImageError"
    assert not failed.events
    assert all(SECRET not in span.to_json() for span in recorded.get_finished_spans())


def test_a_reply_s_stages_follow_each_other_and_what_was_not_reached_is_not_told(recorded: InMemorySpanExporter):
    with stage("whole"):
        Stages(came_ns=10, seated_ns=30, began_ns=70).tell()
    with stage("left while it waited"):
        Stages(came_ns=10).tell()
    told = [(span.name, span.start_time) for span in recorded.get_finished_spans() if "w" not in span.name]
    assert told == [("queue", 10), ("prefill", 30), ("decode", 70), ("queue", 10)]
    assert by_name(recorded.get_finished_spans())["prefill"].end_time == 70


def test_outside_a_trace_nothing_is_recorded(recorded: InMemorySpanExporter):
    Stages.now().tell()
    assert recorded.get_finished_spans() == ()


def test_keys_and_serve_s_second_root_stay_behind():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(Ours(SimpleSpanProcessor(exporter)))
    tracer = provider.get_tracer("tests")
    tracer.start_span("replica_handle_request chat __call__").end()
    with tracer.start_as_current_span("POST /k/{key}", attributes={"url.path": "/k/fk-secret/v1"}):
        tracer.start_span("replica_handle_request llm stream").end()
    within, request = exporter.get_finished_spans()
    assert (within.name, request.name) == ("replica_handle_request llm stream", "POST /k/{key}")
    assert dict(request.attributes or {}) == {"url.path": "/k/.../v1"}


@pytest.mark.parametrize("name", spans.ENDPOINTS)
def test_an_endpoint_in_the_environment_turns_traces_on(name: str, monkeypatch: pytest.MonkeyPatch):
    for other in (*spans.ENDPOINTS, spans.RATIO):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(*spans.SERVICE_NAME)
    assert tracing_config() == {"enabled": False}
    monkeypatch.setenv(name, "http://127.0.0.1:4318")
    assert tracing_config()["sampling_ratio"] == 1
    monkeypatch.setenv(spans.RATIO, "0.25")
    assert tracing_config()["sampling_ratio"] == 0.25
    monkeypatch.setenv(spans.RATIO, "half")
    with pytest.raises(ValueError, match="OTEL_TRACES_SAMPLER_ARG is 'half'; expected a number from 0 to 1"):
        tracing_config()


def test_where_nothing_is_configured_a_stage_is_of_no_trace():
    with stage("encode"):
        assert not trace.get_current_span().is_recording()
