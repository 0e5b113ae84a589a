"""Catalogue + features + bundle -> retrieval index: a retrieval embedding of every item, ready for exact search.

An item is found by its picture, by its caption (the embedding at [RET] after it), or by both, their mean; an item
without a caption by its picture alone. The features must come from the vision encoder that the bundle was trained with,
and from this state of the catalogue; where one does not fit, the job says which and writes nothing.

    python -m jobs.index --catalogue openmoji --bundle default
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from fromage_model.artefacts import check_replaceable, place
from fromage_model.catalogue import Catalogue
from fromage_model.errors import FromageError
from fromage_model.index import INFO_FILE, RetrievalIndex, read_info
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
    workers: int = 1
    """Ray Data actors that project features, and then that read captions, each reserving one CPU."""
    threads: int = 0
    """Torch threads of each actor; 0 shares the machine's CPUs among them."""
    force: bool = False
    """Make the index again even where it is up to date."""


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
    return (info.fingerprint, info.catalogue_fingerprint, info.rows, info.vectors) == (
        bundle_fingerprint(args.bundle),
        catalogue.fingerprint,
        len(catalogue),
        args.vectors,
    )


def make_index(catalogue: Catalogue, args: IndexArgs) -> tuple[RetrievalIndex, list[str]]:
    """The index of the items that have features, and the ids of those that have none."""
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
            captions = items.column("caption").to_pylist()
            vectors = with_captions(
                vectors, captions, bundle=bundle, alone=args.vectors == "caption", workers=args.workers, threads=threads
            )
    index = RetrievalIndex.build(
        vectors,
        items,
        fingerprint=embedded.fingerprint,
        catalogue=catalogue.name,
        catalogue_fingerprint=catalogue.fingerprint,
        created_by="jobs.index",
        vectors_of=args.vectors,
    )
    return index, embedded.missing


def with_captions(
    vectors: np.ndarray, captions: Sequence[str | None], *, bundle: str, alone: bool, workers: int, threads: int
) -> np.ndarray:
    """Pictures' embeddings (N, S) -> the mean of picture and caption, or the caption's `alone`, each of length 1."""
    from fromage_model.bundle import bundle_config
    from fromage_model.prompts import caption_text
    from jobs.text_embeddings import text_embeddings

    rows = [row for row, caption in enumerate(captions) if caption and caption.strip()]
    if not rows:
        return vectors
    prompt = bundle_config(bundle).caption_prompt
    texts = [caption_text(captions[row] or "", prompt=prompt) for row in rows]
    read = text_embeddings(texts, bundle=bundle, workers=workers, threads=threads)
    joined = vectors.copy()
    joined[rows] = read if alone else vectors[rows] + read
    return joined / np.linalg.norm(joined, axis=1, keepdims=True)


if __name__ == "__main__":
    run(main, IndexArgs)
