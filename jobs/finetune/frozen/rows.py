"""What a run trains on: pictures with their texts, of a catalogue or of the original's arrow files. Knows no model.

Texts are held, pictures are read when a step wants them, so that a set larger than memory can be trained on.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from PIL import Image

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.annotations import captions_of, questions_of
from fromage_model.catalogue.schema import Failure
from fromage_model.catalogue.words import has_words
from fromage_model.errors import CatalogueError, FromageError
from fromage_model.frozen.vqa_answers import soft_scores
from fromage_model.vision.images import DECODED_AT_PX, decode_image
from jobs.common.reporting.report import Progress
from jobs.finetune.data import training_items, validation_groups
from jobs.finetune.frozen.arrow_rows import arrow_state, read_arrow
from jobs.finetune.frozen.settings import FrozenArgs, Task

CHECKED_AT_ONCE = 8
READ, PICTURE = "read", "picture"
Question = tuple[str, Mapping[str, float]]
"""What is asked, and each answer's soft score."""


@dataclass(frozen=True)
class Text:
    """What is learned after a picture and `context`; of several answers each is drawn by its `weight`."""

    text: str
    context: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class Row:
    """A picture and its texts. `number` is its place in the source, from 1; `bytes` reads the picture."""

    number: int
    id: str
    image: str
    group: str
    texts: tuple[Text, ...]
    bytes: Callable[[], bytes] = field(repr=False, compare=False)
    why: str = ""
    """Where it has no text, why."""

    def picture(self) -> Image.Image:
        """RGB and upright. Raises ImageError, CatalogueError or OSError."""
        return decode_image(self.bytes(), target_px=DECODED_AT_PX)


@dataclass(frozen=True)
class TrainingRows:
    """Rows to train on, those that are measured by, and those that can't be used."""

    source: str
    rows: list[Row]
    validation: list[Row]
    failures: list[Failure]
    fingerprint: str

    @property
    def read(self) -> int:
        return len(self.rows) + len(self.validation) + len(self.failures)


def select_rows(args: FrozenArgs, *, check: bool = False, without: Collection[int] = ()) -> TrainingRows:
    """The rows of the training split, less those for validation; with `check`, every picture is decoded once.

    `without` are numbers of rows that a check has found unusable. Raises CatalogueError where no row can be trained on,
    or too few.
    """
    source, state, found = _found(args)
    found = [row for row in found if row.number not in without]
    failures = [_failure(row, READ, CatalogueError(row.why)) for row in found if not row.texts]
    usable = [row for row in found if row.texts]
    if check:
        usable, broken = _decodable(usable)
        failures += broken
    held = validation_groups([row.group for row in usable], share=args.validation)
    rows = [row for row in usable if row.group not in held]
    if len(rows) < args.workers:
        told = f"; --validation {args.validation:g} holds {len(usable)} out" if usable else ""
        if failures:
            told += f", {len(failures)} of {len(found)} have no text or no picture; the first: {failures[0].message}"
        raise CatalogueError(f"{source} has {len(rows)} rows to train on, {args.workers} are needed{told}")
    said = [[row.id, row.group, [vars(text) for text in row.texts]] for row in usable]
    return TrainingRows(
        source=source,
        rows=rows,
        validation=[row for row in usable if row.group in held],
        failures=sorted(failures, key=lambda failure: failure.row),
        fingerprint=hashlib.sha256(json.dumps([args.task, state, said]).encode()).hexdigest()[:32],
    )


def question_in_words(question: str) -> str:
    """As `jobs.evaluate --benchmark vqa` asks it."""
    return f"Question: {question} Answer:"


def _found(args: FrozenArgs) -> tuple[str, str, list[Row]]:
    """What the rows are of, the state that it is in, and all of them."""
    rows: list[Row] = []
    if args.data_root is not None:
        columns = "caption" if args.task == "captions" else "questions"
        for number, (file, id, said, read) in enumerate(read_arrow(args.data_root, columns), start=1):
            captions, asked = said.get("caption"), [] if args.task == "captions" else _asked(said)
            rows.append(_row(number, id, file, id, read, task=args.task, captions=captions or [], asked=asked))
        return args.data_root, arrow_state(args.data_root, columns), rows
    catalogue = Catalogue.open(args.catalogue)
    for number, item in enumerate(training_items(catalogue), start=1):
        answered = [] if args.task == "captions" else questions_of(item)
        asked = [(one.question, soft_scores(one.answers or (one.answer or "",))) for one in answered]
        read = partial(catalogue.image_bytes, item.id)
        group = item.group or item.id
        rows.append(
            _row(number, item.id, item.image, group, read, task=args.task, captions=captions_of(item), asked=asked)
        )
    return catalogue.name, catalogue.fingerprint, rows


def _row(
    number: int,
    id: str,
    image: str,
    group: str,
    read: Callable[[], bytes],
    *,
    task: Task,
    captions: Sequence[str | None],
    asked: Sequence[Question],
) -> Row:
    """A row with those of its captions, or of its answers, that have a letter or a digit; or why it has none."""
    if task == "captions":
        texts = tuple(Text(f" {caption}") for caption in captions if has_words(caption))
        said = any(caption and caption.strip() for caption in captions)
        why = "its caption is without a letter or a digit" if said else "it has no caption"
    else:
        texts = tuple(
            Text(f" {answer}", question_in_words(question), score)
            for question, scores in asked
            for answer, score in scores.items()
            if has_words(question) and has_words(answer) and score > 0
        )
        why = "it has no question with an answer"
    return Row(number, id, image, group, texts, read, why="" if texts else why)


def _asked(said: Mapping[str, Any]) -> list[Question]:
    """The questions of a row of the original's files; one whose answers have not as many scores has none."""
    asked = itertools.zip_longest(*(said[name] or [] for name in ("questions", "answers", "answer_scores")))
    return [
        (question or "", {answer or "": score or 0.0 for answer, score in zip(answers, scores, strict=True)})
        for question, answers, scores in asked
        if answers and scores and len(answers) == len(scores)
    ]


def _decodable(rows: Sequence[Row]) -> tuple[list[Row], list[Failure]]:
    progress = Progress("looking at pictures", total=len(rows), of="pictures")
    good, failures = [], []
    with ThreadPoolExecutor(CHECKED_AT_ONCE) as pool:
        for row, problem in zip(rows, pool.map(_problem, rows), strict=True):
            if problem is None:
                good.append(row)
            else:
                failures.append(_failure(row, PICTURE, problem))
            progress.add(1)
    return good, failures


def _problem(row: Row) -> Exception | None:
    try:
        row.picture()
    except (FromageError, OSError) as error:
        return error
    return None


def _failure(row: Row, stage: str, error: Exception) -> Failure:
    return Failure(
        row=row.number,
        id=row.id,
        image=row.image,
        stage=stage,
        error=type(error).__name__,
        message=str(error),
        attempts=1,
        failed_at=datetime.now(UTC),
    )
