"""What was asked and what was answered, a line of the log for each reply; for those who asked for it.

Knows nothing of HTTP, of Ray or of models.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from fromage_model.prompts.messages import TextDelta
from services.products import Products, ReplyEvent

LONGEST_CHARS = 2000

log = logging.getLogger("ray.serve")


async def logged(events: AsyncGenerator[ReplyEvent, None], *, asked: str) -> AsyncGenerator[ReplyEvent, None]:
    """The same events. However they end, what came of them until then is logged."""
    text, shown = "", list[str]()
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, TextDelta):
                    text += event.text
                elif isinstance(event, Products):
                    shown += [product.id for product in event.products]
                yield event
    finally:
        log.info("asked %r, answered %r, products %s", asked[:LONGEST_CHARS], text[:LONGEST_CHARS], shown)
