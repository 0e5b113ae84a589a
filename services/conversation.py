"""A conversation that can be served: messages for the LM, pictures to encode, products to leave out; and its limits.

Knows nothing of HTTP or Ray.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fromage_model.prompts.messages import Message, Part, RetrievalMode, Role, Sampling
from fromage_model.vision.images import ImageLimits
from services.products import Narrowing


@dataclass(frozen=True)
class ChatLimits:
    """What one request may hold. `max_text_chars`: of one message. `max_new_tokens`: that a request may ask for."""

    max_messages: int = 64
    max_text_chars: int = 8000
    max_images: int = 8
    max_new_tokens: int = 1024
    image: ImageLimits = ImageLimits()


@dataclass(frozen=True)
class ChatDefaults:
    """How a reply is decoded where the request does not say."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    repetition_penalty: float = 1.0


@dataclass(frozen=True)
class Picture:
    """An image part of the request: the bytes of its file, and the field they came in."""

    data: bytes
    field: str


@dataclass(frozen=True)
class Turn:
    """One message. `ret_offsets`: where its products stood, in characters of its text."""

    role: Role
    parts: tuple[str | Picture, ...]
    ret_offsets: tuple[int, ...] = ()


@dataclass(frozen=True)
class Conversation:
    """A request that can be served. `narrowing` leaves out the products that earlier turns showed, too."""

    turns: tuple[Turn, ...]
    narrowing: Narrowing
    retrieval: RetrievalMode
    top_k: int
    sampling: Sampling

    @property
    def pictures(self) -> list[Picture]:
        return [part for turn in self.turns for part in turn.parts if isinstance(part, Picture)]

    def messages(self, features: Sequence[np.ndarray]) -> list[Message]:
        """The turns with each picture replaced by its features (F,), given in the order of `pictures`."""
        waiting = iter(features)
        return [Message(turn.role, tuple(_filled(turn.parts, waiting)), turn.ret_offsets) for turn in self.turns]


def _filled(parts: Sequence[str | Picture], features: Iterator[np.ndarray]) -> Iterator[Part]:
    for part in parts:
        yield next(features) if isinstance(part, Picture) else part
