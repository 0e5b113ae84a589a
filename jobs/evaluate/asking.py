"""Questions -> answers, through the chat engine of a bundle with an index, by Ray Data actors. Scores nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import pyarrow as pa

from fromage_model.index import Hit, RetrievalIndex
from fromage_model.prompts.messages import Message, Part, Retrieval, RetrievalMode, Sampling, TextDelta
from fromage_model.vision.images import decode_image
from jobs.common.reporting.report import Progress
from jobs.common.stages.rows import require_columns
from jobs.evaluate.chat_quality import TOP_K, Answer, Question

QUESTIONS_PER_BATCH = 8


@dataclass(frozen=True)
class Engine:
    """What an actor loads, and how its replies are decoded, greedily."""

    bundle: str
    index: str
    catalogue: str
    sees_pictures: bool
    max_new_tokens: int
    repetition_penalty: float
    threads: int


class AskChat:
    """Ray Data stage: columns `row, text, retrieval, item_id` -> `row, ids, captions, reply`."""

    columns = ("row", "text", "retrieval", "item_id")

    def __init__(self, engine: Engine):
        import torch

        from fromage_model.bundle import load_bundle
        from fromage_model.catalogue import Catalogue

        torch.set_num_threads(engine.threads)
        self.engine = engine
        self.catalogue = Catalogue.open(engine.catalogue)
        self.model = load_bundle(engine.bundle, vision=engine.sees_pictures)
        self.index = RetrievalIndex.load(engine.index, fingerprint=self.model.fingerprint)

    def __call__(self, batch: pa.Table) -> pa.Table:
        require_columns(batch, self.columns, stage="AskChat")
        answers = [self.answer(**row) for row in batch.select(["text", "retrieval", "item_id"]).to_pylist()]
        schema = pa.schema({"ids": pa.list_(pa.string()), "captions": pa.list_(pa.string()), "reply": pa.string()})
        return pa.Table.from_pylist(answers, schema=schema).append_column("row", batch.column("row"))

    def answer(self, text: str, retrieval: RetrievalMode, item_id: str) -> dict[str, object]:
        """What comes for a user's first message, under the picture of the item `item_id` unless that is empty.

        A reply brings products once, so it is decoded until they come, or to its end where none do.
        """
        picture: list[Part] = [decode_image(self.catalogue.image_bytes(item_id))] if item_id else []
        hits: list[Hit] = []
        written: list[str] = []
        events = self.model.chat_stream(
            [Message("user", [*picture, text])],
            retrieval=retrieval,
            sampling=Sampling(
                max_new_tokens=self.engine.max_new_tokens,
                repetition_penalty=self.engine.repetition_penalty,
            ),
            stop=lambda: bool(hits),
        )
        for event in events:
            if isinstance(event, Retrieval):
                (hits,) = self.index.search(event.embedding, top_k=TOP_K, exclude=[item_id] if item_id else [])
            elif isinstance(event, TextDelta):
                written.append(event.text)
        return {
            "ids": [hit.id for hit in hits],
            "captions": [hit.item.caption or "" for hit in hits],
            "reply": "".join(written),
        }


def ask(questions: Sequence[Question], *, engine: Engine, workers: int) -> list[Answer]:
    """The answers in the order of the questions. Needs a Ray that runs."""
    import ray
    from ray.data import ActorPoolStrategy

    answered = (
        ray.data.from_arrow(_batches(questions))
        .map_batches(
            AskChat,
            fn_constructor_kwargs={"engine": engine},
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
            answers[row["row"]] = Answer(questions[row["row"]], tuple(row["ids"]), tuple(row["captions"]), row["reply"])
        progress.add(batch.num_rows)
    return [answers[row] for row in range(len(questions))]


def _batches(questions: Sequence[Question]) -> list[pa.Table]:
    rows = [
        {"row": row, "text": question.text, "retrieval": question.retrieval, "item_id": question.item_id}
        for row, question in enumerate(questions)
    ]
    return [
        pa.Table.from_pylist(rows[start : start + QUESTIONS_PER_BATCH])
        for start in range(0, len(rows), QUESTIONS_PER_BATCH)
    ]
