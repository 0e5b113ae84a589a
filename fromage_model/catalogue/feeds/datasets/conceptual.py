"""Conceptual Captions as a feed: Google's TSV of caption and URL without a header, one file or those of both splits.

A file whose name says that it is the validation's is held out as a whole. Knows nothing of how pictures are fetched.
"""

import hashlib
from dataclasses import replace
from pathlib import PurePosixPath

from fromage_model.catalogue.annotations import OFFICIAL_SPLIT
from fromage_model.catalogue.feeds.delimited import CONCEPTUAL_CAPTIONS, read_delimited
from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.errors import CatalogueError
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.files import explained, filesystem, stamp, type_of

NAME = "conceptual-captions"
LICENCE = "captions free for any use, with Google LLC acknowledged; pictures by the terms of their sites"
ATTRIBUTION = "Conceptual Captions (ai.google.com/research/ConceptualCaptions)"
TRAIN, VAL = "train", "val"
EXPECTED = "Train_GCC-training.tsv or Validation_GCC-1.1.0-Validation.tsv; with a * in its name, both"


def read_conceptual(pattern: str) -> Feed:
    """The rows of the files, those of one after those of another.

    Without a file of the validation, what is held out is left to others. Raises CatalogueError.
    """
    rows: list[FeedRow] = []
    files = _files(pattern)
    for path in files:
        split = split_of(path)
        for row in _rows(path):
            number = len(rows) + 1
            problem = (
                row.problem if len(files) == 1 or not row.problem else f"{PurePosixPath(path).name}: {row.problem}"
            )
            attributes = {OFFICIAL_SPLIT: split}
            rows.append(replace(row, row=number, attributes=attributes, group=row.image or None, problem=problem))
    held_out = frozenset(row.group for row in rows if row.group and row.attributes[OFFICIAL_SPLIT] == VAL)
    return Feed(
        source=NAME,
        rows=rows,
        sha256=conceptual_sha256(pattern),
        licence=LICENCE,
        attribution=ATTRIBUTION,
        held_out=held_out or None,
    )


def conceptual_sha256(pattern: str) -> str:
    """The hash of that feed, over the sizes and times of change of its files. Raises CatalogueError."""
    stamps = "\n".join(f"{path}\0{stamp(path)}" for path in _files(pattern))
    return hashlib.sha256(stamps.encode("utf-8", "replace")).hexdigest()


def split_of(path: str) -> str:
    """val of Validation_GCC-1.1.0-Validation.tsv, train of any other name."""
    return VAL if "valid" in PurePosixPath(path).name.lower() else TRAIN


def _rows(path: str) -> list[FeedRow]:
    try:
        feed = read_delimited(path)
    except CatalogueError as error:
        raise CatalogueError(f"{error}; Conceptual Captions has a caption, a tab and a URL on each line") from error
    named = {name for row in feed.rows[:1] for name in row.attributes}
    if named:
        expected = " and ".join(CONCEPTUAL_CAPTIONS)
        raise CatalogueError(
            f"{path} has more columns than {expected}: {', '.join(sorted(named))}; --source {path} reads it"
        )
    return feed.rows


def _files(pattern: str) -> list[str]:
    store, path = filesystem(pattern)
    with explained(pattern):
        found = sorted(store.glob(path)) if "*" in pattern else [path] * (type_of(pattern) == "file")
    if not found:
        raise CatalogueError(f"{pattern} is no file; expected {EXPECTED}")
    if not is_uri(pattern):
        return [str(one) for one in found]
    return [store.unstrip_protocol(one) for one in found] if "*" in pattern else [pattern]
