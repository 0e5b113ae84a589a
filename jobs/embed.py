"""A catalogue -> features: what a frozen vision encoder sees in each picture, once, so that training never runs it.

A picture that can't be read goes to failures.parquet with its reason, and the job goes on. On a cluster, the
catalogue's folder must be the same on every node. Knows nothing of the language model or of bundles: features depend on
the encoder alone.

    python -m jobs.embed --catalogue openmoji --encoder efficientnet-lite0
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fromage_model.artefacts import file_sha256, is_uri, place, writing
from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import INFO_FILE, FeaturesInfo, read_info, write_features, write_info
from fromage_model.catalogue.schema import Failure
from fromage_model.catalogue.table import FAILURES_FILE, write_failures
from fromage_model.errors import CatalogueError
from fromage_model.pretrained import DEFAULT_VISION_ENCODER, locate_vision_encoder
from jobs.report import Progress, Report, Stopwatch, ray_session, run

log = logging.getLogger(__name__)

# While these are the same, so is the encoder's fingerprint, and torch need not be imported to know it.
CODE = ("fromage_model.vision", "fromage_model.images")


@dataclass(frozen=True)
class EmbedArgs:
    """Make the features of a catalogue's pictures."""

    catalogue: str = "openmoji"
    """Catalogue whose pictures are embedded: a name, a folder, or a URI."""
    encoder: str = DEFAULT_VISION_ENCODER
    """Frozen vision encoder: efficientnet-lite0, or a CLIP by hub id or local folder."""
    out: str | None = None
    """Name or folder of the features. Without it, the catalogue's name."""
    batch_size: int = 16
    """Pictures that go through the encoder at once."""
    workers: int = 1
    """Ray Data actors, each with an encoder of its own."""
    threads: int = 2
    """Torch threads of each actor on a CPU."""
    cpus_per_worker: float = 1.0
    """CPUs that each actor reserves."""
    num_gpus: float = 0.0
    """GPUs that each actor reserves; above 0 the encoder runs on CUDA."""
    allow_private: bool = False
    """Fetch pictures that the catalogue has by URI from private addresses too."""
    force: bool = False
    """Make the features again even where they are up to date."""


def main(args: EmbedArgs) -> Report:
    """Make the features, or find them up to date. Raises FromageError for what the user can put right."""
    watch = Stopwatch()
    catalogue = Catalogue.open(args.catalogue)
    folder = place("features", args.out or catalogue.name)
    settings = _settings(args)
    if not args.force and (info := up_to_date(folder, catalogue, settings)) is not None:
        log.info("%s is up to date; --force makes it again", folder)
        return _report(info, folder, watch, skipped=True)
    with writing(folder, marker=INFO_FILE) as scratch:
        info = embed(catalogue, scratch, args, settings=settings)
    if info.failed:
        log.warning("%d of %d pictures failed; %s tells why", info.failed, len(catalogue), folder / FAILURES_FILE)
    return _report(info, folder, watch, skipped=False)


def embed(catalogue: Catalogue, folder: Path, args: EmbedArgs, *, settings: dict[str, Any]) -> FeaturesInfo:
    """Write the features of every picture into `folder`. Raises CatalogueError when not one could be read."""
    ids: list[str] = []
    vectors: list[np.ndarray] = []
    failures: list[Failure] = []
    fingerprint = ""
    progress = Progress("embed", total=len(catalogue))
    with ray_session():
        for batch in _embedded(catalogue, args):
            good = batch.filter(batch["vector"].is_valid())
            ids += good["id"].to_pylist()
            width = batch.schema.field("vector").type.list_size
            vectors.append(np.asarray(good["vector"].combine_chunks().flatten()).reshape(-1, width))
            failures += _failures(batch.filter(batch["vector"].is_null()), catalogue)
            fingerprint = batch["encoder_fingerprint"][0].as_py()
            progress.add(batch.num_rows)
    if not ids:
        reasons = Counter(failure.message for failure in failures).most_common(3)
        raise CatalogueError(f"none of the {len(catalogue)} pictures of {catalogue.name} could be read: {reasons}")
    info = FeaturesInfo(
        encoder=args.encoder,
        encoder_fingerprint=fingerprint,
        catalogue=catalogue.name,
        catalogue_fingerprint=catalogue.fingerprint,
        rows=len(ids),
        failed=len(failures),
        width=vectors[0].shape[1],
        settings=settings,
    )
    write_features(folder, ids=ids, vectors=np.concatenate(vectors), info=info)
    write_failures(folder, failures)
    return info


def _embedded(catalogue: Catalogue, args: EmbedArgs) -> Iterable[pa.Table]:
    """The stage's output, in the order of the ids."""
    import ray

    from jobs.stages import EmbedPictures

    images = dict(zip(catalogue.table["id"].to_pylist(), catalogue.table["image"].to_pylist(), strict=True))
    wanted = [
        {"id": id, "image": images[id] if is_uri(images[id]) else str(catalogue.image_path(id))}
        for id in sorted(images)
    ]
    blocks = [
        pa.Table.from_pylist(wanted[start : start + args.batch_size])
        for start in range(0, len(wanted), args.batch_size)
    ]
    rows = ray.data.from_arrow(blocks).map_batches(
        EmbedPictures,
        fn_constructor_kwargs={
            "encoder": args.encoder,
            "device": "cuda" if args.num_gpus > 0 else "cpu",
            "threads": args.threads,
            "allow_private": args.allow_private,
        },
        batch_format="pyarrow",
        batch_size=args.batch_size,
        num_cpus=args.cpus_per_worker,
        num_gpus=args.num_gpus or None,
        compute=ray.data.ActorPoolStrategy(size=min(args.workers, len(blocks))),
    )
    return rows.iter_batches(batch_format="pyarrow", batch_size=None)


def _failures(bad: pa.Table, catalogue: Catalogue) -> list[Failure]:
    row_of = {id: row for row, id in enumerate(catalogue.table["id"].to_pylist(), start=1)} if bad.num_rows else {}
    return [
        Failure(
            row=row_of[row["id"]],
            id=row["id"],
            image=catalogue.item(row["id"]).image,
            stage=row["stage"],
            error=row["error"],
            message=row["message"],
            attempts=row["attempts"],
            failed_at=datetime.now(UTC),
        )
        for row in bad.to_pylist()
    ]


def _settings(args: EmbedArgs) -> dict[str, Any]:
    """What decides the features, beside the catalogue: known without loading the encoder."""
    code = hashlib.sha256()
    for module in CODE:
        spec = find_spec(module)
        code.update(file_sha256(spec.origin).encode() if spec and spec.origin else b"")
    return {
        "encoder": args.encoder,
        "weights": locate_vision_encoder(args.encoder).fingerprint,
        "code": code.hexdigest(),
        "device": "cuda" if args.num_gpus > 0 else "cpu",
    }


def up_to_date(folder: Path, catalogue: Catalogue, settings: dict[str, Any]) -> FeaturesInfo | None:
    """What features.json says, if this state of the catalogue and these settings made what is there.

    Where nothing but our code changed, the encoder's fingerprint decides, and the code is noted: a comment is no reason
    to look at a million pictures again.
    """
    try:
        info = read_info(folder)
    except CatalogueError:
        return None
    if info is None or info.catalogue_fingerprint != catalogue.fingerprint:
        return None
    if info.settings == settings:
        return info
    if info.settings | {"code": settings["code"]} != settings:
        return None
    from fromage_model.vision import load_vision_encoder

    if load_vision_encoder(settings["encoder"]).fingerprint != info.encoder_fingerprint:
        return None
    info = replace(info, settings=settings)
    write_info(folder, info)
    return info


def _report(info: FeaturesInfo, folder: Path, watch: Stopwatch, *, skipped: bool) -> Report:
    return Report(
        "embed",
        rows_in=info.rows + info.failed,
        rows_out=info.rows,
        rows_failed=info.failed,
        seconds=watch.seconds,
        output=folder,
        encoder_fingerprint=info.encoder_fingerprint,
        skipped=skipped,
    )


if __name__ == "__main__":
    run(main, EmbedArgs)
