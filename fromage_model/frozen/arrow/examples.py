"""What goes into the files, a picture at a time: from a catalogue, or straight from a data set's official files.

Nothing is held but the part that is being read; pictures are read by whoever writes them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from fromage_model.catalogue import Catalogue, Item
from fromage_model.catalogue.annotations import (
    IMAGE_ID,
    OFFICIAL_SPLIT,
    QUESTIONS,
    Question,
    captions_of,
    questions_of,
    read_questions,
)
from fromage_model.catalogue.feeds.datasets import conceptual, karpathy, vqav2
from fromage_model.catalogue.feeds.datasets.named import Dataset, split_source
from fromage_model.catalogue.feeds.feed import FeedRow
from fromage_model.catalogue.schema import HELD_OUT
from fromage_model.catalogue.table import is_catalogue
from fromage_model.errors import CatalogueError, ConfigError
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.files import read_bytes, type_of

Form = Literal["coco", "vqav2", "conceptual"]
FORM_OF: dict[str, Form] = {karpathy.NAME: "coco", vqav2.NAME: "vqav2"}
ROWS_OF = {karpathy.NAME: karpathy.karpathy_rows, vqav2.NAME: vqav2.vqav2_rows}
EXPECTED = f"a catalogue, {karpathy.NAME}:FOLDER or {vqav2.NAME}:FOLDER"
# What the original's files are called, once they are a catalogue themselves.
ORIGINALS_COCO, ORIGINALS_SPLIT = "coco_caption_karpathy", "split"


@dataclass(frozen=True, slots=True)
class Example:
    """A picture by the data set's name for it, and what was said of it. `problem` says why it can't be used.

    `read` gives its bytes, and raises CatalogueError.
    """

    name: str
    split: str
    captions: tuple[str, ...]
    questions: tuple[Question, ...]
    read: Callable[[], bytes]
    problem: str | None = None


@dataclass(frozen=True)
class Examples:
    """The form of the files that they go into, and where to read them from the beginning, as often as needed."""

    form: Form
    source: str
    read: Callable[[], Iterator[Example]]


def examples_of(data: Catalogue | Path | str) -> Examples:
    """Those of a catalogue, by name, folder or URI, or of official files. Raises CatalogueError or ConfigError."""
    if isinstance(data, Catalogue):
        return _of_parts(data.name, lambda: iter([data]))
    source = str(data)
    found = split_source(source) or _found(source)
    if found is None:
        return _of_parts(source, partial(Catalogue.parts, source))
    dataset, folder = found
    if dataset.name == conceptual.NAME:
        raise ConfigError(
            f"{source} holds links, no pictures; fetch them into a catalogue first, jobs.ingest --source {source} "
            "--out cc, and name that"
        )
    rows = ROWS_OF[dataset.name]
    return Examples(FORM_OF[dataset.name], source, lambda: map(_of_row, rows(folder)))


def _found(source: str) -> tuple[Dataset, str] | None:
    """The data set whose official files lie in a folder that is no catalogue; None where `source` is none or a name."""
    if is_uri(source):
        return None
    folder = str(Path(source).expanduser())
    if type_of(folder) != "directory" or is_catalogue(Path(folder)):
        return None
    names = [name for name, holds in ((karpathy.NAME, karpathy.holds), (vqav2.NAME, vqav2.holds)) if holds(folder)]
    if len(names) > 1:
        raise ConfigError(
            f"{source} holds {' and '.join(names)}; say which: {' or '.join(f'{n}:{source}' for n in names)}"
        )
    if names:
        return split_source(f"{names[0]}:{folder}")
    raise CatalogueError(
        f"{source} is no catalogue, and holds the official files of no data set; expected {EXPECTED}, that is "
        f"{karpathy.EXPECTED}, or {vqav2.EXPECTED}"
    )


def _of_parts(source: str, parts: Callable[[], Iterator[Catalogue]]) -> Examples:
    return Examples(
        _form_of(parts()), source, lambda: (_of_item(part, item) for part in parts() for item in part.items())
    )


def _form_of(parts: Iterator[Catalogue]) -> Form:
    """As the source says; another catalogue with questions is VQAv2's, and one without Conceptual Captions'."""
    for part in parts:
        for item in part.items():
            if item.source in FORM_OF:
                return FORM_OF[item.source]
            if item.source.startswith(ORIGINALS_COCO):
                return "coco"
            if QUESTIONS in item.attributes:
                return "vqav2"
    return "conceptual"


def _of_row(row: FeedRow) -> Example:
    return Example(
        name=row.attributes.get(IMAGE_ID, row.image),
        split=row.attributes.get(OFFICIAL_SPLIT, ""),
        captions=row.captions or ((row.caption,) if row.caption else ()),
        questions=tuple(read_questions(row.attributes, row.image)),
        read=partial(read_bytes, row.image),
        problem=row.problem,
    )


def _of_item(part: Catalogue, item: Item) -> Example:
    known = item.attributes
    ours = "val" if item.split == HELD_OUT else "train"
    return Example(
        name=known.get(IMAGE_ID) or Path(item.image).name,
        split=known.get(OFFICIAL_SPLIT) or known.get(ORIGINALS_SPLIT) or ours,
        captions=tuple(captions_of(item)),
        questions=tuple(questions_of(item)),
        read=partial(part.image_bytes, item.id),
    )
