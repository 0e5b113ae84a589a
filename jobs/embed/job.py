"""A catalogue -> features: what a frozen vision encoder sees in each picture, once, so that training never runs it.

Pictures are decoded on CPUs while others go through the encoder. What is done is kept: killed, the job goes on where it
was, and after the catalogue changed it looks at new and changed pictures alone. A picture that can't be read goes to
failures.parquet with its reason. On a cluster, the catalogue's folder and that of the features must be the same on
every node, or URIs. Knows nothing of the language model or of bundles: features depend on the encoder alone.

    python -m jobs.embed --catalogue wardrobe --encoder efficientnet-lite0-stages
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import FULL_VIEW, INFO_FILE, FeaturesInfo, FeaturesWriter, StoredDtype, write_info
from fromage_model.catalogue.table import FAILURES_FILE
from fromage_model.errors import CatalogueError
from fromage_model.storage.artefacts import file_sha256
from fromage_model.storage.pretrained import (
    EMBEDDED_VISION_ENCODERS,
    STAGES_VISION_ENCODER,
    locate_vision_encoder,
)
from jobs.common.durable import DurableRun, Stage, work_folder
from jobs.common.durable.publish import check_target, publishing, target
from jobs.common.options import check_options
from jobs.common.reporting.page import samples_of, spread, write_page
from jobs.common.reporting.report import Progress, Report, ray_session
from jobs.common.stages.pictures import DecodePictures, EncodePictures, limits_of, views_of
from jobs.common.stages.workers import device_for
from jobs.embed.earlier import Earlier, computed_in, up_to_date

log = logging.getLogger(__name__)

# While these are the same, so is the encoder's fingerprint, and torch need not be imported to know it.
CODE = ("fromage_model.vision.encoders", "fromage_model.vision.images", "fromage_model.vision.palette")
ROWS_PER_TABLE = 4096


@dataclass(frozen=True)
class EmbedArgs:
    """Make the features of a catalogue's pictures."""

    catalogue: str = "wardrobe"
    """Catalogue whose pictures are embedded: a name, a folder, or a URI."""
    encoder: str = STAGES_VISION_ENCODER
    """Frozen vision encoder: efficientnet-lite0, efficientnet-lite0-stages, which also sees colour, or a CLIP by hub id
    or local folder."""
    out: str | None = None
    """Name, folder or fsspec URI of the features. Without it, the catalogue's name."""
    dtype: StoredDtype = "float32"
    """Number format in which features are stored; float16 takes half the space."""
    compute: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format in which the encoder computes; auto is that of the features that are there, else the fastest of the
    device: bfloat16 on a GPU and, but for efficientnet-lite0, on a CPU that multiplies it."""
    flips: bool = False
    """Also embed each picture's mirror image (view flip), for training."""
    crops: int = 0
    """Also embed this many random parts of each picture (views crop-0, crop-1, ...), for training."""
    batch_size: int = 32
    """Pictures (views, where there are more) that go through the encoder at once."""
    shard_rows: int = 64
    """Pictures that are kept at once when done: what a kill can cost each worker."""
    decoders: int = 1
    """Most Ray Data actors that decode pictures."""
    cpus_per_decoder: float = 0.25
    """CPUs that each decoding actor reserves."""
    workers: int = 1
    """Most Ray Data actors with an encoder of their own; there is one at first, and more while pictures wait."""
    threads: int = 2
    """Torch threads of each encoding actor on a CPU."""
    cpus_per_worker: float = 0.75
    """CPUs that each encoding actor reserves."""
    num_gpus: float = 0.0
    """GPUs, or share of one, that each encoding actor reserves; above 0 the encoder runs on CUDA."""
    allow_private: bool = False
    """Fetch pictures that the catalogue has by URI from private addresses too."""
    max_failed: float = 0.01
    """Largest share of pictures that may fail; with more the job ends with exit code 1, and what succeeded is kept."""
    retry_failed: bool = False
    """Try pictures again that failed before."""
    force: bool = False
    """Make the features anew, whatever is there."""

    def __post_init__(self):
        check_options(
            self,
            positive=("batch_size", "shard_rows", "decoders", "workers", "threads"),
            not_negative=("crops", "cpus_per_decoder", "cpus_per_worker", "num_gpus"),
            shares=("max_failed",),
        )


def main(args: EmbedArgs) -> Report:
    """Make the features, or find them up to date. Raises FromageError for what the user can put right."""
    catalogue = Catalogue.open(args.catalogue)
    folder = target("features", args.out or catalogue.name)
    settings = _settings(args, folder)
    info = None if args.force else up_to_date(folder, catalogue, settings)
    if info is not None and not (args.retry_failed and info.failed):
        DurableRun.forget(work_folder(folder))
        log.info("%s is up to date; --force makes it again", folder)
        return report_of(info, folder, args, Progress("embed", total=len(catalogue)), skipped=True)
    check_target(folder, marker=INFO_FILE)
    old = None if args.force else Earlier.find(folder, settings, catalogue)
    return embed(catalogue, folder, args, settings=settings, old=old)


def embed(
    catalogue: Catalogue, folder: Path | str, args: EmbedArgs, *, settings: dict[str, Any], old: Earlier | None
) -> Report:
    """Put the features of every picture into `folder`. Raises CatalogueError when not one could be read."""
    keep = old.ids if old else frozenset()
    # What nobody sets by an option is part of the input: where it changed, work begun before it is no use.
    chosen = {name: value for name, value in settings.items() if name not in ("code", "weights")}
    work = DurableRun.open(
        work_folder(folder),
        job="embed",
        settings=chosen | {"batch_size": args.batch_size},
        source=" ".join([catalogue.fingerprint, settings["code"], settings["weights"], old.digest if old else ""]),
        rows=_rows(catalogue, leave=keep),
        shard_rows=args.shard_rows,
        force=args.force,
        retry_failed=args.retry_failed,
    )
    progress = Progress("embed", total=len(catalogue), done=len(keep) + work.rows_done, failed=work.rows_failed)
    if work.rows_done < work.rows:
        with progress:
            work.process(_stages(args, catalogue, settings), session=ray_session, on_shard=progress.shard)
    if work.rows_failed == len(catalogue):
        reasons = Counter(row["message"] for table in work.failures() for row in table.to_pylist()).most_common(3)
        work.remove()
        raise CatalogueError(f"none of the {len(catalogue)} pictures of {catalogue.name} could be read: {reasons}")
    with publishing(folder, marker=INFO_FILE) as scratch:
        info = _assemble(scratch, work, catalogue, args, settings=settings, old=old)
        work.write_failures(scratch)
        report = report_of(info, folder, args, progress, skipped=False)
        _write_page(scratch, report, progress, work, catalogue)
    work.remove()
    if info.failed:
        log.warning("%d of %d pictures failed; %s tells why", info.failed, len(catalogue), f"{folder}/{FAILURES_FILE}")
    return report


def _write_page(scratch: Path, report: Report, progress: Progress, work: DurableRun, catalogue: Catalogue) -> None:
    rows = catalogue.table.take(spread(len(catalogue))).select(["id", "image", "caption"]).to_pylist()
    write_page(
        scratch,
        figures=report.as_dict(),
        points=progress.points,
        reasons=work.reasons,
        samples=samples_of(rows, catalogue.image_bytes),
    )


def _rows(catalogue: Catalogue, *, leave: frozenset[str]) -> Iterator[pa.Table]:
    """The pictures to be looked at, in the order of the catalogue; `row` counts from 1."""
    for start in range(0, len(catalogue), ROWS_PER_TABLE):
        items = catalogue.table.slice(start, ROWS_PER_TABLE).select(["id", "image", "image_sha256"]).to_pylist()
        rows = [
            {"row": row} | item | {"place": catalogue.image_place(item["id"])}
            for row, item in enumerate(items, start=start + 1)
            if item["id"] not in leave
        ]
        if rows:
            yield pa.Table.from_pylist(rows)


def _stages(args: EmbedArgs, catalogue: Catalogue, settings: dict[str, Any]) -> list[Stage]:
    decode = {
        "encoder": args.encoder,
        "flips": args.flips,
        "crops": args.crops,
        "image_limits": limits_of(catalogue.info.get("settings", {})),
        "allow_private": args.allow_private,
    }
    encode = {
        "encoder": args.encoder,
        "device": settings["device"],
        "dtype": settings["compute"],
        "threads": args.threads,
        "views": len(settings["views"]),
        "batch_size": args.batch_size,
    }
    return [
        Stage(DecodePictures, decode, "decode", num_cpus=args.cpus_per_decoder, workers=(1, args.decoders)),
        Stage(EncodePictures, encode, "encode", args.cpus_per_worker, args.num_gpus, (1, args.workers)),
    ]


def _assemble(
    scratch: Path,
    work: DurableRun,
    catalogue: Catalogue,
    args: EmbedArgs,
    *,
    settings: dict[str, Any],
    old: Earlier | None,
) -> FeaturesInfo:
    """Write what held before and what is new into `scratch`, a shard at a time."""
    fingerprint, width = (old.info.encoder_fingerprint, old.info.width) if old else ("", 0)
    for table in work.tables():
        fingerprint = table["encoder_fingerprint"][0].as_py()
        width = table.schema.field("vectors").type.value_type.list_size
        break
    views = settings["views"]
    with FeaturesWriter(scratch, width=width, dtype=args.dtype, hashed=True) as writer:
        if old:
            old.copy(writer, catalogue)
        for table in work.tables():
            pictures = table.num_rows
            flat = table["vectors"].combine_chunks().flatten().flatten()
            hashes = np.repeat(table["image_sha256"].to_pylist(), len(views)).tolist()
            ids = np.repeat(table["id"].to_pylist(), len(views)).tolist()
            writer.add(ids, views * pictures, np.asarray(flat).reshape(-1, width), sha256s=hashes)
    rows = writer.rows.pop(FULL_VIEW, 0)
    info = FeaturesInfo(
        encoder=args.encoder,
        encoder_fingerprint=fingerprint,
        catalogue=catalogue.name,
        catalogue_fingerprint=catalogue.fingerprint,
        rows=rows,
        failed=work.rows_failed,
        width=width,
        settings=settings,
        dtype=args.dtype,
        view_rows=sum(writer.rows.values()),
        hashed=True,
    )
    write_info(scratch, info)
    return info


def _settings(args: EmbedArgs, folder: Path | str) -> dict[str, Any]:
    """What decides the features, beside the catalogue: known without loading the encoder."""
    code = hashlib.sha256()
    for module in CODE:
        spec = find_spec(module)
        code.update(file_sha256(spec.origin).encode() if spec and spec.origin else b"")
    device = device_for(args.num_gpus)
    compute: str = args.compute
    if compute == "auto":
        compute = (None if args.force else computed_in(folder)) or fastest_compute(args.encoder, device)
    return {
        "encoder": args.encoder,
        "weights": locate_vision_encoder(args.encoder).fingerprint,
        "code": code.hexdigest(),
        "device": device,
        "dtype": args.dtype,
        "compute": compute,
        "views": views_of(flips=args.flips, crops=args.crops),
    }


def fastest_compute(encoder: str, device: str) -> str:
    """The number format in which the encoder is fastest; efficientnet-lite0's convolutions gain nothing on a CPU."""
    if device == "cuda":
        return "bfloat16"
    if encoder in EMBEDDED_VISION_ENCODERS:
        return "float32"
    from fromage_model.language.precision import Precision

    return str(Precision.choose("auto", device).lm).removeprefix("torch.")


def report_of(info: FeaturesInfo, folder: Path | str, args: EmbedArgs, progress: Progress, *, skipped: bool) -> Report:
    return Report(
        "embed",
        rows_in=info.rows + info.failed,
        rows_out=info.rows,
        rows_failed=info.failed,
        seconds=progress.seconds,
        output=folder,
        max_failed=args.max_failed,
        encoder_fingerprint=info.encoder_fingerprint,
        view_rows=info.view_rows,
        peak_rss_mb=progress.peak_rss_mb,
        skipped=skipped,
    )
