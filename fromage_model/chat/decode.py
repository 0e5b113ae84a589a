"""One prompt decoded by itself, event by event: an engine with one place. Knows nothing of messages or the index."""

from collections.abc import Callable, Iterator, Sequence

from fromage_model.chat.engine import Engine
from fromage_model.model.core import FromageCore
from fromage_model.prompts.messages import Event, RetrievalMode, Sampling
from fromage_model.prompts.segments import Prompt


def decode(
    model: FromageCore,
    prompt: Prompt,
    *,
    retrieval: RetrievalMode = "auto",
    sampling: Sampling | None = None,
    begun: Sequence[int] = (),
    stop: Callable[[], bool] | None = None,
) -> Iterator[Event]:
    """Yield text as its characters become whole, a Retrieval wherever the LM writes [RET], and one Finished.

    The embedding of a [RET] comes from the state at the position that consumes it, so a [RET] in last place costs one
    forward pass more. With `ret_in_context` off, the cache then goes back to before [RET], and the next token, which
    can't be [RET] again, comes from there. `begun`: ids of the reply that the prompt ends with.
    `stop` is asked before each token; when it says yes the iterator ends without Finished.

    Raises InvalidInput where there is nothing to continue, PromptTooLong when the prompt and the reply would not fit
    into the LM's positions.
    """
    engine = Engine(model, slots=1)
    engine.add(prompt, retrieval=retrieval, sampling=sampling, begun=begun)
    return _events(engine, stop or (lambda: False))


def _events(engine: Engine, stop: Callable[[], bool]) -> Iterator[Event]:
    while engine.busy:
        if stop():
            return
        for _, event in engine.step():
            if isinstance(event, Exception):
                raise event
            yield event
