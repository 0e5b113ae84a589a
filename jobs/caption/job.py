"""A catalogue -> the same catalogue with captions, written by any captioner of the library for items that have none.

Each caption is stored with what wrote it, when, and the prompt. What is done is kept: killed, the job goes on where it
was, also where the catalogue was brought up to date meanwhile; the catalogue itself changes once, when all captions are
there. Pictures that failed before are left alone unless --retry-failed asks for them. A caption that is no more like
its picture than captions of other pictures are, by a bundle's retrieval embeddings, is rejected: it stands among the
failures as low_similarity. Report, failures and statistics lie in the catalogue's folder captions. Knows nothing of how
captions are made.

    python -m jobs.caption --catalogue wardrobe --captioner default
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from fromage_model.catalogue import Catalogue
from fromage_model.prompts.messages import Sampling
from jobs.caption.captioned import Key, captions_in, is_blank, write_captions
from jobs.caption.failures import Failures
from jobs.caption.gate import judge
from jobs.caption.kept import KeptCaptions
from jobs.caption.outcome import rejections, report_of
from jobs.caption.stages import ShowPictures, WeighCaptions, WriteCaptions
from jobs.common.durable import DurableRun, Stage, work_folder
from jobs.common.options import check_options
from jobs.common.reporting.report import Progress, Report, ray_session
from jobs.common.stages.pictures import limits_of
from jobs.common.stages.workers import device_for, name_for_workers

log = logging.getLogger(__name__)

ROWS_PER_TABLE = 4096
# Of --gate-bundle, what is no bundle's name.
OF_CAPTIONER, NO_GATE = "captioner", "none"


@dataclass(frozen=True)
class CaptionArgs:
    """Write captions for a catalogue's pictures."""

    catalogue: str = "wardrobe"
    """Catalogue whose items get captions: a name, a folder, or a URI that can be written to."""
    captioner: str = "default"
    """What writes: a bundle, an image-text-to-text model of transformers (hub id or folder), or
    'llama-adapter:LLAMA_DIR,CHECKPOINT,CLIP'."""
    prompt: str | None = None
    """Instruction, or the words that a caption follows. Without it, the captioner's own."""
    max_new_tokens: int | None = None
    """Most tokens of a caption. Without it, the captioner's own limit."""
    temperature: float = 0.0
    """0 writes the likeliest words; above, words are drawn, the more freely the higher."""
    top_p: float = 1.0
    """Words are drawn from the likeliest that together have this probability."""
    seed: int | None = None
    """Makes drawn words the same in each run."""
    all: bool = False
    """Write captions also for items that have one, in its place."""
    limit: int = 0
    """Write at most this many captions, from the top of the catalogue; 0 writes all."""
    gate_bundle: str = OF_CAPTIONER
    """Bundle by which captions are compared with their pictures; 'captioner' is the captioner where that is a bundle,
    and none otherwise; 'none' accepts every caption."""
    gate_quantile: float = 0.95
    """A caption is accepted that is more like its picture than this share of the captions of other pictures are like
    theirs; of captions that have nothing to do with their pictures, the rest of 1 is accepted."""
    max_rejected: float = 0.5
    """Largest share of captions that may be rejected so; with more the job ends with exit code 1, and what was accepted
    is kept."""
    batch_size: int = 16
    """Pictures whose captions are written together."""
    shard_rows: int = 64
    """Captions that are kept at once when done: what a kill can cost each worker."""
    decoders: int = 1
    """Most Ray Data actors that decode pictures."""
    cpus_per_decoder: float = 0.25
    """CPUs that each decoding actor reserves."""
    workers: int = 1
    """Most Ray Data actors with a captioner of their own; there is one at first, and more while pictures wait."""
    threads: int = 2
    """Torch threads of each captioning actor on a CPU."""
    cpus_per_worker: float = 0.5
    """CPUs that each captioning actor reserves; one that compares captions reserves half of it."""
    num_gpus: float = 0.0
    """GPUs, or share of one, that each captioning actor reserves; above 0 the captioner runs on CUDA."""
    allow_private: bool = False
    """Fetch pictures that the catalogue has by URI from private addresses too."""
    max_failed: float = 0.01
    """Largest share of the catalogue's pictures that may fail; with more the job ends with exit code 1, and what
    succeeded is kept."""
    retry_failed: bool = False
    """Try pictures again that failed before."""
    force: bool = False
    """Begin anew what was interrupted, whatever the settings were."""

    def __post_init__(self):
        check_options(
            self,
            positive=("max_new_tokens", "batch_size", "shard_rows", "decoders", "workers", "threads"),
            not_negative=("limit", "cpus_per_decoder", "cpus_per_worker", "num_gpus"),
            shares=("max_failed", "max_rejected", "gate_quantile"),
        )


def main(args: CaptionArgs) -> Report:
    """Write the captions that are missing. Raises FromageError for what the user can put right."""
    Sampling(temperature=args.temperature, top_p=args.top_p, seed=args.seed)
    catalogue = Catalogue.open(args.catalogue)
    beside = beside_of(catalogue)
    lacking = wanted_ids(catalogue, everything=args.all)
    settings = settings_of(args) if lacking else {}
    kept = KeptCaptions(beside, settings)
    failures = Failures.read(catalogue, _of_failures(args, settings)).of(set(lacking))
    tried_before = set() if args.retry_failed else failures.by_id.keys()
    todo = list(islice((id for id in lacking if id not in tried_before), args.limit or None))
    failures = failures.of(failures.by_id.keys() - set(todo))
    if not todo:
        DurableRun.forget(work_folder(beside))
        kept.forget()
        told = f"{len(lacking)} failed before; --retry-failed tries them again" if lacking else "--all writes them anew"
        log.info("every item of %s that can have a caption has one; %s", catalogue.name, told)
        return report_of(catalogue, Progress("caption", total=0), None, failures, **_judged_by(args))
    keys = keys_of(catalogue, todo)
    work = _begin(args, catalogue, keys, kept, settings=settings)
    held = kept.of(keys.values())
    progress = Progress("caption", total=len(todo), done=len(held) + work.rows_done, failed=work.rows_failed)
    if work.rows_done < work.rows:
        with progress:
            work.process(_stages(args, catalogue), session=ray_session, on_shard=progress.shard)
    judged = judge(held | captions_in(work.tables()), quantile=args.gate_quantile)
    failures = failures.and_those_of([*work.failures(), rejections(judged, catalogue, quantile=args.gate_quantile)])
    report = report_of(catalogue, progress, judged, failures, **_judged_by(args))
    write_captions(
        Catalogue.open(args.catalogue),
        judged.passed,
        rejected=judged.rejected.keys(),
        by=args.captioner,
        everything=args.all,
        failures=failures,
        progress=progress,
        figures=report.as_dict(),
    )
    DurableRun.forget(work_folder(beside))
    kept.forget()
    return report


def beside_of(catalogue: Catalogue) -> str:
    """What the work on a catalogue's captions is beside: nobody who reads the catalogue looks there."""
    return f"{catalogue.uri or catalogue.folder}.captions"


def wanted_ids(catalogue: Catalogue, *, everything: bool) -> list[str]:
    """The items without a caption, or all, in the order of the catalogue."""
    pairs = zip(catalogue.table["id"].to_pylist(), catalogue.table["caption"].to_pylist(), strict=True)
    return [id for id, caption in pairs if everything or is_blank(caption)]


def keys_of(catalogue: Catalogue, ids: Collection[str]) -> dict[str, Key]:
    """What captions of these items are kept by."""
    wanted = set(ids)
    keys = zip(catalogue.table["id"].to_pylist(), catalogue.table["image_sha256"].to_pylist(), strict=True)
    return {key[0]: key for key in keys if key[0] in wanted}


def _begin(
    args: CaptionArgs, catalogue: Catalogue, keys: Mapping[str, Key], kept: KeptCaptions, *, settings: dict[str, Any]
) -> DurableRun:
    """The work on the items of these ids, less those whose captions an interrupted run has left."""
    folder = work_folder(beside_of(catalogue))
    run: dict[str, Any] = {"job": "caption", "settings": settings, "shard_rows": args.shard_rows}
    if args.force:
        kept.forget()
    begun = None if args.force else DurableRun.begun(folder, **run)
    source = kept.take_over(begun, fingerprint=catalogue.fingerprint)
    held = kept.of(keys.values())
    if held:
        log.info("%d captions hold that were written before the catalogue changed", len(held))
    rows = rows_of(catalogue, {id for id, key in keys.items() if key not in held})
    return DurableRun.open(folder, source=source, rows=rows, force=args.force, retry_failed=args.retry_failed, **run)


def rows_of(catalogue: Catalogue, wanted: set[str]) -> Iterator[pa.Table]:
    """Where the pictures of these items are; `row` counts all items from 1."""
    for start in range(0, len(catalogue), ROWS_PER_TABLE):
        items = catalogue.table.slice(start, ROWS_PER_TABLE).select(["id", "image", "image_sha256"]).to_pylist()
        rows = [
            {"row": row, "place": catalogue.image_place(item["id"])} | item
            for row, item in enumerate(items, start=start + 1)
            if item["id"] in wanted
        ]
        if rows:
            yield pa.Table.from_pylist(rows)


def _stages(args: CaptionArgs, catalogue: Catalogue) -> list[Stage]:
    common = {"device": device_for(args.num_gpus), "threads": args.threads, "batch_size": args.batch_size}
    gate = gate_of(args)
    write = common | {
        "captioner": str(Path(args.captioner).resolve()) if Path(args.captioner).is_dir() else args.captioner,
        "prompt": args.prompt,
        "sampling": _sampling(args),
        "hand_on": gate is not None,
    }
    stages = [
        Stage(
            ShowPictures,
            {"image_limits": limits_of(catalogue.info.get("settings", {})), "allow_private": args.allow_private},
            "decode",
            num_cpus=args.cpus_per_decoder,
            workers=(1, args.decoders),
        ),
        Stage(WriteCaptions, write, "caption", args.cpus_per_worker, args.num_gpus, (1, args.workers)),
    ]
    if gate is not None:
        weigh = common | {"bundle": name_for_workers("bundle", gate)}
        stages.append(Stage(WeighCaptions, weigh, "gate", args.cpus_per_worker / 2, args.num_gpus, (1, args.workers)))
    return stages


def _sampling(args: CaptionArgs) -> dict[str, Any]:
    limit = {} if args.max_new_tokens is None else {"max_new_tokens": args.max_new_tokens}
    return limit | {"temperature": args.temperature, "top_p": args.top_p, "seed": args.seed}


def settings_of(args: CaptionArgs) -> dict[str, Any]:
    """What decides the captions, beside the catalogue."""
    from fromage_model.captioning.fingerprint import captioner_fingerprint
    from fromage_model.header import bundle_fingerprint

    gate = gate_of(args)
    return _sampling(args) | {
        "captioner": args.captioner,
        "captioner_fingerprint": captioner_fingerprint(args.captioner),
        "prompt": args.prompt,
        "all": args.all,
        "limit": args.limit,
        "gate_bundle": gate,
        "gate_fingerprint": bundle_fingerprint(gate) if gate else None,
        "batch_size": args.batch_size,
    }


def _of_failures(args: CaptionArgs, settings: dict[str, Any]) -> dict[str, Any]:
    """What can decide whether a caption fails: of the settings that decide captions, and the gate's."""
    decides = {name: value for name, value in settings.items() if name not in ("all", "limit", "batch_size")}
    return decides | {"gate_quantile": args.gate_quantile}


def _judged_by(args: CaptionArgs) -> dict[str, Any]:
    """What `report_of` must know of the options."""
    limits = {"max_failed": args.max_failed, "max_rejected": args.max_rejected}
    return limits | {"captioner": args.captioner, "everything": args.all}


def gate_of(args: CaptionArgs) -> str | None:
    """The bundle that weighs captions, None where there is none.

    One that is weaker than the captioner would reject what is right, so no other bundle than the captioner itself is
    taken unasked.
    """
    from fromage_model.captioning.captioner import is_bundle

    if args.gate_bundle == OF_CAPTIONER:
        return args.captioner if is_bundle(args.captioner) else None
    return None if args.gate_bundle == NO_GATE else args.gate_bundle
