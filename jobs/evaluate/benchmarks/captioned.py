"""Pictures with captions, for retrieval and captioning: a catalogue's split, or the files that COCO and Karpathy gave.

    captions_val2014.json          COCO's: {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}
    dataset_coco.json, ...         Karpathy's splits: {"images": [{"filename", "split", "sentences": [{"raw"}]}]}

Pictures lie anywhere below the same folder, under the names that the file has for them.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fromage_model.catalogue import Catalogue, Item
from fromage_model.catalogue.annotations import captions_of
from fromage_model.catalogue.words import has_words
from fromage_model.errors import CatalogueError, InvalidInput
from fromage_model.storage.artefacts import file_sha256
from jobs.evaluate.benchmarks.inputs import (
    PictureFolder,
    caption_in,
    counted,
    field,
    find_file,
    id_of,
    new_id,
    picture_of,
    read_object,
)
from jobs.evaluate.benchmarks.task import Failures, NoWords, PictureFile, Task
from jobs.evaluate.options import EvaluateArgs

KARPATHY, COCO = "dataset_*.json", "captions_{split}*.json"
DEFAULT_SPLIT = "test"


@dataclass(frozen=True)
class Captioned:
    """A picture and what people wrote about it; `item` where it comes from a catalogue."""

    id: str
    picture: PictureFile
    captions: tuple[str, ...]
    item: Item | None = None


def read_captioned(args: EvaluateArgs, *, by_picture: bool) -> Task:
    """The pictures of a split with their captions.

    `by_picture`: items of a catalogue that share a picture are one example with all their captions. Raises
    MissingArtefact, CatalogueError, InvalidInput.
    """
    if args.data is None:
        return _of_catalogue(Catalogue.open(args.catalogue), args.split or "held-out", by_picture=by_picture)
    folder = Path(args.data).expanduser()
    patterns = (KARPATHY, COCO.format(split=args.split or ""))
    file = find_file(folder, patterns, what="captions of COCO or Karpathy")
    content = read_object(file, ["images"])
    pictures = PictureFolder(folder)
    if "annotations" in content:
        return _of_coco(file, read_object(file, ["images", "annotations"]), pictures)
    return _of_karpathy(file, content["images"], pictures, split=args.split or DEFAULT_SPLIT)


def _of_coco(file: Path, content: dict[str, Any], pictures: PictureFolder) -> Task:
    failures = Failures()
    captions: dict[str, list[str]] = defaultdict(list)
    for row, told in enumerate(content["annotations"], start=1):
        with counted(failures, row, None):
            where = f"annotations.{row - 1}"
            captions[id_of(told, "image_id", where)].append(caption_in(told, "caption", where))
    examples, known = [], set[str]()
    for row, image in enumerate(content["images"], start=1):
        with counted(failures, row, str(image.get("id")) if isinstance(image, dict) else None):
            where = f"images.{row - 1}"
            id = new_id(id_of(image, "id", where), known, f"{where}.id")
            name = field(image, "file_name", str, where)
            if not captions.get(id):
                raise InvalidInput(f"{where}: no annotation has a caption of the picture {id}", field=where)
            examples.append(Captioned(id, pictures.find(name), tuple(captions[id])))
    total = len(content["images"]) + sum(failure.id is None for failure in failures.rows)
    return Task(examples, total, failures, str(file), file_sha256(file)[:32])


def _of_karpathy(file: Path, images: Sequence[Any], pictures: PictureFolder, *, split: str) -> Task:
    failures = Failures()
    examples, total, splits, known = [], 0, set[str](), set[str]()
    for row, image in enumerate(images, start=1):
        where = f"images.{row - 1}"
        with counted(failures, row, str(image.get("imgid")) if isinstance(image, dict) else None):
            found = field(image, "split", str, where)
            splits.add(found)
            if found != split:
                continue
            total += 1
            name = field(image, "filename", str, where)
            sentences = field(image, "sentences", list, where)
            raw = [caption_in(told, "raw", f"{where}.sentences.{at}") for at, told in enumerate(sentences)]
            if not raw:
                raise InvalidInput(f"{where}.sentences: expected at least one, got none", field=where)
            id = new_id(Path(name).stem, known, f"{where}.filename")
            examples.append(Captioned(id, pictures.find(name), tuple(raw)))
    if not total:
        told = f"; {len(failures.rows)} can't be read, the first: {failures.rows[0].message}" if failures.rows else ""
        raise InvalidInput(
            f"{file} has no picture in split {split!r}; its splits: {sorted(splits)}{told}", field="split"
        )
    return Task(examples, total, failures, str(file), file_sha256(file)[:32])


def _of_catalogue(catalogue: Catalogue, split: str, *, by_picture: bool) -> Task:
    failures = Failures()
    together: dict[str, list[Item]] = defaultdict(list)
    for row, item in enumerate(catalogue.items(split=split), start=1):
        with counted(failures, row, item.id, image=item.image):
            if not has_words(item.caption):
                raise NoWords(f"{item.id}: expected a caption with a letter or a digit, got {item.caption!r:.40}")
            together[item.image_sha256 if by_picture else item.id].append(item)
    if not together:
        splits = sorted({str(value) for value in catalogue.table.column("split").to_pylist()})
        told = f"; the first of {len(failures.rows)}: {failures.rows[0].message}" if failures.rows else ""
        raise CatalogueError(f"{catalogue.name} has no captioned item in split {split!r}; its splits: {splits}{told}")
    total = len(together) + len(failures.rows)
    examples = []
    for row, own in enumerate(together.values(), start=1):
        first = own[0]
        with counted(failures, row, first.id, image=first.image):
            picture = picture_of(catalogue, first.id)
            captions = dict.fromkeys(one.strip() for item in own for one in captions_of(item) if has_words(one))
            examples.append(Captioned(first.id, picture, tuple(captions), first))
    return Task(examples, total, failures, catalogue.name, catalogue.fingerprint, {"catalogue": catalogue})
