"""What a step trains on: items put into words, and conversations around them. Knows no model and no tensors.

Every draw depends on (seed, step, rank) alone, so that a resumed run sees what an undisturbed one would have seen.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fromage_model.catalogue import Item
from fromage_model.catalogue.words import item_words
from fromage_model.prompts.messages import Message, Part
from jobs.finetune.examples import wording
from jobs.finetune.examples.answering import Asked, Facts
from jobs.finetune.examples.garments import Garments
from jobs.finetune.examples.glosses import Glosses


@dataclass(frozen=True)
class Mix:
    """Shares of what an item's text is: a caption, a chat wish, or its picture with a wish; they sum to 1."""

    captions: float = 0.4
    wishes: float = 0.5

    @property
    def pictures(self) -> float:
        return 1.0 - self.captions - self.wishes


@dataclass(frozen=True)
class Shown:
    """One item in words. A caption stands alone; otherwise `messages` is a conversation that ends with the wish.

    `asked` are the attributes that make any item an answer; empty where the item alone is.
    """

    item: int
    caption: str | None = None
    messages: tuple[Message, ...] = ()
    asked: Asked = ()


@dataclass(frozen=True)
class Talk:
    """A conversation and its reply. `ends`: the reply is whole; `after_ret`: it follows a [RET].

    Replies to small talk are the LM's own and teach [RET] its silence; the others teach what they follow, [RET]'s input
    row or the visual prefix, to be understood.
    """

    messages: tuple[Message, ...]
    reply: str
    ends: bool = True
    after_ret: bool = False
    small_talk: bool = False


@dataclass(frozen=True)
class StepExamples:
    """Everything of one step on one worker. `concatenate`: captions stand two in a sequence."""

    shown: list[Shown]
    captioned: list[int]
    talks: list[Talk]
    concatenate: bool = False


@dataclass(frozen=True)
class Exchange:
    """A message and the LM's own reply to it; `ends` where the LM came to an end before the token limit."""

    message: str
    reply: str
    ends: bool


def named(name: str) -> Shown:
    """The name of a thing as the shortest caption; it belongs to no item."""
    return Shown(-1, caption=wording.CAPTIONS[0].format(item=name))


def defined(gloss: str, draw: random.Random) -> Shown:
    """A dictionary's definition as a caption or, as often, as a wish; it belongs to no item."""
    if draw.random() < 0.5:
        return Shown(-1, caption=wording.GLOSS_CAPTION.format(gloss=gloss))
    return Shown(-1, messages=(Message("user", [draw.choice(wording.GLOSS_WISHES).format(gloss=gloss)]),))


class Phrases:
    """An item's name, tags and gloss -> sentences. `shortened` makes of a name or tag what a sentence has room for."""

    def __init__(
        self, items: Sequence[Item], glosses: Glosses | None, *, shortened: Callable[[str], str] = lambda text: text
    ):
        self._names = [shortened(item.caption or "") for item in items]
        self._tags = [[shortened(word) for word in item_words(item.attributes)] for item in items]
        self._glosses = [glosses.of(name) if glosses and name else None for name in self._names]

    def caption(self, item: int, draw: random.Random) -> str:
        return self._put(item, draw.choice(wording.CAPTIONS), draw, fallback=wording.CAPTIONS[0])

    def plain(self, item: int) -> str:
        return wording.CAPTIONS[0].format(item=self._names[item])

    def wish(self, item: int, draw: random.Random) -> str:
        forms = draw.choice((wording.NAME_WISHES, wording.TAG_WISHES, wording.TAG_WISHES, wording.GLOSS_WISHES))
        return self._put(item, draw.choice(forms), draw, fallback=draw.choice(wording.NAME_WISHES))

    def after_products(self, item: int, draw: random.Random) -> str:
        return draw.choice(wording.AFTER_PRODUCTS).format(item=self._names[item])

    def question(self, item: int, draw: random.Random) -> tuple[str, str]:
        """What a picture of the item shows, and the answer."""
        answer = draw.choice(wording.PICTURE_ANSWERS).format(item=self._names[item])
        return draw.choice(wording.PICTURE_QUESTIONS), answer

    def _put(self, item: int, form: str, draw: random.Random, *, fallback: str) -> str:
        tags, gloss = self._tags[item], self._glosses[item]
        if ("{gloss}" in form and not gloss) or ("{tag}" in form and len(tags) < 2):
            form = fallback
        tag, other = draw.sample(tags, 2) if len(tags) >= 2 else ("", "")
        return form.format(item=self._names[item], tag=tag, other=other, gloss=gloss)


class Sampler:
    """Draws the examples of each step. `features`, (N, F), belong to `items`, row by row.

    Where the items are `garments`, these say what is asked of them. The first `own_items` are the catalogue's, which
    each epoch goes through; the others, of further catalogues, serve the warm start and captions. Without
    `conversations` each item's caption is shown as it stands, and the first of each batch are captioned.
    """

    def __init__(
        self,
        items: Sequence[Item],
        features: np.ndarray,
        *,
        own_items: int | None = None,
        phrases: Phrases,
        garments: Garments | None = None,
        exchanges: Sequence[Exchange],
        mix: Mix,
        batch_size: int,
        caption_batch_size: int,
        talk_batch_size: int,
        seed: int,
        concatenate_share: float = 0.0,
        conversations: bool = True,
    ):
        self.items = items
        self.features = features
        self.own_items = len(items) if own_items is None else own_items
        self._phrases = phrases
        self._garments = garments
        self.facts = garments.facts if garments else Facts(items)
        self._exchanges = exchanges
        self._mix = mix
        self.batch_size = batch_size
        self._caption_batch_size = caption_batch_size
        self._talk_batch_size = talk_batch_size
        self._concatenate_share = concatenate_share
        self._conversations = conversations
        self._seed = seed

    def steps_per_epoch(self, world_size: int) -> int:
        return max(1, self.own_items // (self.batch_size * world_size))

    def draw(self, step: int, *, rank: int = 0, world_size: int = 1) -> StepExamples:
        """The examples of one step: the epoch's order is cut into batches, and each rank takes its own."""
        per_epoch = self.steps_per_epoch(world_size)
        epoch, place = divmod(step, per_epoch)
        order = list(range(self.own_items))
        self._random("order", epoch).shuffle(order)
        start = (place * world_size + rank) * self.batch_size
        chosen = order[start : start + self.batch_size]
        draw = self._random("step", step, rank)
        if not self._conversations:
            return StepExamples(
                shown=[Shown(item, caption=self.items[item].caption) for item in chosen],
                captioned=chosen[: self._caption_batch_size],
                talks=[],
                concatenate=self._random("concatenate", step, rank).random() < self._concatenate_share,
            )
        return StepExamples(
            shown=[self._show(item, draw) for item in chosen],
            captioned=self._captioned(chosen, draw),
            talks=[self._talk(draw) for _ in range(self._talk_batch_size)],
            concatenate=self._random("concatenate", step, rank).random() < self._concatenate_share,
        )

    def caption_of(self, item: int) -> str:
        """What the visual prefix learns to say of a picture."""
        return self._garments.plain(item) if self._garments else self.items[item].caption or ""

    def prefix_words(self, item: int) -> list[str]:
        """The words at which the visual prefix of a picture may start."""
        return self._garments.prefix_words(item) if self._garments else (self.items[item].caption or "").split()

    def phrasings(self, own: int, *, further: int) -> list[Shown]:
        """So many texts for each item, some with a conversation before them, and all that people say of garments."""
        draw = self._random("phrasings")
        counts = [own] * self.own_items + [further] * (len(self.items) - self.own_items)
        shown = [self._phrase(item, draw) for item, count in enumerate(counts) for _ in range(count)]
        told = self._garments.told(draw) if self._garments else []
        return shown + [Shown(item, None, said.messages, said.asked) for item, said in told]

    def plain_names(self) -> list[Shown]:
        """Each item's name as the shortest caption, as items are indexed by."""
        return [Shown(item, caption=self._phrases.plain(item)) for item in range(len(self.items))]

    def small_talk(self) -> list[Talk]:
        """Every message that calls for no product, once alone and once within a conversation."""
        draw = self._random("small talk")
        alone = [self._small_talk(exchange, []) for exchange in self._exchanges]
        later = [self._small_talk(exchange, self._earlier(draw)) for exchange in self._exchanges]
        return alone + later

    def pictured(self, count: int) -> list[Shown]:
        """So many pictures with what people say who want such things."""
        draw = self._random("pictures of what is wanted")
        return [self._pictured(draw.randrange(len(self.items)), draw) for _ in range(count)]

    def quiet(self) -> list[Talk]:
        """All that calls for no product: small talk, and half as many questions about pictures."""
        talks, draw = self.small_talk(), self._random("pictures that are asked about")
        items = [draw.randrange(len(self.items)) for _ in range(len(talks) // 2)]
        return talks + [self.picture_talk(item, self.features[item], draw) for item in items]

    def _captioned(self, chosen: Sequence[int], draw: random.Random) -> list[int]:
        """Items of the batch or, where there are further catalogues, as often one of theirs."""
        further = range(self.own_items, len(self.items))
        count = self._caption_batch_size
        return [draw.choice(further) if further and draw.random() < 0.5 else draw.choice(chosen) for _ in range(count)]

    def _show(self, item: int, draw: random.Random) -> Shown:
        if self._garments or draw.random() < self._mix.captions + self._mix.wishes:
            return self._phrase(item, draw)
        return self._pictured(item, draw)

    def _pictured(self, item: int, draw: random.Random) -> Shown:
        parts: list[Part] = [self.features[item], draw.choice(wording.picture_wishes())]
        draw.shuffle(parts)
        return Shown(item, messages=(*self._history(draw), Message("user", parts)))

    def _phrase(self, item: int, draw: random.Random) -> Shown:
        if self._garments:
            said = self._garments.draw(item, draw)
            history = [] if said.caption else self._history(draw)
            return Shown(item, said.caption, (*history, *said.messages), said.asked)
        mix = self._mix
        if draw.random() * (mix.captions + mix.wishes) < mix.captions:
            return Shown(item, caption=self._phrases.caption(item, draw))
        return Shown(item, messages=(*self._history(draw), Message("user", [self._phrases.wish(item, draw)])))

    def _talk(self, draw: random.Random) -> Talk:
        """Small talk in half of the cases; else what is said after products, or about a picture."""
        kind = draw.random()
        if kind < 0.5:
            return self._small_talk(draw.choice(self._exchanges), self._history(draw))
        item = draw.randrange(len(self.items))
        if kind < 0.75:
            wish = Message("user", [self._phrases.wish(item, draw)])
            return Talk((*self._history(draw), wish), self._phrases.after_products(item, draw), after_ret=True)
        return self.picture_talk(item, self.features[item], draw, history=self._history(draw))

    def picture_talk(
        self, item: int, features: np.ndarray, draw: random.Random, *, history: Sequence[Message] = ()
    ) -> Talk:
        """A question about the item's picture, whose features, (F,), are given, and the answer."""
        question, answer = (self._garments or self._phrases).question(item, draw)
        parts: list[Part] = [question, features] if draw.random() < 0.25 else [features, question]
        return Talk((*history, Message("user", parts)), answer)

    def _small_talk(self, exchange: Exchange, history: Sequence[Message]) -> Talk:
        messages = (*history, Message("user", [exchange.message]))
        return Talk(messages, exchange.reply, ends=exchange.ends, small_talk=True)

    def _history(self, draw: random.Random) -> list[Message]:
        """Most conversations begin here; one in eight has had a turn already."""
        return self._earlier(draw) if draw.random() >= 0.875 else []

    def _earlier(self, draw: random.Random) -> list[Message]:
        """A turn that brought products, or one that did not."""
        if draw.random() < 0.5:
            item = draw.randrange(self.own_items)
            if self._garments:
                return self._garments.earlier(item, draw)
            reply = Message("assistant", [self._phrases.after_products(item, draw)], ret_offsets=(0,))
            return [Message("user", [self._phrases.wish(item, draw)]), reply]
        if not (told := [exchange for exchange in self._exchanges if exchange.reply]):
            return []
        before = draw.choice(told)
        return [Message("user", [before.message]), Message("assistant", [before.reply])]

    def _random(self, *key: object) -> random.Random:
        return random.Random(hashlib.sha256(repr((self._seed, *key)).encode()).digest())
