"""What a ChatRequest means: a Conversation.

Whatever can't be served is an InvalidInput that names the field, so that a client can point at it.
"""

from collections.abc import Sequence

from fromage_model.errors import ImageError, InvalidInput
from fromage_model.prompts.messages import Role, Sampling
from fromage_model.vision.data_urls import data_url_bytes
from services.conversation import ChatDefaults, ChatLimits, Conversation, Picture, Turn
from services.http.forms.chat import ChatMessage, ChatRequest, ImagePart, TextPart
from services.products import Narrowing

HOW_TO_SEND = "send the picture itself as a data: URL (data:image/png;base64,...)"


def read_conversation(
    request: ChatRequest, *, limits: ChatLimits = ChatLimits(), defaults: ChatDefaults = ChatDefaults()
) -> Conversation:
    """The conversation in a request. Raises InvalidInput, naming the field, for what can't be served."""
    _refuse_unsupported(request)
    messages = request.messages
    if len(messages) > limits.max_messages:
        raise InvalidInput(
            f"there are {len(messages)} messages; at most {limits.max_messages} are read", field="messages"
        )
    turns = tuple(_turn(message, number, limits) for number, message in enumerate(messages))
    if turns[-1].role != "user":
        raise InvalidInput("the last message must be the user's", field=f"messages.{len(turns) - 1}.role")
    conversation = Conversation(
        turns=turns,
        narrowing=Narrowing(exclude=frozenset(shown.id for message in messages for shown in _products(message))),
        retrieval=request.retrieval,
        top_k=request.top_k,
        sampling=_sampling(request, limits, defaults),
    )
    if len(conversation.pictures) > limits.max_images:
        field = conversation.pictures[limits.max_images].field
        raise InvalidInput(f"there are more than {limits.max_images} pictures in the request", field=field)
    return conversation


def _refuse_unsupported(request: ChatRequest) -> None:
    """A field that we don't serve is refused only where its value would change the reply."""
    asked_for = (
        ("n", request.n not in (None, 1), "only one reply is written; leave n out or send 1"),
        ("stop", bool(request.stop), "stop sequences are not supported"),
        ("tools", bool(request.tools), "tools are not supported"),
        ("functions", bool(request.functions), "functions are not supported"),
        ("logprobs", bool(request.logprobs), "log-probabilities are not supported"),
        ("top_logprobs", bool(request.top_logprobs), "log-probabilities are not supported"),
        ("logit_bias", bool(request.logit_bias), "a bias on tokens is not supported"),
        ("frequency_penalty", bool(request.frequency_penalty), "a frequency penalty is not supported; send 0"),
        ("presence_penalty", bool(request.presence_penalty), "a presence penalty is not supported; send 0"),
        ("response_format", (request.response_format or {}).get("type", "text") != "text", "replies are text"),
        ("modalities", (request.modalities or ["text"]) != ["text"], 'replies are text; send ["text"]'),
        ("audio", bool(request.audio), "audio is not supported"),
    )
    for field, asked, message in asked_for:
        if asked:
            raise InvalidInput(message, field=field)


def _sampling(request: ChatRequest, limits: ChatLimits, defaults: ChatDefaults) -> Sampling:
    field = "max_tokens" if request.max_completion_tokens is None else "max_completion_tokens"
    max_new_tokens = request.max_completion_tokens or request.max_tokens or defaults.max_new_tokens
    if max_new_tokens > limits.max_new_tokens:
        raise InvalidInput(f"{field} is {max_new_tokens}; at most {limits.max_new_tokens} are written", field=field)
    return Sampling(
        ret_in_context=False,
        max_new_tokens=max_new_tokens,
        temperature=defaults.temperature if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        repetition_penalty=defaults.repetition_penalty,
        seed=request.seed,
    )


def _turn(message: ChatMessage, number: int, limits: ChatLimits) -> Turn:
    """The message at place `number`. Only an assistant's may be empty: products can be all that it said."""
    field = f"messages.{number}"
    role: Role = "system" if message.role == "developer" else message.role
    if role == "system" and number > 0:
        raise InvalidInput("a system message must be the first", field=f"{field}.role")
    parts = tuple(
        _part(part, role, f"{field}.content.{place}", limits) for place, part in enumerate(message.content or ())
    )
    text = "".join(part for part in parts if isinstance(part, str))
    if len(text) > limits.max_text_chars:
        problem = f"the message has {len(text):,} characters; at most {limits.max_text_chars:,} are read"
        raise InvalidInput(problem, field=f"{field}.content")
    if role != "assistant" and not text.strip() and not any(isinstance(part, Picture) for part in parts):
        raise InvalidInput("the message is empty", field=f"{field}.content")
    return Turn(role, parts, _ret_offsets(message, len(text), field))


def _part(part: TextPart | ImagePart, role: Role, field: str, limits: ChatLimits) -> str | Picture:
    if isinstance(part, TextPart):
        return part.text
    if role != "user":
        raise InvalidInput(f"a picture can stand in a user's message only, not in the {role}'s", field=f"{field}.type")
    field = f"{field}.image_url.url"
    url = part.image_url.url
    if url.lstrip()[:8].lower().startswith(("http://", "https://")):
        raise InvalidInput(f"remote pictures are not fetched; {HOW_TO_SEND}", field=field)
    try:
        return Picture(data_url_bytes(url, limits=limits.image), field)
    except ImageError as error:
        raise ImageError(str(error), field=field) from error


def _products(message: ChatMessage) -> Sequence:
    return (message.products or ()) if message.role == "assistant" else ()


def _ret_offsets(message: ChatMessage, text_chars: int, field: str) -> tuple[int, ...]:
    """Products shown together share one offset, and so one `[RET]`."""
    for number, shown in enumerate(_products(message)):
        if shown.offset > text_chars:
            problem = f"offset is {shown.offset}, beyond the message's text of {text_chars} characters"
            raise InvalidInput(problem, field=f"{field}.products.{number}.offset")
    return tuple(sorted({shown.offset for shown in _products(message)}))
