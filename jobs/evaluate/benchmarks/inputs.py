"""A benchmark's JSON and pictures, looked for below one folder and checked field by field. Knows no protocol."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.words import has_words
from fromage_model.errors import ImageError, InvalidInput, MissingArtefact
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.file_kinds import read_json
from jobs.evaluate.benchmarks.task import PICTURE, READING, Failures, MissingPicture, NoWords, PictureFile

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".heic")
T = TypeVar("T")


def find_file(folder: Path, patterns: Sequence[str], *, what: str) -> Path:
    """The one file below `folder` that the first fitting glob pattern finds.

    Raises MissingArtefact where none does, InvalidInput where a pattern finds several.
    """
    if folder.is_file():
        return folder
    if not folder.is_dir():
        raise MissingArtefact(f"no folder {folder}; --data names the one into which {what} was unpacked")
    for pattern in patterns:
        found = sorted(folder.rglob(pattern))
        if len(found) > 1:
            raise InvalidInput(
                f"{folder} has {len(found)} files {pattern}: {', '.join(map(str, found[:4]))}; --split chooses"
            )
        if found:
            return found[0]
    raise MissingArtefact(f"{folder} holds no {what}: looked for {' and '.join(patterns)} in it and below")


def read_object(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """A JSON file's object, which has these keys, each a list or an object. Raises InvalidInput naming the file."""
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} can't be read: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"{path}: expected a JSON object with {', '.join(keys)}, got {type(content).__name__}")
    for key in keys:
        if not isinstance(content.get(key), list | dict) or not content[key]:
            known = ", ".join(sorted(content)) or "nothing"
            raise InvalidInput(f"{path}: expected {key} with something in it; found {known}", field=key)
    return content


def read_list(path: Path) -> list[Any]:
    """A JSON file's list. Raises InvalidInput naming the file."""
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} can't be read: {error}") from error
    if not isinstance(content, list) or not content:
        raise InvalidInput(f"{path}: expected a JSON list with something in it, got {type(content).__name__}")
    return content


def field(row: Any, name: str, kind: type[T] | tuple[type[T], ...], where: str) -> T:
    """`row[name]`, which is of `kind` and, if text, not blank. Raises InvalidInput: where, what was expected, what is.

    An id that the file writes as text where others write a number, or the other way, is what `id_of` is for.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    expected = " or ".join(one.__name__ for one in kinds)
    if not isinstance(row, dict):
        raise InvalidInput(f"{where}: expected an object with {name}, got {type(row).__name__}", field=where)
    value = row.get(name)
    wrong = not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)
    if wrong or (isinstance(value, str) and not value.strip()):
        found = "nothing" if name not in row else f"{type(value).__name__} {value!r:.40}"
        raise InvalidInput(f"{where}.{name}: expected {expected}, got {found}", field=f"{where}.{name}")
    return value  # type: ignore[return-value]


def id_of(row: Any, name: str, where: str) -> str:
    """An id, a number or a text, as text. Raises InvalidInput."""
    return str(field(row, name, (int, str), where)).strip()


def new_id(id: str, known: set[str], where: str) -> str:
    """The id, which is not among `known` and is from now on. Raises InvalidInput: figures count each example once."""
    if id in known:
        raise InvalidInput(f"{where}: expected an id of its own, got {id}, which an entry before it has", field=where)
    known.add(id)
    return id


def caption_in(row: Any, name: str, where: str) -> str:
    """`row[name]`, a text with a letter or a digit. Raises InvalidInput, NoWords."""
    text = field(row, name, str, where).strip()
    if not has_words(text):
        raise NoWords(f"{where}.{name}: expected a letter or a digit, got {text!r:.40}", field=f"{where}.{name}")
    return text


class PictureFolder:
    """The pictures below a folder, by file name, with or without its ending."""

    def __init__(self, folder: Path):
        self.folder = folder if folder.is_dir() else folder.parent
        self._by_name: dict[str, str] = {}
        for place, _, names in os.walk(self.folder):
            for name in names:
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in SUFFIXES:
                    self._by_name.setdefault(name, os.path.join(place, name))
                    self._by_name.setdefault(stem, os.path.join(place, name))

    def find(self, name: str) -> PictureFile:
        """Raises MissingPicture."""
        found = self._by_name.get(name)
        if found is None:
            raise MissingPicture(f"no picture {name} in {self.folder} or below")
        return PictureFile(found)


def picture_of(catalogue: Catalogue, id: str) -> PictureFile:
    """An item's picture. Raises MissingPicture where it is gone since the catalogue was made."""
    place = catalogue.image_place(id)
    if not is_uri(place) and not Path(place).is_file():
        raise MissingPicture(f"{place} is not there any more; `python -m jobs.ingest` brings it back")
    return PictureFile(place)


@contextmanager
def counted(failures: Failures, row: int, id: str | None, *, image: str | None = None) -> Iterator[None]:
    """What is wrong with one example inside the block goes to the failures, and the others go on."""
    try:
        yield
    except ImageError as error:
        failures.add(row, id, error, stage=PICTURE, image=image)
    except MissingPicture as error:
        failures.add(row, id, error, stage=PICTURE, image=image)
    except InvalidInput as error:
        failures.add(row, id, error, stage=READING, image=image)
