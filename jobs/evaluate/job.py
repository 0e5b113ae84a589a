"""How good a model is: by a protocol of the papers, by recall on a split, or by the quality of the chat.

Protocols (`--benchmark NAME`): retrieval, captioning, vqa, vist, visdial on their official files, of one model or two;
and products, whether they are shown to whom who wants some.
Recall: a query is exactly `A picture of NAME.`, candidates are all items of the split and, beside it, of the catalogue.
Quality (`--queries`, `--benchmark chat`): wishes, other messages, conversations and pictures go through the chat engine
with an index of the catalogue. Ends with one JSON line on stdout; the tables before it are for people.

    python -m jobs.evaluate --bundle default --catalogue wardrobe --split held-out
    python -m jobs.evaluate --bundle default --catalogue wardrobe --compare-vectors
    python -m jobs.evaluate --bundle default --catalogue wardrobe --queries --verbose
    python -m jobs.evaluate --bundle openmoji --catalogue openmoji --queries --verbose
    python -m jobs.evaluate --benchmark captioning --data coco --split val2014
    python -m jobs.evaluate --benchmark vqa --data vqav2 --bundle my-frozen --shots 0 1 4
    python -m jobs.evaluate --benchmark retrieval --catalogue wardrobe --compare default wardrobe
    python -m jobs.evaluate --benchmark products --catalogue wardrobe --compare default tuned
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fromage_model.catalogue import Catalogue
from fromage_model.errors import ConfigError
from fromage_model.storage.artefacts import home
from jobs.common.durable.publish import write_json
from jobs.common.reporting.report import Report, Stopwatch, ray_session
from jobs.common.stages.workers import name_for_workers, threads_each
from jobs.evaluate.chat.measure import measure_chat
from jobs.evaluate.options import OF_CATALOGUE, EvaluateArgs
from jobs.evaluate.sets.files import read_quality_set, shipped_sets

if TYPE_CHECKING:
    from jobs.common.embeddings.pictures import ImageEmbeddings

log = logging.getLogger(__name__)

DEFAULT_SET = "openmoji"
DEFAULT_SPLIT = "held-out"


def main(args: EvaluateArgs) -> Report:
    """Measure, print, write, and record where asked. Raises FromageError for what the user can put right."""
    if args.benchmark not in (None, "chat"):
        from jobs.evaluate.benchmarks.run import run_benchmark

        return run_benchmark(args)
    watch = Stopwatch()
    catalogue = Catalogue.open(args.catalogue)
    if args.queries is None and args.benchmark is None:
        args = replace(args, split=args.split or DEFAULT_SPLIT)
        name, rows, metrics = f"recall-{args.split}", *measure_recall(catalogue, args)
    else:
        asked = args.queries or OF_CATALOGUE
        queries = read_quality_set(_set_for(catalogue) if asked == OF_CATALOGUE else asked)
        name, rows, metrics = f"queries-{queries.name}", *measure_chat(catalogue, queries, args)
    out = args.out or str(home() / "evaluations" / f"{_plain(args.bundle)}-{_plain(catalogue.name)}-{name}.json")
    write_json(out, metrics)
    if args.record:
        from fromage_model.header import record_metrics

        record_metrics(args.bundle, {name: {"catalogue": catalogue.name, **metrics}})
    return Report("evaluate", rows_in=rows, rows_out=rows, rows_failed=0, seconds=watch.seconds, output=out, **metrics)


def measure_recall(catalogue: Catalogue, args: EvaluateArgs) -> tuple[int, dict[str, Any]]:
    """The number of queries, and the metrics in percent."""
    from jobs.common.embeddings.pictures import image_embeddings
    from jobs.evaluate import recall

    bundle = name_for_workers("bundle", args.bundle)
    pictures = image_embeddings(catalogue, bundle=bundle, features=args.features)
    rows = recall.split_rows(catalogue, args.split or DEFAULT_SPLIT, embedded=pictures.ids)
    tagged = _tagged(catalogue, pictures, rows, args) if args.compare_vectors else {}
    with ray_session():
        known = {item.id: item for item in catalogue.items()}
        every = [known[id] for id in pictures.ids]
        items = [every[row] for row in rows]
        apart: dict[str, tuple[int, recall.SplitRecall]] = {}
        wordings = {"names": recall.name_query}
        if args.name_and_tags:
            wordings["names and tags"] = recall.name_and_tags_query
        recalls = {}
        for wording, query in wordings.items():
            log.info("%s: %d queries", wording, len(items))
            texts = _read([query(item) for item in items], args)
            recalls[wording] = recall.recall_on(texts, pictures.vectors, rows, items=every)
            if wording == "names":
                apart = recall.recall_apart(texts, pictures.vectors, rows, items=every)
        compared = compare_vectors(catalogue, pictures, tagged, args) if args.compare_vectors else {}
    told = recalls | {f"by {reason}": found for reason, (_, found) in apart.items()}
    print(recall.table_of(told, items=len(items), all_items=len(pictures.ids)))
    metrics: dict[str, Any] = {"items": len(items), "all_items": len(pictures.ids), "split": args.split}
    metrics |= recalls["names"].to_json()
    metrics |= {f"by_{reason}": {"items": count, **found.to_json()} for reason, (count, found) in apart.items()}
    if args.name_and_tags:
        metrics["name_and_tags"] = recalls["names and tags"].to_json()
    return len(items), {**metrics, **compared, "fingerprint": pictures.fingerprint}


def compare_vectors(
    catalogue: Catalogue, pictures: "ImageEmbeddings", asked: Mapping[int, str], args: EvaluateArgs
) -> dict[str, Any]:
    """Recall among all items by each kind of vector, as `vectors`; prints a table. Needs a Ray that runs.

    `asked`: queries by the row of `pictures` that they are for, an item's tags without its name, for an item that is
    found by its caption is found by its name at once.
    """
    from fromage_model.header import bundle_config
    from jobs.common.embeddings.items import VECTOR_KINDS, item_vectors, texts_of
    from jobs.common.embeddings.texts import read_texts
    from jobs.common.tables import rows_of
    from jobs.evaluate import recall

    texts = _read(list(asked.values()), args)
    bundle = name_for_workers("bundle", args.bundle)
    # Without the tags, which are what is asked with.
    items = rows_of(catalogue.table, pictures.ids)
    read_by = texts_of(items, prompt=bundle_config(bundle).caption_prompt, words=0)
    captioned = [row for row, own in enumerate(read_by) if own]
    told = np.zeros_like(pictures.vectors)
    threads = threads_each(args.workers, threads=args.threads)
    told[captioned] = read_texts(
        [read_by[row] for row in captioned], bundle=bundle, workers=args.workers, threads=threads
    )
    recalls: dict[str, recall.SplitRecall] = {}
    for kind in VECTOR_KINDS:
        vectors = item_vectors(pictures.vectors, told, kind=kind, picture_share=args.picture_share)
        recalls[kind] = recall.recall_on(texts, vectors, list(asked))
    print(recall.table_of(recalls, items=len(asked), all_items=len(pictures.ids), heading="found by"))
    return {"vectors": {"queries": len(asked)} | {kind: found.to_json() for kind, found in recalls.items()}}


def _tagged(
    catalogue: Catalogue, pictures: "ImageEmbeddings", rows: Sequence[int], args: EvaluateArgs
) -> dict[int, str]:
    """Queries of tags by row. Raises ConfigError where no item of the split has some."""
    from jobs.evaluate import recall

    asked = {row: query for row in rows if (query := recall.tags_query(catalogue.item(pictures.ids[row])))}
    if not asked:
        raise ConfigError(f"compare_vectors asks with tags, and no item of split {args.split!r} has the attribute tags")
    return asked


def _read(texts: Sequence[str], args: EvaluateArgs) -> np.ndarray:
    """(N, S) at [RET] after each text."""
    from jobs.common.embeddings.texts import text_embeddings

    threads = threads_each(args.workers, threads=args.threads)
    bundle = name_for_workers("bundle", args.bundle)
    return text_embeddings(texts, bundle=bundle, workers=args.workers, threads=threads)


def _set_for(catalogue: Catalogue) -> str:
    """The shipped set that bears the catalogue's name, and of one that none was written for, that of OpenMoji."""
    return catalogue.name if catalogue.name in shipped_sets() else DEFAULT_SET


def _plain(name: str) -> str:
    """A name, folder or URI as part of a file's name."""
    return Path(name).name
