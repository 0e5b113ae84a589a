"""What a run trains on: pictures with their texts, of a catalogue or of the original's arrow files. Knows no model.

Texts are held, pictures are read when a step wants them, so that a set larger than memory can be trained on.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from PIL import Image

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.annotations import captions_of, questions_of
from fromage_model.catalogue.schema import TRAIN, Failure
from fromage_model.errors import CatalogueError, FromageError
from fromage_model.frozen.vqa_answers import soft_scores
from fromage_model.vision.images import DECODED_AT_PX, decode_image
from jobs.common.reporting.report import Progress
from jobs.finetune.data import validation_groups
from jobs.finetune.frozen.arrow_rows import arrow_state, read_arrow
from jobs.finetune.frozen.settings import FrozenArgs, Task

CHECKED_AT_ONCE = 8
READ, PICTURE = "read", "picture"


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
    failures = [_failure(row, READ, _without(args.task)) for row in found if not row.texts]
    usable = [row for row in found if row.texts]
    if check:
        usable, broken = _decodable(usable)
        failures += broken
    held = validation_groups([row.group for row in usable], share=args.validation)
    rows = [row for row in usable if row.group not in held]
    if len(rows) < args.workers:
        told = f", {len(failures)} of {len(found)} have no text or no picture; the first: {failures[0].message}"
        raise CatalogueError(
            f"{source} has {len(rows)} rows to train on, {args.workers} are needed{told if failures else ''}"
        )
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
    if args.data_root is not None:
        columns = "caption" if args.task == "captions" else "questions"
        rows = [
            Row(number, id, file, id, tuple(texts), read)
            for number, (file, id, said, read) in enumerate(read_arrow(args.data_root, columns), start=1)
            for texts in [_texts(args.task, said)]
        ]
        return args.data_root, arrow_state(args.data_root, columns), rows
    catalogue = Catalogue.open(args.catalogue)
    items = catalogue.items(TRAIN)
    if not items:
        raise CatalogueError(f"{catalogue.name} has no item in its split {TRAIN}, of {len(catalogue)} in all")
    rows = []
    for number, item in enumerate(items, start=1):
        if args.task == "captions":
            texts = [Text(f" {caption}") for caption in captions_of(item) if caption.strip()]
        else:
            asked = [(one.question, soft_scores(one.answers or (one.answer or "",))) for one in questions_of(item)]
            texts = [text for question, scores in asked for text in _answers(question, scores)]
        read = partial(catalogue.image_bytes, item.id)
        rows.append(Row(number, item.id, item.image, item.group or item.id, tuple(texts), read))
    return catalogue.name, catalogue.fingerprint, rows


def _texts(task: Task, said: dict) -> Iterator[Text]:
    """Those of a row of the original's files."""
    if task == "captions":
        yield from (Text(f" {caption}") for caption in said["caption"] if caption.strip())
        return
    for question, answers, scores in zip(said["questions"], said["answers"], said["answer_scores"], strict=True):
        yield from _answers(question, dict(zip(answers, scores, strict=True)))


def _answers(question: str, scores: dict[str, float]) -> Iterator[Text]:
    return (Text(f" {answer}", question_in_words(question), score) for answer, score in scores.items() if score > 0)


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


def _without(task: Task) -> CatalogueError:
    return CatalogueError("it has no caption" if task == "captions" else "it has no question with an answer")


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
