"""The questions of VQA and what ten people answered: the official files of VQA 1 and 2, or a catalogue made of them.

Answers are normalised as the official evaluation does it. Knows no models.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.annotations import questions_of
from fromage_model.errors import CatalogueError, InvalidInput
from fromage_model.frozen.vqa_answers import normalise_answer
from fromage_model.storage.artefacts import file_sha256
from jobs.evaluate.benchmarks.inputs import (
    PictureFolder,
    counted,
    field,
    find_file,
    id_of,
    new_id,
    picture_of,
    read_object,
)
from jobs.evaluate.benchmarks.task import Failures, PictureFile, Task

QUESTIONS = ("*MultipleChoice_mscoco_{split}_questions.json", "*OpenEnded_mscoco_{split}_questions.json")
ANNOTATIONS = ("*mscoco_{split}_annotations.json",)
PICTURE = "COCO_{split}_{image:0>12}"


@dataclass(frozen=True)
class Asked:
    """A question about a picture. `answers` are normalised, `answer` is what most people gave, as they wrote it.

    `choices` are its own, where the file has some (VQA 1); `answer_type` is yes/no, number or other.
    """

    id: str
    image_id: str
    question: str
    answers: tuple[str, ...]
    answer: str
    picture: PictureFile | None
    choices: tuple[str, ...] = ()
    answer_type: str = ""


def read_questions(folder: Path, split: str, *, pictures: bool = True) -> Task:
    """The questions of a split, whose pictures are looked for where `pictures` says so.

    Raises MissingArtefact, InvalidInput.
    """
    questions = find_file(folder, [name.format(split=split) for name in QUESTIONS], what=f"questions of VQA {split}")
    annotated = find_file(folder, [name.format(split=split) for name in ANNOTATIONS], what=f"answers of VQA {split}")
    failures = Failures()
    found = PictureFolder(folder)
    answers = _answers(read_object(annotated, ["annotations"])["annotations"], failures)
    rows = read_object(questions, ["questions"])["questions"]
    examples, known = [], set[str]()
    for row, told in enumerate(rows, start=1):
        id = str(told.get("question_id")) if isinstance(told, dict) else None
        with counted(failures, row, id):
            where = f"questions.{row - 1}"
            asked = _asked(told, where, answers, found if pictures else None, split)
            new_id(asked.id, known, f"{where}.question_id")
            examples.append(asked)
    total = len(rows) + sum(failure.id is None for failure in failures.rows)
    hashes = [file_sha256(file)[:16] for file in (questions, annotated)]
    return Task(examples, total, failures, str(questions), "".join(hashes))


def questions_of_catalogue(catalogue: Catalogue, split: str, *, pictures: bool = True) -> Task:
    """The questions that have answers of a catalogue's split, as `jobs.ingest` keeps those of VQAv2.

    Raises CatalogueError where there are none.
    """
    failures = Failures()
    examples: list[Asked] = []
    total = 0
    for row, item in enumerate(catalogue.items(split=split), start=1):
        answered = [one for one in questions_of(item) if one.answers]
        total += len(answered)
        with counted(failures, row, item.id, image=item.image):
            picture = picture_of(catalogue, item.id) if pictures and answered else None
            examples += [
                Asked(
                    id=str(one.id),
                    image_id=item.id,
                    question=one.question,
                    answers=tuple(map(normalise_answer, one.answers)),
                    answer=one.answer or Counter(one.answers).most_common(1)[0][0],
                    picture=picture,
                    answer_type=one.answer_type or "",
                )
                for one in answered
            ]
    if not total:
        raise CatalogueError(f"{catalogue.name} has no answered question in split {split!r}; --data reads VQA's files")
    return Task(examples, total, failures, catalogue.name, catalogue.fingerprint)


def most_frequent(asked: Sequence[Asked], count: int) -> tuple[str, ...]:
    """The answers that most questions have as theirs, the most frequent first, normalised."""
    counts = Counter(normalise_answer(one.answer) for one in asked)
    return tuple(answer for answer, _ in counts.most_common(count) if answer)


def _answers(rows: Sequence[Any], failures: Failures) -> dict[str, Mapping[str, Any]]:
    """By question: `answers` normalised, `answer`, `answer_type`."""
    found: dict[str, Mapping[str, Any]] = {}
    for row, told in enumerate(rows, start=1):
        where = f"annotations.{row - 1}"
        with counted(failures, row, None):
            id = id_of(told, "question_id", where)
            given = field(told, "answers", list, where)
            texts = [field(one, "answer", str, f"{where}.answers.{at}") for at, one in enumerate(given)]
            if not texts:
                raise InvalidInput(f"{where}.answers: expected what people answered, got none", field=where)
            named = "multiple_choice_answer"
            most = field(told, named, str, where) if told.get(named) else Counter(texts).most_common(1)[0][0]
            kind = str(told.get("answer_type", ""))
            found[id] = {"answers": tuple(map(normalise_answer, texts)), "answer": most, "answer_type": kind}
    return found


def _asked(
    told: Any, where: str, answers: Mapping[str, Mapping[str, Any]], pictures: PictureFolder | None, split: str
) -> Asked:
    id, image = id_of(told, "question_id", where), id_of(told, "image_id", where)
    if id not in answers:
        raise InvalidInput(f"{where}: no annotation has answers of the question {id}", field=where)
    choices = told.get("multiple_choices", [])
    if not isinstance(choices, list) or not all(isinstance(one, str) and one.strip() for one in choices):
        raise InvalidInput(f"{where}.multiple_choices: expected texts, got {choices!r:.60}", field=where)
    return Asked(
        id=id,
        image_id=image,
        question=field(told, "question", str, where).strip(),
        picture=pictures.find(PICTURE.format(split=split, image=image)) if pictures else None,
        choices=tuple(choices),
        **answers[id],
    )
