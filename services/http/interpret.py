"""What a ChatRequest means: a Conversation.

Whatever can't be served is an InvalidInput that names the field, so that a client can point at it.
"""

from collections.abc import Sequence
from dataclasses import replace

from fromage_model.errors import InvalidInput
from fromage_model.language.sentences import said_together
from fromage_model.prompts.messages import Role, Sampling
from fromage_model.understanding import Said, shown_by
from services.answering.conversation import ChatDefaults, ChatLimits, Conversation, Picture, Turn
from services.answering.pictures import read_picture
from services.http.forms.chat import ChatMessage, ChatRequest, ImagePart, TextPart
from services.http.forms.retrieval import conditions_of
from services.http.markdown import read_products
from services.http.unserved import refuse_unserved

DEFAULT_TOP_K = 5
MARKDOWN_SHARE = 4
"""Times the longest text of a message, that it may have with products in it."""
ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


def read_conversation(
    request: ChatRequest, *, limits: ChatLimits = ChatLimits(), defaults: ChatDefaults = ChatDefaults()
) -> Conversation:
    """The conversation in a request. Raises InvalidInput, naming the field, for what can't be served."""
    refuse_unserved(request)
    messages = request.messages
    if len(messages) > limits.max_messages:
        raise InvalidInput(
            f"there are {len(messages)} messages; at most {limits.max_messages} are read", field="messages"
        )
    if request.products_as == "markdown":
        messages = [_with_products(message, limits) for message in messages]
    turns = tuple(_turn(message, number, limits) for number, message in enumerate(messages))
    if all(turn.role == "assistant" for turn in turns):
        raise InvalidInput("there is nothing to reply to; a message of the user's comes first", field="messages")
    asked = request.retrieval
    narrowing = asked.narrowing(field="retrieval.filters")
    heard = tuple(_said(message) for message in messages if message.role in ("user", "assistant"))
    said = tuple(one for one in heard if one is not None)
    question = next((one.text for one in reversed(said) if not one.is_reply), "")
    before = shown_by(_told(message) for message in messages if message.role in ("user", "assistant"))
    narrowing = replace(
        narrowing.without(before.gone),
        shown=before.again - narrowing.exclude,
        said=() if asked.parse is False else said,
        asked=question,
    )
    conversation = Conversation(
        turns=turns,
        narrowing=narrowing,
        retrieval=asked.mode or "auto",
        top_k=asked.top_k or request.top_k or DEFAULT_TOP_K,
        sampling=_sampling(request, limits, defaults),
        count=request.n or 1,
    )
    if not conversation.pictures or asked.text_weight is not None:
        # What a picture shows is in no words: `like this, but longer` would find whatever is long.
        words = said_together([one.text for one in said if not one.is_reply])
        conversation = replace(conversation, narrowing=replace(conversation.narrowing, words=words))
    if len(conversation.pictures) > limits.max_images:
        field = conversation.pictures[limits.max_images].field
        raise InvalidInput(f"there are more than {limits.max_images} pictures in the request", field=field)
    return conversation


def _said(message: ChatMessage) -> Said | None:
    """What filters are read of: a user's words, and the products and filters that came with a reply, if any did."""
    if message.role == "user":
        return Said(_text(message))
    filters = None if message.filters is None else conditions_of(message.filters)
    reply = Said(filters=filters, shown=tuple(product.id for product in _products(message)))
    return reply if reply.is_reply else None


def _told(message: ChatMessage) -> str | list[str]:
    """A user's words, or the products that a reply showed, by id."""
    return _text(message) if message.role == "user" else [product.id for product in _products(message)]


def _text(message: ChatMessage) -> str:
    return "\n".join(part.text for part in message.content or () if isinstance(part, TextPart))


def _with_products(message: ChatMessage, limits: ChatLimits) -> ChatMessage:
    """A reply that was given with products as markdown is read as one with products; not what is too long to be one."""
    if message.role != "assistant" or not message.content:
        return message
    whole = "".join(part.text for part in message.content if isinstance(part, TextPart))
    if len(whole) > MARKDOWN_SHARE * limits.max_text_chars:
        return message
    text, shown = read_products(whole)
    if not shown:
        return message
    content = [TextPart(type="text", text=text)]
    return message.model_copy(update={"content": content, "products": [*shown, *(message.products or ())]})


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
        repetition_penalty=request.repetition_penalty or defaults.repetition_penalty,
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        stop=request.stop or (),
        top_logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        seed=request.seed,
    )


def _turn(message: ChatMessage, number: int, limits: ChatLimits) -> Turn:
    """The message at place `number`. Only an assistant's may be empty: products can be all that it said."""
    field = f"messages.{number}"
    role = ROLES[message.role]
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
    field = f"{field}.image_url" if isinstance(part.image_url, str) else f"{field}.image_url.url"
    return read_picture(part.url, field=field, limits=limits)


def _products(message: ChatMessage) -> Sequence:
    return (message.products or ()) if message.role == "assistant" else ()


def _ret_offsets(message: ChatMessage, text_chars: int, field: str) -> tuple[int, ...]:
    """Products shown together share one offset, and so one `[RET]`."""
    for number, shown in enumerate(_products(message)):
        if shown.offset > text_chars:
            problem = f"offset is {shown.offset}, beyond the message's text of {text_chars} characters"
            raise InvalidInput(problem, field=f"{field}.products.{number}.offset")
    return tuple(sorted({shown.offset for shown in _products(message)}))
