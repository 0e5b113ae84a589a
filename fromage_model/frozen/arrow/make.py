"""FROZEN's training files: `coco_caption_karpathy_SPLIT`, `vqav2_SPLIT`, `conceptual_caption_SPLIT_PART`, all `.arrow`.

Names, columns and splits are the original's. Where that draws the order of rows anew each time, here it is that of
`data`: the same files come of the same data.
"""

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.annotations import TRAINED_ON, Question
from fromage_model.catalogue.feeds.datasets.karpathy import SPLITS
from fromage_model.errors import CatalogueError, ConfigError
from fromage_model.frozen.arrow.examples import Example, Examples, examples_of
from fromage_model.frozen.arrow.files import ANSWERED, CAPTIONED, SplitFiles, cut
from fromage_model.frozen.vqa_answers import normalise_answer, soft_scores
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.image_kinds import HEAD_BYTES, PICTURES, kind_of

log = logging.getLogger(__name__)

# An answer is a label where it is the one that most gave to so many questions of train and val.
ANSWERS_AT_LEAST = 9
# The original trains on all of val but its last pictures.
REST_OF_VAL = 1000
ROWS_PER_PART = 100_000
ANSWERED_SPLITS = ("train", "val")


@dataclass
class ArrowFiles:
    """What was written: rows by the name of the file; of `examples`, how many were left out and why the first was.

    `questions_left_out` are those of train and val without an answer among the labels.
    """

    rows: dict[str, int] = field(default_factory=dict)
    examples: int = 0
    left_out: int = 0
    first_left_out: str | None = None
    labels: int = 0
    questions_left_out: int = 0


class LeftOut(Exception):
    """Why an example is in no file, in words."""


def make_arrow(
    data: Catalogue | Path | str, out: Path | str, *, answers_at_least: int = ANSWERS_AT_LEAST
) -> ArrowFiles:
    """A catalogue (its name, folder or URI, or open), `coco-karpathy:FOLDER` or `vqav2:FOLDER` -> files in `out`.

    `image` holds a picture's bytes as they are. Captions have `caption`, a list, `image_id` and `split`. Questions have
    `questions`, `question_id`, and for each those `answers` that are labels, `answer_labels`, and `answer_scores`
    min(1, 0.3 n) of an answer that n gave. A label is an answer, normalised as VQA's evaluation does, that most gave to
    `answers_at_least` questions of train and val. A folder of official files need not be named by its data set.
    Files of other data in `out` stay. A picture that is gone is left out, and counted. Raises CatalogueError where data
    lacks what it should hold or nothing can be written, and ConfigError.
    """
    if is_uri(out):
        raise ConfigError(f"out is {out}; these files are written to a local folder, copy them from there")
    if answers_at_least < 1:
        raise ConfigError(f"answers_at_least is {answers_at_least}; expected 1 or more")
    examples = examples_of(data)
    made = ArrowFiles()
    labels = _labels(examples, answers_at_least) if examples.form == "vqav2" else {}
    made.labels = len(labels)
    folder = Path(out).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".frozen-arrow.", dir=folder) as scratch:
        _write(examples, labels, Path(scratch), made)
        if not made.rows:
            raise CatalogueError(
                f"none of the {made.examples} pictures of {examples.source} could be written: {made.first_left_out}"
            )
        _place(made, Path(scratch), folder)
    if made.left_out:
        log.warning("%d of %d pictures were left out, the first: %s", made.left_out, made.examples, made.first_left_out)
    if made.questions_left_out:
        log.info("%d questions have no answer among the %d labels", made.questions_left_out, made.labels)
    return made


def _write(examples: Examples, labels: dict[str, int], scratch: Path, made: ArrowFiles) -> None:
    schema = ANSWERED if examples.form == "vqav2" else CAPTIONED
    rows_per_part = ROWS_PER_PART if examples.form == "conceptual" else None
    splits: dict[str, SplitFiles] = {}
    with ExitStack() as open_files:
        for example in examples.read():
            made.examples += 1
            try:
                for name, row in _rows(examples, example, labels, made):
                    if name not in splits:
                        files = SplitFiles(scratch, name, schema, rows_per_part=rows_per_part)
                        splits[name] = open_files.enter_context(files)
                    splits[name].add(row)
            except LeftOut as error:
                made.left_out += 1
                made.first_left_out = made.first_left_out or f"{example.name}: {error}"
    for files in splits.values():
        made.rows |= files.rows
    if "vqav2_val.arrow" in made.rows:
        names = ("vqav2_trainable_val.arrow", "vqav2_rest_val.arrow")
        first, last = (scratch / name for name in names)
        rows = cut(scratch / "vqav2_val.arrow", last=REST_OF_VAL, first_file=first, last_file=last)
        made.rows |= dict(zip(names, rows, strict=True))


def _rows(
    examples: Examples, example: Example, labels: dict[str, int], made: ArrowFiles
) -> Iterator[tuple[str, dict[str, Any]]]:
    """An example's row in each file that it belongs to. Raises LeftOut."""
    if example.problem is not None:
        raise LeftOut(example.problem)
    if examples.form == "vqav2":
        yield from _answered(example, labels, made)
        return
    if not example.captions:
        raise LeftOut("it has no caption")
    split = example.split
    if examples.form == "coco":
        if split not in SPLITS:
            raise LeftOut(f"its split is {split!r}; expected one of {', '.join(SPLITS)}")
        name = f"coco_caption_karpathy_{split}"
    else:
        split = "train" if split in TRAINED_ON else "val"
        name = f"conceptual_caption_{split}"
    captions = list(example.captions)
    yield name, {"image": _picture(example), "caption": captions, "image_id": example.name, "split": split}


def _answered(example: Example, labels: dict[str, int], made: ArrowFiles) -> Iterator[tuple[str, dict[str, Any]]]:
    if not example.name.isascii() or not example.name.isdigit():
        raise LeftOut("its image_id is no number, as those of COCO are")
    asked = {example.split: list(example.questions)}
    if example.split == "test":
        asked["test-dev"] = [question for question in example.questions if question.test_dev]
    image = None
    for split, questions in asked.items():
        scores = [
            {answer: score for answer, score in soft_scores(question.answers).items() if answer in labels}
            for question in questions
        ]
        if split in ANSWERED_SPLITS:
            kept = [number for number, given in enumerate(scores) if given]
            made.questions_left_out += len(questions) - len(kept)
            questions, scores = [questions[number] for number in kept], [scores[number] for number in kept]
        else:
            scores = []
        if not questions:
            continue
        image = image or _picture(example)
        yield f"vqav2_{split}", _answered_row(image, example, split, questions, scores, labels)
    if image is None:
        raise LeftOut("none of its questions has an answer that is a label" if example.questions else "no question")


def _answered_row(
    image: bytes,
    example: Example,
    split: str,
    questions: list[Question],
    scores: list[dict[str, float]],
    labels: dict[str, int],
) -> dict[str, Any]:
    return {
        "image": image,
        "questions": [question.question for question in questions],
        "answers": [list(given) for given in scores],
        "answer_labels": [[labels[answer] for answer in given] for given in scores],
        "answer_scores": [list(given.values()) for given in scores],
        "image_id": int(example.name),
        "question_id": [question.id for question in questions],
        "split": split,
    }


def _labels(examples: Examples, at_least: int) -> dict[str, int]:
    """The number of each answer that is a label, in the order in which they come first in train and val."""
    counts: Counter[str] = Counter()
    for example in examples.read():
        if example.split in ANSWERED_SPLITS:
            counts.update(filter(None, map(_most_given, example.questions)))
    kept = [answer for answer, count in counts.items() if count >= at_least]
    if counts and not kept:
        most = counts.most_common(1)[0]
        raise CatalogueError(
            f"{examples.source}: no answer is what most gave to {at_least} questions or more, as a label must be; the "
            f"most frequent, {most[0]!r}, is that of {most[1]}: answers_at_least {most[1]} makes labels"
        )
    return {answer: label for label, answer in enumerate(kept)}


def _most_given(question: Question) -> str:
    if question.answer is not None:
        return normalise_answer(question.answer)
    scores = soft_scores(question.answers)
    return max(scores, key=lambda answer: scores[answer]) if scores else ""


def _picture(example: Example) -> bytes:
    try:
        data = example.read()
    except CatalogueError as error:
        raise LeftOut(str(error)) from error
    if kind_of(data[:HEAD_BYTES]) not in PICTURES:
        raise LeftOut("its file is no picture")
    return data


def _place(made: ArrowFiles, scratch: Path, folder: Path) -> None:
    """The files in their place, all of them written; parts that an earlier run wrote beyond these go."""
    for name in made.rows:
        (scratch / name).replace(folder / name)
    for split in ("train", "val"):
        stem = f"conceptual_caption_{split}"
        if f"{stem}_0.arrow" in made.rows:
            for stale in folder.glob(f"{stem}_*.arrow"):
                if stale.name not in made.rows:
                    stale.unlink()
