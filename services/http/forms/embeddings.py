"""The form of OpenAI's embeddings, of texts and of pictures."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from services.http.forms.completion import Answer
from services.http.forms.form import Form
from services.http.forms.pictures import Model, PicturePart

MOST_INPUTS = 2048
"""OpenAI's bound; `max_inputs` is the server's own."""


class TextPart(Form):
    """A text as a content part."""

    type: Literal["text"] = "text"
    text: str


def _kind(value: Any) -> str | None:
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "text" if value.get("type", "text" if "text" in value else None) == "text" else "picture"
    if isinstance(value, TextPart):
        return "text"
    return "picture" if isinstance(value, PicturePart) else None


Input = Annotated[
    Annotated[str, Tag("string")] | Annotated[TextPart, Tag("text")] | Annotated[PicturePart, Tag("picture")],
    Discriminator(_kind, custom_error_type="input", custom_error_message="expected a text or a picture"),
]


def _listed(value: Any) -> Any:
    """One input is a list of one."""
    if isinstance(value, str | dict):
        return [value]
    if not isinstance(value, list):
        raise PydanticCustomError("input", "expected a text, a picture, or a list of them")
    first = value[0] if value else None
    if isinstance(first, int) or (isinstance(first, list) and all(isinstance(one, int) for one in first)):
        raise PydanticCustomError("input", "token ids are of another model's vocabulary; send the texts themselves")
    return value


class EmbeddingsRequest(Form):
    """`POST /v1/embeddings`."""

    input: Annotated[
        list[Input],
        Field(min_length=1, max_length=MOST_INPUTS),
        BeforeValidator(_listed, json_schema_input_type=Input | Annotated[list[Input], Field(min_length=1)]),
    ]
    model: Model | None = None
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: Annotated[int, Field(ge=1, le=1 << 20)] | None = None


class EmbeddingAnswer(Answer):
    """`embedding`: numbers, or the base64 of as many float32, little-endian."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsUsage(Answer):
    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(Answer):
    """Of each input, in its order, a vector of length 1 in the space that text and pictures share."""

    object: Literal["list"]
    data: list[EmbeddingAnswer]
    model: str
    usage: EmbeddingsUsage
