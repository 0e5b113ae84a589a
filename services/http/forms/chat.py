"""The form of what crosses HTTP: OpenAI's chat completions, with `products`. What it means is in `interpret`.

`offset`, here and in replies, counts characters (Unicode code points) of a message's text: the position at which the
products belong. A JavaScript client counts `Array.from(text).length`, not `text.length`.
"""

from typing import Annotated, Any, Literal

from pydantic import FailFast, Field, field_validator

from fromage_model.prompts.messages import RetrievalMode
from services.http.forms.form import INT64_MAX, MAX_TOP_K, Form


class ImageUrl(Form):
    url: str


class TextPart(Form):
    type: Literal["text"]
    text: str


class ImagePart(Form):
    type: Literal["image_url"]
    image_url: ImageUrl


ContentPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class ProductReference(Form):
    """A product that an earlier reply showed; the other fields of a product may stay."""

    id: Annotated[str, Field(min_length=1, max_length=256)]
    offset: Annotated[int, Field(ge=0)]


class ChatMessage(Form):
    role: Literal["system", "developer", "user", "assistant"]
    content: list[ContentPart] | None = None
    products: list[ProductReference] | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _text_is_one_part(cls, content: Any) -> Any:
        return [{"type": "text", "text": content}] if isinstance(content, str) else content


class StreamOptions(Form):
    include_usage: bool = False


class ChatRequest(Form):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Field(min_length=1), FailFast()]
    model: Annotated[str, Field(max_length=256)] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-INT64_MAX, le=INT64_MAX)] | None = None
    retrieval: RetrievalMode = "auto"
    top_k: Annotated[int, Field(ge=1, le=MAX_TOP_K)] = 5

    n: int | None = None
    stop: str | list[str] | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, Any] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    response_format: dict[str, Any] | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
