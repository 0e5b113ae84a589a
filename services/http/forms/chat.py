"""The form of OpenAI's chat completions as they are asked for, with `products`. What it means is in `interpret`.

`offset`, here and in replies, counts characters (Unicode code points) of a message's text: the position at which the
products belong. A JavaScript client counts `Array.from(text).length`, not `text.length`.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, FailFast, Field
from pydantic_core import PydanticCustomError

from fromage_model.prompts.messages import MOST_LOGPROBS, RetrievalMode
from services.http.forms.form import INT64_MAX, MAX_TOP_K, Form
from services.http.forms.retrieval import Narrowed, NarrowedBy

MAX_CHOICES = 4
MAX_STOPS = 4
MAX_STOP_CHARS = 256

TopK = Annotated[int, Field(ge=1, le=MAX_TOP_K)]
Penalty = Annotated[float, Field(ge=-2, le=2)]


class OpenForm(Form):
    """What is sent beside the fields that we know is kept, so that it can be named."""

    model_config = ConfigDict(extra="allow")

    @property
    def unknown(self) -> list[str]:
        """Names of fields with a value that we do nothing with."""
        return [name for name, value in (self.model_extra or {}).items() if value is not None]


Uri = Annotated[str, Field(json_schema_extra={"format": "uri"})]
"""Of a picture: a `data:` URL, or one of the web where the server fetches those."""


class ImageUrl(Form):
    url: Uri


class TextPart(Form):
    type: Literal["text"]
    text: str


def _image_url(value: Any) -> Any:
    if not isinstance(value, str | dict):
        raise PydanticCustomError("image_url", 'expected an object {{"url": ...}} or the URL as a text')
    return value


class ImagePart(Form):
    type: Literal["image_url"]
    image_url: Annotated[ImageUrl | str, BeforeValidator(_image_url, json_schema_input_type=ImageUrl | Uri)]

    @property
    def url(self) -> str:
        return self.image_url if isinstance(self.image_url, str) else self.image_url.url


ContentPart = Annotated[TextPart | ImagePart, Field(discriminator="type")]


def _parts(content: Any) -> Any:
    """A text is one part."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if content is not None and not isinstance(content, list):
        raise PydanticCustomError("content", "expected a text or a list of parts")
    return content


class ProductReference(Form):
    """A product that an earlier reply showed; the other fields of a product may stay."""

    id: Annotated[str, Field(min_length=1, max_length=256)]
    offset: Annotated[int, Field(ge=0)]


class ChatMessage(OpenForm):
    """`filters` of an assistant's message, as its reply had them, are what held then. `tool` and `function` are roles
    of OpenAI's that are refused with a reason.
    """

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[
        list[ContentPart] | None, BeforeValidator(_parts, json_schema_input_type=str | list[ContentPart] | None)
    ] = None
    products: list[ProductReference] | None = None
    filters: NarrowedBy | None = None

    tool_calls: list[Any] | None = None
    function_call: Any = None


class StreamOptions(Form):
    include_usage: bool | None = False


class RetrievalOptions(Narrowed):
    """Whether products are shown, how many for each `[RET]`, and which may be; `parse`: whether what the conversation
    says of prices, brands and attributes narrows them too.
    """

    model_config = ConfigDict(extra="forbid")

    mode: RetrievalMode | None = "auto"
    top_k: TopK | None = None
    parse: bool | None = True


def _retrieval(value: Any) -> Any:
    """The mode alone is short for an object that says nothing else."""
    if value is None or isinstance(value, str):
        return {"mode": value}
    if not isinstance(value, dict | RetrievalOptions):
        raise PydanticCustomError("retrieval", "expected auto, always, never, or an object")
    return value


def _stops(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if value is not None and not isinstance(value, list):
        raise PydanticCustomError("stop", "expected a text or a list of texts")
    return value


Stop = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]
Stops = Annotated[list[Stop], Field(max_length=MAX_STOPS)]


class ChatRequest(OpenForm):
    """`POST /v1/chat/completions`. The fields of the last group are refused where they ask for something."""

    messages: Annotated[list[ChatMessage], Field(min_length=1), FailFast()]
    model: Annotated[str, Field(max_length=256)] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = 1
    stop: Annotated[Stops | None, BeforeValidator(_stops, json_schema_input_type=Stop | Stops | None)] = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    presence_penalty: Penalty | None = 0
    frequency_penalty: Penalty | None = 0
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    seed: Annotated[int, Field(ge=-INT64_MAX, le=INT64_MAX)] | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_LOGPROBS)] | None = None
    response_format: dict[str, Any] | None = None
    user: str | None = None
    retrieval: Annotated[
        RetrievalOptions,
        BeforeValidator(_retrieval, json_schema_input_type=RetrievalMode | RetrievalOptions | None),
    ] = RetrievalOptions()
    top_k: TopK | None = None
    products_as: Literal["list", "markdown"] | None = "list"

    tools: list[Any] | None = None
    tool_choice: Any = None
    functions: list[Any] | None = None
    function_call: Any = None
    logit_bias: dict[str, Any] | None = None
    modalities: list[str] | None = None
    audio: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None

    @property
    def ignored(self) -> list[str]:
        """Names of the fields that nothing is done with; those of messages as `messages.name`."""
        of_messages = {f"messages.{name}": None for message in self.messages for name in message.unknown}
        return [*self.unknown, *of_messages]
