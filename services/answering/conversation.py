"""A conversation that can be served: messages for the LM, pictures to encode, products to leave out; and its limits.

Knows nothing of HTTP or Ray.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fromage_model.prompts.messages import Message, Part, RetrievalMode, Role, Sampling
from fromage_model.vision.images import ImageLimits
from services.products import Narrowing

SEED_STRIDE = 0x9E3779B97F4A7C15
CHARS_PER_TOKEN = 4


@dataclass(frozen=True)
class ChatLimits:
    """What one request may hold. `max_text_chars`: of one message. `max_new_tokens`: that a request may ask for.

    `remote_images`: whether pictures may be named by http(s) URLs.
    """

    max_messages: int = 64
    max_text_chars: int = 8000
    max_images: int = 8
    max_inputs: int = 64
    max_new_tokens: int = 1024
    image: ImageLimits = ImageLimits()
    remote_images: bool = False


@dataclass(frozen=True)
class ChatDefaults:
    """How a reply is decoded where the request does not say."""

    max_new_tokens: int = 128
    temperature: float = 0.0
    repetition_penalty: float = 1.0


@dataclass(frozen=True)
class Picture:
    """An image part of the request: the bytes of its file, or the http(s) URL of it, and the field they came in."""

    data: bytes | str
    field: str


@dataclass(frozen=True)
class Turn:
    """One message. `ret_offsets`: where its products stood, in characters of its text."""

    role: Role
    parts: tuple[str | Picture, ...]
    ret_offsets: tuple[int, ...] = ()


@dataclass(frozen=True)
class Conversation:
    """A request that can be served: `count` replies to it. `narrowing` leaves out the products that earlier turns
    showed, too; `features` are those of its pictures, where they have been encoded.

    A last turn of the assistant's is the beginning of the reply.
    """

    turns: tuple[Turn, ...]
    narrowing: Narrowing
    retrieval: RetrievalMode
    top_k: int
    sampling: Sampling
    count: int = 1
    features: tuple[np.ndarray, ...] | None = None

    @property
    def pictures(self) -> list[Picture]:
        return [part for turn in self.turns for part in turn.parts if isinstance(part, Picture)]

    @property
    def last_text(self) -> str:
        """What was said last, without its pictures."""
        return "".join(part for part in self.turns[-1].parts if isinstance(part, str)) if self.turns else ""

    @property
    def most_tokens(self) -> int:
        """About what it may come to, read and written, before the LM has counted."""
        chars = sum(len(part) for turn in self.turns for part in turn.parts if isinstance(part, str))
        return chars // CHARS_PER_TOKEN + len(self.pictures) + self.count * self.sampling.max_new_tokens

    def for_each(self, features: Sequence[np.ndarray]) -> list["Conversation"]:
        """One conversation for each reply, its pictures encoded. With a seed each is drawn by one that follows from it
        and from its place; the first by the seed itself.
        """
        seed = self.sampling.seed
        seeds = [None if seed is None else _seed(seed, place) for place in range(self.count)]
        return [
            replace(self, count=1, features=tuple(features), sampling=replace(self.sampling, seed=own)) for own in seeds
        ]

    def messages(self, features: Sequence[np.ndarray]) -> list[Message]:
        """The turns with each picture replaced by its features (F,), given in the order of `pictures`."""
        waiting = iter(features)
        return [Message(turn.role, tuple(_filled(turn.parts, waiting)), turn.ret_offsets) for turn in self.turns]


def _seed(seed: int, place: int) -> int:
    """In 64 bits with a sign. Neighbouring seeds have none in common: the stride is far from any that a client counts
    by.
    """
    return (seed + place * SEED_STRIDE + 2**63) % 2**64 - 2**63


def _filled(parts: Sequence[str | Picture], features: Iterator[np.ndarray]) -> Iterator[Part]:
    for part in parts:
        yield next(features) if isinstance(part, Picture) else part
