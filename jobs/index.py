"""Catalogue + features + bundle -> retrieval index: the retrieval embedding of every picture, ready for exact search.

The features must come from the vision encoder that the bundle was trained with, and from this state of the catalogue;
where one does not fit, the job says which and writes nothing. Knows nothing of text.

    python -m jobs.index --catalogue openmoji --bundle default
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from fromage_model.artefacts import check_replaceable, place
from fromage_model.catalogue import Catalogue
from fromage_model.errors import FromageError
from fromage_model.index import INFO_FILE, RetrievalIndex, read_info
from jobs.report import Report, Stopwatch, ray_session, run
from jobs.workers import name_for_workers

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
    workers: int = 1
    """Ray Data actors that project features, each reserving one CPU."""
    threads: int = 1
    """Torch threads of each actor."""
    force: bool = False
    """Make the index again even where it is up to date."""


def main(args: IndexArgs) -> Report:
    """Make the index, or find it up to date. Raises FromageError for what the user can put right."""
    watch = Stopwatch()
    catalogue = Catalogue.open(args.catalogue)
    folder = place("index", args.out or catalogue.name)
    if not args.force and is_up_to_date(folder, catalogue=catalogue, bundle=args.bundle):
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


def is_up_to_date(folder: Path, *, catalogue: Catalogue, bundle: str) -> bool:
    """Whether `folder` holds an index of every item of this catalogue, made by this bundle."""
    from fromage_model.bundle import bundle_fingerprint

    try:
        info = read_info(folder)
    except FromageError:
        return False
    return (info.fingerprint, info.catalogue_fingerprint, info.rows) == (
        bundle_fingerprint(bundle),
        catalogue.fingerprint,
        len(catalogue),
    )


def make_index(catalogue: Catalogue, args: IndexArgs) -> tuple[RetrievalIndex, list[str]]:
    """The index of the items that have features, and the ids of those that have none."""
    from jobs.image_embeddings import image_embeddings

    with ray_session():
        embedded = image_embeddings(
            catalogue,
            bundle=name_for_workers("bundle", args.bundle),
            features=args.features,
            workers=args.workers,
            threads=args.threads,
        )
    without = set(embedded.missing)
    kept = [row for row, id in enumerate(catalogue.table.column("id").to_pylist()) if id not in without]
    index = RetrievalIndex.build(
        embedded.vectors,
        catalogue.table.take(kept),
        fingerprint=embedded.fingerprint,
        catalogue=catalogue.name,
        catalogue_fingerprint=catalogue.fingerprint,
        created_by="jobs.index",
    )
    return index, embedded.missing


if __name__ == "__main__":
    run(main, IndexArgs)
