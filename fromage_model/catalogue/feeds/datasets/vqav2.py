"""VQAv2 as a feed: one item for each picture, with its questions and what ten people answered, and the official split.

From the files of questions and annotations of https://visualqa.org and the pictures of COCO, of whichever splits are
there. A question without its annotation is a failed row of its own; its picture keeps the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fromage_model.catalogue.annotations import IMAGE_ID, OFFICIAL_SPLIT, QUESTIONS, questions_text
from fromage_model.catalogue.feeds.datasets.asked import Asked
from fromage_model.catalogue.feeds.datasets.records import below, checked_folder, files_sha256, split_feed
from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.errors import CatalogueError
from fromage_model.storage.files import type_of

NAME = "vqav2"
LICENCE = "questions and answers CC BY 4.0; pictures by Flickr's terms of use"
ATTRIBUTION = "VQAv2 (visualqa.org), over pictures of Microsoft COCO (cocodataset.org)"
PAGE = "http://images.cocodataset.org/{folder}/{file}"
DOWNLOAD = "https://visualqa.org/download.html"


@dataclass(frozen=True)
class Official:
    """The files of one split: `pictures` is a folder, `annotations` None where none were published."""

    split: str
    questions: str
    annotations: str | None
    pictures: str

    def picture(self, image_id: int) -> str:
        return f"COCO_{self.pictures}_{image_id:012d}.jpg"


TRAIN, VAL, TEST, TEST_DEV = OFFICIAL = (
    Official(
        "train", "v2_OpenEnded_mscoco_train2014_questions.json", "v2_mscoco_train2014_annotations.json", "train2014"
    ),
    Official("val", "v2_OpenEnded_mscoco_val2014_questions.json", "v2_mscoco_val2014_annotations.json", "val2014"),
    Official("test", "v2_OpenEnded_mscoco_test2015_questions.json", None, "test2015"),
    Official("test-dev", "v2_OpenEnded_mscoco_test-dev2015_questions.json", None, "test2015"),
)
EXPECTED = f"VQAv2's files, such as {TRAIN.questions}, {TRAIN.annotations} and the folder {TRAIN.pictures}"


def read_vqav2(folder: str) -> Feed:
    """All pictures of the splits that are there, train first. Raises CatalogueError where a file lacks another."""
    return split_feed(NAME, vqav2_rows(folder), sha256=vqav2_sha256(folder), licence=LICENCE, attribution=ATTRIBUTION)


def vqav2_sha256(folder: str) -> str:
    """The hash of that feed, over the sizes and times of change of its files. Raises CatalogueError."""
    folder, there = _there(folder)
    files = [below(folder, name) for one in there for name in (one.questions, one.annotations) if name]
    return files_sha256(files, sorted({_pictures(folder, one) for one in there}))


def vqav2_rows(folder: str) -> Iterator[FeedRow]:
    """One row after the other, those of broken records after those of their split. Raises as `read_vqav2`.

    What was asked waits on disk, sorted by picture: the files keep no order that could be relied on.
    """
    folder, there = _there(folder)
    dev = TEST_DEV if TEST_DEV in there and TEST in there else None
    number = 0
    for official in there:
        if official is dev:
            continue
        pictures = _pictures(folder, official)
        with Asked() as asked:
            asked.add_questions(below(folder, official.questions))
            if official.annotations is not None:
                asked.add_annotations(below(folder, official.annotations))
            if dev is not None and official is TEST:
                asked.mark_test_dev(below(folder, dev.questions))
            for image_id, questions in asked.by_picture(answered=official.annotations is not None):
                number += 1
                file = official.picture(image_id)
                yield FeedRow(
                    row=number,
                    image=below(pictures, file),
                    item_url=PAGE.format(folder=official.pictures, file=file),
                    attributes={
                        IMAGE_ID: str(image_id),
                        OFFICIAL_SPLIT: official.split,
                        QUESTIONS: questions_text(questions),
                    },
                    group=file,
                )
            for about, problem in asked.problems():
                number += 1
                image = "" if about is None else below(pictures, official.picture(about))
                yield FeedRow(row=number, image=image, problem=problem)


def holds(folder: str) -> bool:
    """Whether official questions lie in a folder."""
    return any(_is_file(folder, one.questions) for one in OFFICIAL)


def _there(folder: str) -> tuple[str, list[Official]]:
    """The folder in full, and the splits whose files are in it. Raises CatalogueError that names what is missing."""
    folder = checked_folder(folder, what=EXPECTED)
    there = [one for one in OFFICIAL if _is_file(folder, one.questions)]
    if not there:
        alone = next((one for one in OFFICIAL if one.annotations and _is_file(folder, one.annotations)), None)
        beside = f" beside {alone.annotations}" if alone else ""
        names = ", ".join(one.questions for one in (OFFICIAL if alone is None else [alone]))
        raise CatalogueError(f"{folder} holds no questions{beside}; expected {names} of {DOWNLOAD}")
    for one in there:
        if one.annotations and not _is_file(folder, one.annotations):
            raise CatalogueError(
                f"{folder} holds {one.questions} without {one.annotations}; fetch that from {DOWNLOAD}, or move the "
                "questions away to leave this split out"
            )
        if type_of(_pictures(folder, one)) != "directory":
            raise CatalogueError(
                f"{folder} holds {one.questions} and no folder {one.pictures}; unpack {one.pictures}.zip of "
                "https://cocodataset.org/#download there, or move the questions away to leave this split out"
            )
    return folder, there


def _is_file(folder: str, name: str) -> bool:
    return type_of(below(folder, name)) == "file"


def _pictures(folder: str, official: Official) -> str:
    place = below(folder, "images", official.pictures)
    return place if type_of(place) == "directory" else below(folder, official.pictures)
