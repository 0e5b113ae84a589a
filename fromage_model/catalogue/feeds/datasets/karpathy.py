"""Karpathy's COCO as a feed: one item for each picture, with all its captions and the official split.

From `dataset_coco.json` and the pictures of COCO 2014, as they are published. restval is trained on, as is usual; val
and test are held out. Knows nothing of how pictures are fetched.
"""

from collections.abc import Iterator
from typing import Any

from fromage_model.catalogue.annotations import IMAGE_ID, OFFICIAL_SPLIT
from fromage_model.catalogue.feeds.datasets.records import (
    BrokenRecord,
    below,
    checked_folder,
    fields_of,
    files_sha256,
    records,
    split_feed,
)
from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.errors import CatalogueError
from fromage_model.storage.files import type_of

NAME = "coco-karpathy"
LIST_FILE = "dataset_coco.json"
# Where it is unpacked to, by the file's own archive and by the projects that train on it.
LIST_PLACES = ((LIST_FILE,), ("karpathy", LIST_FILE), ("annotations", LIST_FILE))
PICTURE_FOLDERS = ("train2014", "val2014")
SPLITS = ("train", "restval", "val", "test")
FIELDS = {"filepath": str, "filename": str, "split": str, "sentences": list}
LICENCE = "captions CC BY 4.0; pictures by Flickr's terms of use"
ATTRIBUTION = "Microsoft COCO 2014 (cocodataset.org), in the splits of A. Karpathy and L. Fei-Fei"
PAGE = "http://images.cocodataset.org/{folder}/{file}"
EXPECTED = f"Karpathy's {LIST_FILE} and the folders train2014 and val2014 of COCO's pictures"


def read_karpathy(folder: str) -> Feed:
    """All pictures of the file, in its order. Raises CatalogueError where the folder lacks what it should hold."""
    return split_feed(
        NAME, karpathy_rows(folder), sha256=karpathy_sha256(folder), licence=LICENCE, attribution=ATTRIBUTION
    )


def karpathy_sha256(folder: str) -> str:
    """The hash of that feed, over the sizes and times of change of its files. Raises CatalogueError."""
    list_file, folders = _places(folder)
    return files_sha256([list_file], sorted(set(folders.values())))


def karpathy_rows(folder: str) -> Iterator[FeedRow]:
    """One row after the other; a record with a wrong field is a row that says so. Raises as `read_karpathy`."""
    list_file, folders = _places(folder)
    usable, problem = 0, None
    for number, record in enumerate(records(list_file, "images"), start=1):
        try:
            row = _row(number, record, folders, f"{LIST_FILE}: images[{number - 1}]")
            usable += 1
        except BrokenRecord as error:
            row = FeedRow(row=number, image="", problem=str(error))
            problem = problem or row.problem
        yield row
    if not usable:
        raise CatalogueError(f"{list_file} is not Karpathy's list of COCO: {problem}")


def _row(number: int, record: Any, folders: dict[str, str], where: str) -> FeedRow:
    filepath, filename, split, sentences = fields_of(record, FIELDS, where)
    if filepath not in folders:
        raise BrokenRecord(f"{where}: expected filepath to be {' or '.join(folders)}, got {filepath!r:.60}")
    if split not in SPLITS:
        raise BrokenRecord(f"{where}: expected split to be one of {', '.join(SPLITS)}, got {split!r:.60}")
    raw = [
        fields_of(one, {"raw": str}, f"{where}.sentences[{at}]", may_be_blank=True)[0]
        for at, one in enumerate(sentences)
    ]
    captions = tuple(dict.fromkeys(" ".join(text.split()) for text in raw if text.strip()))
    if not captions:
        raise BrokenRecord(f"{where} has no sentence with a text")
    return FeedRow(
        row=number,
        image=below(folders[filepath], filename),
        caption=captions[0],
        captions=captions if len(captions) > 1 else (),
        item_url=PAGE.format(folder=filepath, file=filename),
        attributes={IMAGE_ID: filename, OFFICIAL_SPLIT: split},
        group=filename,
    )


def holds(folder: str) -> bool:
    """Whether the official list lies in a folder."""
    return _list_file(folder) is not None


def _list_file(folder: str) -> str | None:
    places = (below(folder, *names) for names in LIST_PLACES)
    return next((place for place in places if type_of(place) == "file"), None)


def _places(folder: str) -> tuple[str, dict[str, str]]:
    """The list, and where the pictures of each of its folders lie. Raises CatalogueError that says what is missing."""
    folder = checked_folder(folder, what=EXPECTED)
    list_file = _list_file(folder)
    if list_file is None:
        raise CatalogueError(
            f"{folder} holds no {LIST_FILE}, nor does a folder karpathy or annotations in it; it comes in "
            "caption_datasets.zip of https://cs.stanford.edu/people/karpathy/deepimagesent/"
        )
    found = {name: _pictures(folder, name) for name in PICTURE_FOLDERS}
    if not any(found.values()):
        raise CatalogueError(
            f"{folder} holds {LIST_FILE} and neither train2014 nor val2014; unpack train2014.zip and val2014.zip of "
            "https://cocodataset.org/#download there"
        )
    return list_file, {name: place or below(folder, name) for name, place in found.items()}


def _pictures(folder: str, name: str) -> str | None:
    places = (below(folder, name), below(folder, "images", name))
    return next((place for place in places if type_of(place) == "directory"), None)
