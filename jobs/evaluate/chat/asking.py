"""Questions -> answers, through the chat engine of a bundle with an index, by Ray Data actors. Scores nothing."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pyarrow as pa

from fromage_model.chat.engine import Engine, Request
from fromage_model.chat.reply import next_turn
from fromage_model.errors import ConfigError
from fromage_model.fromage import Fromage
from fromage_model.index import DEFAULT_TEXT_WEIGHT, RetrievalIndex
from fromage_model.language.sentences import SentenceEncoder, said_together
from fromage_model.prompts.messages import Event, Finished, Message, Part, Retrieval, Sampling, TextDelta
from fromage_model.understanding import Reader, Said, Understood, shown_by
from fromage_model.understanding.wanted import left_by
from fromage_model.vision.images import decode_image
from jobs.common.reporting.report import Progress
from jobs.common.stages.rows import require_columns
from jobs.evaluate.chat.questions import TOP_K, Answer, Came, Question

# Replies that are written side by side, and questions that an actor is given at once: enough to keep all rows busy.
SLOTS = 8
QUESTIONS_PER_BATCH = 96
# Of keys and values, so that a conversation's next turn is not read from its beginning.
PREFIX_BYTES = 2**26

QUESTIONS = pa.schema(
    [
        ("row", pa.int64()),
        ("texts", pa.list_(pa.string())),
        ("retrieval", pa.string()),
        ("item_id", pa.string()),
        ("exclude", pa.list_(pa.string())),
        ("whole", pa.bool_()),
    ]
)
CAME = pa.struct([("ids", pa.list_(pa.string())), ("reply", pa.string())])
ANSWERS = pa.schema([("row", pa.int64()), ("came", pa.list_(CAME))])


@dataclass(frozen=True)
class Asking:
    """What an actor loads, and how its replies are decoded, greedily. `said_filters`: whether what is said of colour,
    price and the like narrows the search, as far as items meet it. `text_weight`: of an index for hybrid search, what
    words count; None as much as in the served chat, which has no words beside a picture.
    """

    bundle: str
    index: str
    catalogue: str
    sees_pictures: bool
    max_new_tokens: int
    repetition_penalty: float
    threads: int
    said_filters: bool = False
    text_weight: float | None = None


@dataclass(frozen=True)
class Shop:
    """What a chat's products are found in, and what reads its words, where these have a part."""

    index: RetrievalIndex
    reader: Reader | None = None
    sentences: SentenceEncoder | None = None
    text_weight: float | None = None

    @classmethod
    def open(cls, asking: Asking, *, fingerprint: str) -> "Shop":
        """Raises as `RetrievalIndex.load` and `SentenceEncoder.open`."""
        index = RetrievalIndex.load(asking.index, fingerprint=fingerprint)
        reader = Reader.of(index.items) if asking.said_filters else None
        hybrid = index.info.sentences if asking.text_weight != 0 else None
        sentences = SentenceEncoder.open(hybrid.encoder) if hybrid else None
        return cls(index, reader, sentences, asking.text_weight)

    def find(
        self,
        embedding: np.ndarray,
        messages: Sequence[Message],
        *,
        told: Sequence[str | Collection[str]],
        exclude: Collection[str],
    ) -> list[str]:
        """The ids of the first products, best first, for a conversation whose last message is answered.

        `told` is the same as texts of the user's and the ids that each reply showed.
        """
        before = shown_by(told)
        exclude = before.gone.union(exclude)
        understood = self._understood(told)
        filters = self.index.met(understood.filters, given={}, exclude=exclude, kind=understood.kind)
        words = self._words(messages)
        preferred = [kept for cells in understood.preferred if (kept := left_by(filters, cells))]
        (hits,) = self.index.search(
            embedding,
            top_k=TOP_K,
            exclude=exclude,
            filter=filters or None,
            preferred=preferred,
            demoted=before.again - exclude,
            near=understood.topic,
            **words,
        )
        return [hit.id for hit in hits]

    def _words(self, messages: Sequence[Message]) -> dict[str, Any]:
        pictures = any(not isinstance(part, str) for message in messages for part in message.parts)
        if self.sentences is None or (pictures and self.text_weight is None):
            return {}
        words = said_together([message.text for message in messages if message.role == "user"])
        weight = DEFAULT_TEXT_WEIGHT if self.text_weight is None else self.text_weight
        return {"texts": self.sentences([words]), "text_weight": weight} if words else {}

    def _understood(self, told: Sequence[str | Collection[str]]) -> Understood:
        if self.reader is None:
            return Understood()
        return self.reader.read([Said(one) if isinstance(one, str) else Said(shown=tuple(one)) for one in told if one])


@dataclass(eq=False)
class _Talk:
    """A question that is being asked. `exclude` are items that don't come; `told` what was said and shown before."""

    row: int
    retrieval: Any
    to_say: list[str]
    whole: bool
    exclude: list[str]
    told: list[str | list[str]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    came: list[Came] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    reply: str = ""

    @property
    def enough(self) -> bool:
        """Whether what the reply still has to say matters to nobody: its products are there, and no turn follows."""
        return bool(self.offsets) and not self.whole and not self.to_say

    def take(self, event: Event, shop: Shop) -> None:
        if isinstance(event, TextDelta):
            self.reply += event.text
        elif isinstance(event, Retrieval):
            gone = {*self.exclude, *self.ids}
            self.ids += shop.find(event.embedding, self.messages, told=self.told, exclude=gone)
            self.offsets.append(event.offset)

    def end_turn(self) -> None:
        self.messages.append(Message("assistant", [self.reply], tuple(self.offsets)))
        self.came.append(Came(tuple(self.ids), self.reply))
        self.told.append(self.ids)
        self.ids, self.offsets, self.reply = [], [], ""


class AskChat:
    """Ray Data stage: columns of QUESTIONS -> those of ANSWERS, what came for each of the `texts`, said in turn."""

    columns = tuple(QUESTIONS.names)

    def __init__(self, asking: Asking):
        import torch

        from fromage_model.bundle import load_bundle
        from fromage_model.catalogue import Catalogue

        torch.set_num_threads(asking.threads)
        self.catalogue = Catalogue.open(asking.catalogue)
        self.model: Fromage = load_bundle(asking.bundle, vision=asking.sees_pictures)
        self.shop = Shop.open(asking, fingerprint=self.model.fingerprint)
        self.engine = Engine(self.model, slots=SLOTS, prefix_bytes=PREFIX_BYTES)
        self.sampling = Sampling(
            max_new_tokens=asking.max_new_tokens, repetition_penalty=asking.repetition_penalty, ret_in_context=False
        )

    def __call__(self, batch: pa.Table) -> pa.Table:
        require_columns(batch, self.columns, stage="AskChat")
        talks = [
            _Talk(row["row"], row["retrieval"], row["texts"], row["whole"], row["exclude"]) for row in batch.to_pylist()
        ]
        going = {
            self._say(talk, [self._picture(id)] if id else []): talk
            for talk, id in zip(talks, batch["item_id"].to_pylist(), strict=True)
        }
        while self.engine.busy:
            for request, event in self.engine.step():
                if isinstance(event, Exception):
                    raise event
                talk = going.get(request)
                if talk is None:
                    continue
                talk.take(event, self.shop)
                if isinstance(event, Finished) or talk.enough:
                    self.engine.cancel(request)
                    del going[request]
                    talk.end_turn()
                    if talk.to_say:
                        going[self._say(talk)] = talk
        rows = [{"row": talk.row, "came": [vars(came) for came in talk.came]} for talk in talks]
        return pa.Table.from_pylist(rows, schema=ANSWERS)

    def _picture(self, item_id: str) -> Part:
        return decode_image(self.catalogue.image_bytes(item_id))

    def _say(self, talk: _Talk, pictures: Sequence[Part] = ()) -> Request:
        """The user's next message, under a picture where there is one."""
        (picture,) = self.model.with_features(pictures) if pictures else (None,)
        text = talk.to_say.pop(0)
        talk.told.append(text)
        talk.messages.append(Message("user", [text] if picture is None else [picture, text]))
        turn = next_turn(self.model, talk.messages, sampling=self.sampling)
        return self.engine.add(turn.prompt, retrieval=talk.retrieval, sampling=turn.sampling, begun=turn.begun)


def ask(questions: Sequence[Question], *, asking: Asking, workers: int) -> list[Answer]:
    """The answers in the order of the questions. Needs a Ray that runs. Raises ConfigError without questions."""
    import ray
    from ray.data import ActorPoolStrategy

    if not questions:
        raise ConfigError("there is nothing to ask")
    answered = (
        ray.data.from_arrow(_batches(questions))
        .map_batches(
            AskChat,
            fn_constructor_kwargs={"asking": asking},
            compute=ActorPoolStrategy(size=workers),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=1,
        )
        .iter_batches(batch_size=None, batch_format="pyarrow")
    )
    answers: dict[int, Answer] = {}
    progress = Progress("asking", total=len(questions), of="questions")
    for batch in cast(Iterable[pa.Table], answered):
        for row in batch.to_pylist():
            came = tuple(Came(tuple(one["ids"]), one["reply"]) for one in row["came"])
            answers[row["row"]] = Answer(questions[row["row"]], came)
        progress.add(batch.num_rows)
    return [answers[row] for row in range(len(questions))]


def _batches(questions: Sequence[Question]) -> list[pa.Table]:
    """Those of each actor's turn take about equally long: conversations are dealt out among the others."""
    rows = [
        {
            "row": row,
            "texts": list(question.texts),
            "retrieval": question.retrieval,
            "item_id": question.item_id,
            "exclude": list(question.exclude),
            "whole": question.whole,
        }
        for row, question in enumerate(questions)
    ]
    count = -(-len(rows) // QUESTIONS_PER_BATCH)
    return [pa.Table.from_pylist(rows[start::count], schema=QUESTIONS) for start in range(count)]
