"""The form of replies to chat completions: what `openapi.json` says of them. They are written by `replies`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.http.forms.retrieval import NarrowedBy


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ShownProduct(Answer):
    """An item of the catalogue. `image_url` and `page_url` are paths on this server; `title` is a short name, where
    there is one; `price` is as the catalogue writes it; `score` a cosine; `offset` the character of the message's text
    at which it belongs.
    """

    id: str
    caption: str
    title: str | None
    brand: str | None
    price: str | None
    item_url: str | None
    image_url: str
    page_url: str
    score: Annotated[float, Field(ge=-1.001, le=1.001)]
    offset: Annotated[int, Field(ge=0)]


class LikelyToken(Answer):
    """`bytes` is null for a special token; `token` has U+FFFD where it is part of a character."""

    token: str
    logprob: Annotated[float, Field(le=0)]
    bytes: list[Annotated[int, Field(ge=0, le=255)]] | None


class TokenLogprob(LikelyToken):
    top_logprobs: list[LikelyToken]


class Logprobs(Answer):
    content: list[TokenLogprob]
    refusal: None


class Usage(Answer):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


FinishReason = Literal["stop", "length"]


class AssistantMessage(Answer):
    """`filters`: by what the products were narrowed, in the form of `retrieval.filters`; `unmet_filters`: what was said
    too, with which no item is left; both null where nothing was looked for.
    """

    role: Literal["assistant"]
    content: str
    refusal: None
    products: list[ShownProduct]
    filters: NarrowedBy | None
    unmet_filters: NarrowedBy | None


class Choice(Answer):
    index: int
    message: AssistantMessage
    logprobs: Logprobs | None
    finish_reason: FinishReason


class ChatCompletion(Answer):
    """A whole reply, or `n` of them."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


class Delta(Answer):
    role: Literal["assistant"] | None = None
    content: str | None = None
    products: list[ShownProduct] | None = None
    filters: NarrowedBy | None = None
    unmet_filters: NarrowedBy | None = None


class ChunkChoice(Answer):
    index: int
    delta: Delta
    logprobs: Logprobs | None
    finish_reason: FinishReason | None


class ChatCompletionChunk(Answer):
    """One event of a stream, which ends in `data: [DONE]`; the last but it has no choices where usage is asked for."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


class Error(Answer):
    """`param` names the field of the request, as in `messages.0.content`."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(Answer):
    """What is answered with every status from 400 on."""

    error: Error
