"""Catalogue + features + bundle -> retrieval index: a retrieval embedding of every item, ready for exact search.

An item is found by its picture, by its caption (the embedding at [RET] after it), or by both, their weighted sum; an
item without a caption by its picture alone. A caption is read alone and with the item's tags, and the mean counts:
people wish for what a thing is good for as often as for its name. The features must come from the vision encoder that
the bundle was trained with, and from this state of the catalogue; where one does not fit, the job says which and writes
nothing.

    python -m jobs.index --catalogue openmoji --bundle default
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from fromage_model.artefacts import check_replaceable, place
from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.words import item_words
from fromage_model.errors import ConfigError, FromageError
from fromage_model.index import INFO_FILE, IndexInfo, RetrievalIndex, read_info
from fromage_model.prompts import item_texts
from jobs.report import Report, Stopwatch, ray_session, run
from jobs.workers import name_for_workers, threads_each

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexArgs:
    """Make a retrieval index."""

    catalogue: str = "openmoji"
    """Catalogue to index: a name, a folder, or a URI."""
    bundle: str = "default"
    """Bundle whose maps make the embeddings: a name, a folder, or a URI."""
    features: str | None = None
    """Features of the catalogue's pictures: a name or a folder. Without it, those named like the catalogue."""
    out: str | None = None
    """Name or folder of the index. Without it, the catalogue's name."""
    vectors: Literal["image", "caption", "both"] = "both"
    """What an item is found by; one without a caption always by its picture."""
    picture_share: float = 0.25
    """What the picture counts in both, from 0 to 1; the caption counts the rest."""
    words: int = 4
    """Most tags and keywords of an item that are read with its caption; 0 reads the caption alone."""
    workers: int = 1
    """Ray Data actors that project features, and then that read captions, each reserving one CPU."""
    threads: int = 0
    """Torch threads of each actor; 0 shares the machine's CPUs among them."""
    force: bool = False
    """Make the index again even where it is up to date."""

    def __post_init__(self):
        if not 0 <= self.picture_share <= 1:
            raise ConfigError(f"picture_share is {self.picture_share}; expected 0 to 1, for example 0.25")
        if self.words < 0:
            raise ConfigError(f"words is {self.words}; expected 0 or more, for example 4")


def main(args: IndexArgs) -> Report:
    """Make the index, or find it up to date. Raises FromageError for what the user can put right."""
    watch = Stopwatch()
    catalogue = Catalogue.open(args.catalogue)
    folder = place("index", args.out or catalogue.name)
    if not args.force and is_up_to_date(folder, catalogue=catalogue, args=args):
        log.info("%s is up to date; --force makes it again", folder)
        count = len(catalogue)
        return Report(
            "index", rows_in=count, rows_out=count, rows_failed=0, seconds=watch.seconds, output=folder, skipped=True
        )
    check_replaceable(folder, marker=INFO_FILE)
    index, missing = make_index(catalogue, args)
    index.save(folder)
    log.info("%d items indexed, %d without features, in %s", len(index), len(missing), folder)
    return Report(
        "index",
        rows_in=len(catalogue),
        rows_out=len(index),
        rows_failed=len(missing),
        seconds=watch.seconds,
        output=folder,
        fingerprint=index.fingerprint,
        skipped=False,
    )


def is_up_to_date(folder: Path, *, catalogue: Catalogue, args: IndexArgs) -> bool:
    """Whether `folder` holds an index of every item of this catalogue, made by this bundle of the same vectors."""
    from fromage_model.bundle import bundle_fingerprint

    try:
        info = read_info(folder)
    except FromageError:
        return False
    made_of = (info.fingerprint, info.catalogue_fingerprint, info.rows)
    return made_of == (bundle_fingerprint(args.bundle), catalogue.fingerprint, len(catalogue)) and _recipe(
        info
    ) == _recipe(args)


def _recipe(made: IndexInfo | IndexArgs) -> tuple[object, ...]:
    """How vectors are made, without what has no part in it."""
    share = made.picture_share if made.vectors == "both" else None
    return made.vectors, share, None if made.vectors == "image" else made.words


def make_index(catalogue: Catalogue, args: IndexArgs) -> tuple[RetrievalIndex, list[str]]:
    """The index of the items that have features, and the ids of those that have none."""
    from fromage_model.bundle import bundle_config
    from jobs.image_embeddings import image_embeddings

    bundle = name_for_workers("bundle", args.bundle)
    threads = threads_each(args.workers, threads=args.threads)
    with ray_session():
        embedded = image_embeddings(
            catalogue, bundle=bundle, features=args.features, workers=args.workers, threads=threads
        )
        without = set(embedded.missing)
        kept = [row for row, id in enumerate(catalogue.table.column("id").to_pylist()) if id not in without]
        items = catalogue.table.take(kept)
        vectors = embedded.vectors
        if args.vectors != "image":
            texts = texts_of(items, prompt=bundle_config(bundle).caption_prompt, words=args.words)
            share = args.picture_share if args.vectors == "both" else 0.0
            vectors = with_texts(
                vectors, texts, picture_share=share, bundle=bundle, workers=args.workers, threads=threads
            )
    index = RetrievalIndex.build(
        vectors,
        items,
        fingerprint=embedded.fingerprint,
        catalogue=catalogue.name,
        catalogue_fingerprint=catalogue.fingerprint,
        created_by="jobs.index",
        vectors_of=args.vectors,
        picture_share=args.picture_share,
        words=args.words,
    )
    return index, embedded.missing


def texts_of(items: pa.Table, *, prompt: str, words: int) -> list[list[str]]:
    """For each row of a catalogue what it is read by; nothing for one without a caption."""
    captions = items.column("caption").to_pylist()
    attributes = [dict(pairs or ()) for pairs in items.column("attributes").to_pylist()]
    return [
        item_texts(caption, item_words(own)[:words], prompt=prompt) if caption and caption.strip() else []
        for caption, own in zip(captions, attributes, strict=True)
    ]


def with_texts(
    vectors: np.ndarray,
    texts: Sequence[Sequence[str]],
    *,
    picture_share: float,
    bundle: str,
    workers: int,
    threads: int,
) -> np.ndarray:
    """Pictures' embeddings (N, S) -> their weighted sum with the mean of each item's texts, of length 1."""
    from jobs.text_embeddings import text_embeddings

    rows = np.array([row for row, own in enumerate(texts) for _ in own], dtype=np.int64)
    if not len(rows):
        return vectors
    read = text_embeddings([text for own in texts for text in own], bundle=bundle, workers=workers, threads=threads)
    told = np.zeros_like(vectors)
    np.add.at(told, rows, read)
    lengths = np.linalg.norm(told, axis=1, keepdims=True)
    told = np.divide(told, lengths, out=np.zeros_like(told), where=lengths > 0)
    joined = np.where(lengths > 0, picture_share * vectors + (1 - picture_share) * told, vectors)
    return joined / np.linalg.norm(joined, axis=1, keepdims=True)


if __name__ == "__main__":
    run(main, IndexArgs)
