"""What people wrote of a picture in a data set: several captions, questions with their answers, the official split.

They stand in an item's attributes, as text; here they are read and written. Knows no feed and no model.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from fromage_model.catalogue.schema import Item
from fromage_model.errors import CatalogueError

# The attribute that holds every caption of an item that has several, as a JSON list; the first is its `caption`.
CAPTIONS = "captions"
# A JSON list of objects with the fields of `Question`; those that are not known are left out.
QUESTIONS = "visual_questions"
# The data set's own name of the picture, and of the split that it is in: train, restval, val, test or test-dev.
IMAGE_ID = "image_id"
OFFICIAL_SPLIT = "official_split"
TRAINED_ON = frozenset(("train", "restval"))
ANNOTATIONS = (CAPTIONS, QUESTIONS, IMAGE_ID, OFFICIAL_SPLIT)


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a picture. `answers` are what each person asked wrote, as it stands in the data set: ten in
    VQAv2, none in its test splits. `answer` is what most wrote; `test_dev` says that it is of that split too."""

    id: int
    question: str
    answers: tuple[str, ...] = ()
    answer: str | None = None
    answer_type: str | None = None
    question_type: str | None = None
    test_dev: bool = False


FIELDS = tuple(field.name for field in fields(Question))
COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def captions_of(item: Item) -> list[str]:
    """Every caption of an item, its `caption` first; empty where it has none. Raises CatalogueError."""
    known = item.attributes.get(CAPTIONS)
    captions = [item.caption] if item.caption else []
    more = _list(known, CAPTIONS, item.id) if known else []
    if not all(isinstance(caption, str) for caption in more):
        raise CatalogueError(f"the attribute {CAPTIONS} of item {item.id}: expected texts, got {more!r:.60}")
    return list(dict.fromkeys([*captions, *more]))


def questions_of(item: Item) -> list[Question]:
    """The questions about an item's picture, in the data set's order. Raises CatalogueError where they are none."""
    return read_questions(item.attributes, item.id)


def read_questions(attributes: Mapping[str, str], id: str) -> list[Question]:
    """The same of the attributes of the item `id`."""
    known = attributes.get(QUESTIONS)
    try:
        found = _list(known, QUESTIONS, id) if known else []
        return [Question(**(one | {"answers": tuple(one.get("answers", ()))})) for one in found]
    except (TypeError, AttributeError) as error:
        raise CatalogueError(f"the attribute {QUESTIONS} of item {id} is not what ingest writes: {error}") from error


def questions_text(questions: Iterable[Question]) -> str:
    """What stands in the attribute."""
    return COMPACT.encode([_told(question) for question in questions])


def _told(question: Question) -> dict[str, Any]:
    """Its fields that say something; the id 0 does. A million of these are made: `asdict` would copy each answer."""
    told = {name: getattr(question, name) for name in FIELDS}
    return {name: value for name, value in told.items() if not (value is None or value is False or value == ())}


def _list(text: str, attribute: str, id: str) -> list[Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise CatalogueError(f"the attribute {attribute} of item {id} is no JSON: {error}") from error
    if not isinstance(found, list):
        raise CatalogueError(
            f"the attribute {attribute} of item {id}: expected a JSON list, got {type(found).__name__}"
        )
    return found
