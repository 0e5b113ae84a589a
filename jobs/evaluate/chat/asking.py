"""Questions -> answers, through the chat engine of a bundle with an index, by Ray Data actors. Scores nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pyarrow as pa

from fromage_model.chat.engine import Engine, Request
from fromage_model.chat.reply import next_turn
from fromage_model.errors import ConfigError
from fromage_model.fromage import Fromage
from fromage_model.index import RetrievalIndex
from fromage_model.prompts.messages import Event, Finished, Message, Part, Retrieval, Sampling, TextDelta
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
    """What an actor loads, and how its replies are decoded, greedily."""

    bundle: str
    index: str
    catalogue: str
    sees_pictures: bool
    max_new_tokens: int
    repetition_penalty: float
    threads: int


@dataclass(eq=False)
class _Talk:
    """A question that is being asked. `shown` are the products that don't come again, as in the served chat."""

    row: int
    retrieval: Any
    to_say: list[str]
    whole: bool
    shown: list[str]
    messages: list[Message] = field(default_factory=list)
    came: list[Came] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    reply: str = ""

    @property
    def enough(self) -> bool:
        """Whether what the reply still has to say matters to nobody: its products are there, and no turn follows."""
        return bool(self.offsets) and not self.whole and not self.to_say

    def take(self, event: Event, index: RetrievalIndex) -> None:
        if isinstance(event, TextDelta):
            self.reply += event.text
        elif isinstance(event, Retrieval):
            (hits,) = index.search(event.embedding, top_k=TOP_K, exclude=self.shown)
            self.ids += [hit.id for hit in hits]
            self.shown += [hit.id for hit in hits]
            self.offsets.append(event.offset)

    def end_turn(self) -> None:
        self.messages.append(Message("assistant", [self.reply], tuple(self.offsets)))
        self.came.append(Came(tuple(self.ids), self.reply))
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
        self.index = RetrievalIndex.load(asking.index, fingerprint=self.model.fingerprint)
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
                talk.take(event, self.index)
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
