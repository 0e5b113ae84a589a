"""What a protocol asks of a model, and what comes out of it, whatever the protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from fromage_model.catalogue.schema import Failure
from fromage_model.errors import CatalogueError, FromageError, ImageError, InvalidInput
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.files import read_bytes
from fromage_model.vision.images import DECODED_AT_PX, decode_image
from jobs.evaluate.metrics.resampling import Figure, Scores

T = TypeVar("T")
READING, PICTURE, ASKING = "read", "picture", "ask"
"""Where an example may fail: in its file, at its picture, or because the model can't take it."""


@dataclass(frozen=True)
class PictureFile:
    """A picture by its path or URI."""

    place: str

    def bytes(self) -> bytes:
        """Raises ImageError where it can't be read."""
        try:
            return read_bytes(self.place) if is_uri(self.place) else Path(self.place).read_bytes()
        except (OSError, CatalogueError) as error:
            raise ImageError(f"the picture {self.place} can't be read: {error}") from error

    def open(self) -> Image.Image:
        """RGB. Raises ImageError."""
        return decode_image(self.bytes(), target_px=DECODED_AT_PX)


class Failures:
    """Examples that can't be asked, each with where it failed and why; rows count from 1."""

    def __init__(self) -> None:
        self.rows: list[Failure] = []

    def add(self, row: int, id: str | None, error: FromageError, *, stage: str, image: str | None = None) -> None:
        """`error` is what was raised; its class or its stage is the reason that is counted."""
        reason = _REASON_OF.get(type(error), _REASONS.get(stage, "failed"))
        self.rows.append(Failure(row, id, image, stage, reason, str(error), 1, datetime.now(UTC)))


class MissingPicture(InvalidInput):
    """A picture that a benchmark's file names and that is not there."""


class NoWords(InvalidInput):
    """A caption without a letter or a digit, or none at all."""


_REASON_OF: Mapping[type[FromageError], str] = {MissingPicture: "missing_picture", NoWords: "no_words"}
_REASONS = {READING: "wrong_field", PICTURE: "unreadable_picture", ASKING: "too_long"}


@dataclass(frozen=True)
class Task:
    """A benchmark as it was read: its examples, in the protocol's own form, and of `total` those that failed.

    `source` names the file or catalogue, `fingerprint` is of its contents. `more` is what the protocol reads beside.
    """

    examples: Sequence[Any]
    total: int
    failures: Failures
    source: str
    fingerprint: str
    more: Mapping[str, Any] = field(default_factory=dict)


def some_left(examples: list[T], task: Task) -> list[T]:
    """The examples that could be asked. Raises InvalidInput where that is none, with the first reasons."""
    if not examples:
        reasons = "; ".join(failure.message for failure in task.failures.rows[-3:])
        raise InvalidInput(f"{task.source}: none of {len(task.examples)} examples could be asked: {reasons}")
    return examples


@dataclass(frozen=True)
class Shown:
    """An example for people: what was asked of which picture, what was expected and what came, and how good that is."""

    id: str
    asked: str
    expected: str
    got: str
    score: float
    picture: PictureFile | None = None
    got_picture: PictureFile | None = None


@dataclass(frozen=True)
class Measured:
    """The scores by the name of each figure, the first the protocol's main one; and what is to be seen.

    `curves`: label -> points of (x, name of a figure), for a plot over `x_label`.
    """

    scores: Mapping[str, Scores]
    shown: Sequence[Shown]
    curves: Mapping[str, Sequence[tuple[float, str]]] = field(default_factory=dict)
    x_label: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """One model's figures, by name in the protocol's order."""

    model: str
    fingerprint: str
    figures: Mapping[str, Figure]
    measured: Measured
