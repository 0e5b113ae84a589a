"""What the LM is asked beside chats: embeddings of texts and pictures, and captions. Knows nothing of Ray or HTTP.

Texts and captions are rows of the same engine as the replies: they are read at its pace, so that no reply stands still
for longer than a step, and never take more than half of its rows.

Shapes: B batch, F feature width, S shared width.
"""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from fromage_model.captioning.captioner import caption_prompt, check_caption_prompt
from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.language.caption_text import caption_of
from fromage_model.prompts.messages import Event, Finished, Retrieval, RetrievalMode, Sampling, TextDelta
from fromage_model.prompts.segments import Prompt, raw_prompt, token_ids
from services.deployments.passing import to_passing_thread
from services.products import Caption, Embedded

ASKING = Sampling(max_new_tokens=1)
"""[RET], at once."""
T = TypeVar("T")


class Writer(Protocol):
    """What decodes; `asides` is held by each row that is no chat's."""

    model: Fromage
    asides: asyncio.Semaphore

    def stream(
        self, messages: Callable[[Fromage], Prompt], *, retrieval: RetrievalMode, sampling: Sampling
    ) -> AsyncGenerator[list[Event], None]:
        """The events of a row that begins with the prompt that `messages` makes."""


async def embed(writer: Writer, texts: Sequence[str]) -> list[Embedded]:
    """The embedding that each text gets where [RET] follows it, as `Fromage.text_embeddings` has it.

    Raises InvalidInput for an empty text, PromptTooLong; the field is the text's place.
    """
    model = writer.model
    for place, text in enumerate(texts):
        if not token_ids(raw_prompt([text], model.tokens)):
            raise InvalidInput("the text is empty; expected at least one character", field=str(place))
    return await _together(_embedded(writer, text, place) for place, text in enumerate(texts))


async def embed_pictures(model: Fromage, features: np.ndarray) -> np.ndarray:
    """(B, F) -> (B, S) float32, each of length 1."""

    @torch.inference_mode()
    def projected() -> np.ndarray:
        return model.image_embeddings(torch.from_numpy(np.array(features))).float().cpu().numpy()

    return await to_passing_thread(projected)


async def captions(writer: Writer, features: np.ndarray, *, prompt: str | None, sampling: Sampling) -> list[Caption]:
    """A caption of each picture, (B, F), as `BundleCaptioner` writes it. Raises PromptTooLong."""
    check_caption_prompt(writer.model, prompt, max_new_tokens=sampling.max_new_tokens)
    rows = torch.from_numpy(np.array(features))
    return await _together(_caption(writer, row, prompt, sampling) for row in rows)


async def _embedded(writer: Writer, text: str, place: int) -> Embedded:
    found: np.ndarray | None = None
    tokens = 0
    try:
        async for event in _events(writer, lambda model: raw_prompt([text], model.tokens), "always", ASKING):
            if isinstance(event, Retrieval):
                found = event.embedding
            elif isinstance(event, Finished):
                tokens = event.prompt_tokens
    except PromptTooLong as error:
        raise PromptTooLong(str(error), field=str(place)) from error
    assert found is not None, "the one token is [RET]"
    return Embedded(found, tokens)


async def _caption(writer: Writer, row: torch.Tensor, prompt: str | None, sampling: Sampling) -> Caption:
    """To the end of its first line, as a caption has but one."""
    text = ""
    finished: Finished | None = None
    line = dataclasses.replace(sampling, stop=("\n",))
    async for event in _events(writer, lambda model: caption_prompt(model, row, prompt), "never", line):
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, Finished):
            finished = event
    assert finished is not None, "a row ends with Finished"
    written = caption_of(text, ended=finished.reason == "stop")
    return Caption(written, finished.prompt_tokens, finished.completion_tokens)


async def _events(
    writer: Writer, prepare: Callable[[Fromage], Prompt], retrieval: RetrievalMode, sampling: Sampling
) -> AsyncGenerator[Event, None]:
    async with writer.asides, aclosing(writer.stream(prepare, retrieval=retrieval, sampling=sampling)) as gathered:
        async for events in gathered:
            for event in events:
                yield event


async def _together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All of them; where one fails, the others are not waited for."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]
