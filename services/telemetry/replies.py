"""What a client sees of a reply, measured as its events pass: when they come, how many, how it ends.

Knows nothing of HTTP, of Ray or of models.
"""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import wraps
from typing import ParamSpec

from fromage_model.prompts.messages import Finished, TextDelta
from services.products import Products, ReplyEvent
from services.telemetry import metrics

P = ParamSpec("P")
Events = AsyncGenerator[ReplyEvent, None]


def watched(reply: Callable[P, Events]) -> Callable[P, Events]:
    """For what writes replies: it gives the same events, and they are measured."""

    @wraps(reply)
    def write(*args: P.args, **kwargs: P.kwargs) -> Events:
        return _measured(reply(*args, **kwargs))

    return write


async def _measured(events: Events) -> Events:
    """A reply that is closed before it has finished was left by its client."""
    start_s = time.perf_counter()
    first = {TextDelta: metrics.FIRST_TOKEN_SECONDS, Products: metrics.FIRST_PRODUCT_SECONDS}
    end = "left"
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Finished):
                    end = event.reason
                    metrics.TOKENS.record(event.prompt_tokens, direction="in")
                    metrics.TOKENS.record(event.completion_tokens, direction="out")
                elif isinstance(event, Products):
                    metrics.PRODUCTS.record(len(event.products))
                if seconds := first.pop(type(event), None):
                    seconds.record(time.perf_counter() - start_s)
                yield event
    except Exception:
        end = "error"
        raise
    finally:
        metrics.REPLIES.record(end=end)
        metrics.REPLY_SECONDS.record(time.perf_counter() - start_s)
