"""From messages or an interleaved prompt to a reply of text and products. Decoding and the index are its tools."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from fromage_model.chat.decode import decode
from fromage_model.chat.engine import Engine, Request
from fromage_model.errors import InvalidInput
from fromage_model.index import Hit, RetrievalIndex
from fromage_model.model.core import FromageCore
from fromage_model.prompts.messages import Event, Message, Part, Retrieval, RetrievalMode, Sampling, TextDelta
from fromage_model.prompts.segments import Prompt, begun_reply, chat_prompt, raw_prompt


@dataclass(frozen=True)
class Products:
    """What one [RET] brought: its retrieval embedding (S,) and the items found; none where there is no index."""

    embedding: np.ndarray = field(repr=False)
    offset: int
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True)
class Reply:
    """A reply as it was written: pieces of text and Products in order."""

    parts: tuple[str | Products, ...]

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def products(self) -> list[Products]:
        return [part for part in self.parts if isinstance(part, Products)]


@dataclass(frozen=True)
class Turn:
    """A reply before it is written: the prompt that it continues, and how its tokens are chosen.

    `begun`: ids of the reply that stand at the prompt's end, where a message of the assistant's is to be continued.
    """

    prompt: Prompt = field(repr=False)
    sampling: Sampling
    begun: tuple[int, ...] = ()


def generate(
    model: FromageCore,
    parts: Sequence[Part],
    *,
    sampling: Sampling,
    index: RetrievalIndex | None = None,
    top_k: int = 5,
    exclude: Collection[str] = (),
) -> Reply:
    """The raw interleaved prompt: text and pictures in, text and products out (FROMAGe section 4)."""
    prompt = raw_prompt(model.with_features(parts), model.tokens)
    return _collect(decode(model, prompt, sampling=sampling), index, top_k, exclude)


def generate_batch(
    model: FromageCore,
    prompts: Sequence[Sequence[Part]],
    *,
    sampling: Sampling,
    index: RetrievalIndex | None = None,
    top_k: int = 5,
    slots: int = 8,
) -> list[Reply]:
    """Many raw prompts, at most `slots` decoded at once; replies in the order of the prompts."""
    engine = Engine(model, slots=slots)
    events: dict[Request, list[Event]] = {}
    for parts in prompts:
        events[engine.add(raw_prompt(model.with_features(parts), model.tokens), sampling=sampling)] = []
    for request, event in engine.run():
        events[request].append(event)
    return [_collect(iter(own), index, top_k, ()) for own in events.values()]


def chat(
    model: FromageCore,
    messages: Sequence[Message],
    *,
    retrieval: RetrievalMode,
    sampling: Sampling,
    index: RetrievalIndex | None = None,
    top_k: int = 5,
    exclude: Collection[str] = (),
) -> Reply:
    """One reply to a conversation, whole."""
    return _collect(chat_stream(model, messages, retrieval=retrieval, sampling=sampling), index, top_k, exclude)


def chat_stream(
    model: FromageCore,
    messages: Sequence[Message],
    *,
    retrieval: RetrievalMode,
    sampling: Sampling,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Event]:
    """One reply to a conversation, as it is written; needs no index."""
    turn = next_turn(model, messages, sampling=sampling)
    return decode(model, turn.prompt, retrieval=retrieval, sampling=turn.sampling, begun=turn.begun, stop=stop)


def next_turn(model: FromageCore, messages: Sequence[Message], *, sampling: Sampling) -> Turn:
    """What is decoded as the reply to a conversation, by `decode` or an `Engine`.

    A last message of the assistant's is continued: the prompt ends with its text as the LM would have written it, and
    what is decoded, with its offsets, is what comes after. A [RET] in it counts as asked, and is read where
    `ret_in_context` says so. Where `sampling` does not say how late [RET] may come, what follows it, or how sure of it
    the LM must be, the model's config does.
    """
    config = model.config
    bound = config.max_tokens_before_ret
    # Under a picture the reply says what it shows, beside products or not.
    pictured = any(not isinstance(part, str) for message in messages[-1:] for part in message.parts)
    if sampling.after_ret is None and config.after_ret and not pictured:
        sampling = dataclasses.replace(sampling, after_ret=config.after_ret)
    if sampling.max_tokens_before_ret is None and bound is not None:
        bound = max(bound, sampling.min_tokens_before_ret)
        sampling = dataclasses.replace(sampling, max_tokens_before_ret=bound)
    least = config.show_log_odds_pictured if pictured else config.show_log_odds
    if sampling.ret_scale_factor is None and sampling.ret_log_odds is None and least is not None:
        sampling = dataclasses.replace(sampling, ret_log_odds=least)
    seen = [dataclasses.replace(message, parts=model.with_features(message.parts)) for message in messages]
    begun = begun_reply(seen.pop(), model.tokens) if seen and seen[-1].role == "assistant" else []
    prompt = chat_prompt(seen, model.tokens, system_prompt=config.system_prompt, examples=config.examples)
    read = [token for token in begun if sampling.ret_in_context or token != model.tokens.ret_id]
    return Turn([*prompt, read] if read else prompt, sampling, tuple(begun))


def as_message(message: Message | dict) -> Message:
    """`{"role": ..., "content": text or list of parts}` is taken for a Message too: a notebook can stay short."""
    if isinstance(message, Message):
        return message
    role, content = message.get("role"), message.get("content")
    if role not in ("system", "user", "assistant"):
        raise InvalidInput(f"expected the role system, user or assistant, got {role!r}", field="role")
    if content is None:
        raise InvalidInput("expected content: text, or a list of text and pictures", field="content")
    return Message(role, [content] if isinstance(content, str) else list(content))


def _collect(events: Iterator[Event], index: RetrievalIndex | None, top_k: int, exclude: Collection[str]) -> Reply:
    """Events -> a Reply; an item appears once in it."""
    parts: list[str | Products] = []
    shown = set(exclude)
    for event in events:
        if isinstance(event, TextDelta):
            if parts and isinstance(parts[-1], str):
                parts[-1] += event.text
            else:
                parts.append(event.text)
        elif isinstance(event, Retrieval):
            hits = index.search(event.embedding, top_k=top_k, exclude=shown)[0] if index is not None else []
            shown.update(hit.id for hit in hits)
            parts.append(Products(embedding=event.embedding, offset=event.offset, hits=tuple(hits)))
    return Reply(tuple(parts))
