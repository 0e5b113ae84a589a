"""How good a bundle is: recall between names and pictures of a split, or the quality of the chat on a set of messages.

Recall: a query is exactly `A picture of NAME.`, candidates are all items of the split and, beside it, of the catalogue.
Quality (`--queries`): wishes, other messages and pictures go through the chat engine with an index of the catalogue.
Ends with one JSON line on stdout; the tables before it are for people.

    python -m jobs.evaluate --bundle default --catalogue openmoji --split held-out
    python -m jobs.evaluate --bundle default --catalogue openmoji --compare-vectors
    python -m jobs.evaluate --bundle default --catalogue openmoji --queries --verbose
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from tyro.constructors import PrimitiveConstructorSpec

from fromage_model.catalogue import Catalogue
from fromage_model.errors import ConfigError, FingerprintMismatch
from fromage_model.storage.artefacts import home
from jobs.common.durable.publish import write_json
from jobs.common.reporting.report import Report, Stopwatch, ray_session
from jobs.common.stages.workers import name_for_workers, threads_each
from jobs.evaluate.quality_set import QualitySet, read_quality_set

if TYPE_CHECKING:
    from jobs.common.embeddings.pictures import ImageEmbeddings

log = logging.getLogger(__name__)

SHIPPED_SET = "openmoji"

# An option whose value may be left out: alone it names the shipped set.
OptionalFile = PrimitiveConstructorSpec(
    nargs=(0, 1),
    metavar="[FILE]",
    instance_from_str=lambda words: words[0] if words else SHIPPED_SET,
    is_instance=lambda value: value is None or isinstance(value, str),
    str_from_instance=lambda value: [value] if value else ["none"],
)


@dataclass(frozen=True)
class EvaluateArgs:
    """Measure a bundle."""

    bundle: str = "default"
    """Bundle to measure: a name, a folder, or a URI."""
    catalogue: str = "openmoji"
    """Catalogue to measure it on: a name, a folder, or a URI."""
    split: str = "held-out"
    """Split whose names and pictures look for each other."""
    features: str | None = None
    """Features of the catalogue's pictures: a name or a folder. Without it, those named like the catalogue."""
    name_and_tags: bool = False
    """Also measure queries of the name and three tags; reported beside the names alone."""
    compare_vectors: bool = False
    """Also compare what items can be found by (picture, caption, both), asked with tags and not with their names."""
    picture_share: float = 0.25
    """With --compare-vectors: what the picture counts in both, from 0 to 1; the caption counts the rest."""
    queries: Annotated[str | None, OptionalFile] = None
    """Measure the chat and not recall: the messages of this file, or of the shipped set where no file is given."""
    index: str | None = None
    """Index that the chat retrieves from: a name, a folder, or a URI. Without it, the one named like the catalogue."""
    picture_messages: int = 50
    """With --queries: pictures of each split to ask about, 0 for none."""
    max_new_tokens: int = 48
    """With --queries: tokens that a reply may have; products that would come after them do not count."""
    repetition_penalty: float = 1.2
    """With --queries: divides the score of words already written, as the served chat does; 1 for none."""
    details: str | None = None
    """With --queries: file or URI for each message, what came and what the chat said, as JSON."""
    verbose: bool = False
    """With --queries: print each message and what came."""
    out: str | None = None
    """File or fsspec URI for the metrics as JSON. Without it, one under `evaluations` in the cache."""
    record: bool = False
    """Write the metrics into the bundle as well."""
    workers: int = 1
    """Ray Data actors that hold the LM, each reserving one CPU."""
    threads: int = 0
    """Torch threads of each actor; 0 shares the machine's CPUs among them."""

    def __post_init__(self):
        if self.max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens is {self.max_new_tokens}; expected 1 or more, for example 48")
        if not 0 < self.repetition_penalty <= 2:
            raise ConfigError(f"repetition_penalty is {self.repetition_penalty}; expected above 0 and at most 2")
        if self.workers < 1:
            raise ConfigError(f"workers is {self.workers}; expected 1 or more")
        if self.picture_messages < 0 or self.threads < 0:
            raise ConfigError("picture_messages and threads must be 0 or more")
        if not 0 <= self.picture_share <= 1:
            raise ConfigError(f"picture_share is {self.picture_share}; expected 0 to 1, for example 0.25")


def main(args: EvaluateArgs) -> Report:
    """Measure, print, write, and record where asked. Raises FromageError for what the user can put right."""
    watch = Stopwatch()
    catalogue = Catalogue.open(args.catalogue)
    if args.queries is None:
        name, rows, metrics = f"recall-{args.split}", *measure_recall(catalogue, args)
    else:
        queries = read_quality_set(args.queries)
        name, rows, metrics = f"queries-{queries.name}", *measure_chat(catalogue, queries, args)
    out = args.out or str(home() / "evaluations" / f"{_plain(args.bundle)}-{_plain(catalogue.name)}-{name}.json")
    write_json(out, metrics)
    if args.record:
        from fromage_model.bundle import record_metrics

        record_metrics(args.bundle, {name: {"catalogue": catalogue.name, **metrics}})
    return Report("evaluate", rows_in=rows, rows_out=rows, rows_failed=0, seconds=watch.seconds, output=out, **metrics)


def measure_recall(catalogue: Catalogue, args: EvaluateArgs) -> tuple[int, dict[str, Any]]:
    """The number of queries, and the metrics in percent."""
    from jobs.common.embeddings.pictures import image_embeddings
    from jobs.evaluate import recall

    bundle = name_for_workers("bundle", args.bundle)
    pictures = image_embeddings(catalogue, bundle=bundle, features=args.features)
    with ray_session():
        rows = recall.split_rows(catalogue, args.split, embedded=pictures.ids)
        items = [catalogue.item(pictures.ids[row]) for row in rows]
        wordings = {"names": recall.name_query}
        if args.name_and_tags:
            wordings["names and tags"] = recall.name_and_tags_query
        recalls = {}
        for wording, query in wordings.items():
            log.info("%s: %d queries", wording, len(items))
            recalls[wording] = recall.recall_on(_read([query(item) for item in items], args), pictures.vectors, rows)
        compared = compare_vectors(catalogue, pictures, rows, args) if args.compare_vectors else {}
    print(recall.table_of(recalls, items=len(items), all_items=len(pictures.ids)))
    metrics = {"items": len(items), "all_items": len(pictures.ids), "split": args.split}
    metrics |= recalls["names"].to_json()
    if args.name_and_tags:
        metrics["name_and_tags"] = recalls["names and tags"].to_json()
    return len(items), {**metrics, **compared, "fingerprint": pictures.fingerprint}


def compare_vectors(
    catalogue: Catalogue, pictures: "ImageEmbeddings", rows: Sequence[int], args: EvaluateArgs
) -> dict[str, Any]:
    """Recall among all items by each kind of vector, as `vectors`; prints a table. Needs a Ray that runs.

    Queries are an item's tags without its name, for an item that is found by its caption is found by its name at once.
    Raises ConfigError where no item of the split has tags.
    """
    from fromage_model.bundle import bundle_config
    from jobs.common.embeddings.items import VECTOR_KINDS, item_vectors, texts_of
    from jobs.common.embeddings.texts import read_texts
    from jobs.common.tables import rows_of
    from jobs.evaluate import recall

    asked = {row: query for row in rows if (query := recall.tags_query(catalogue.item(pictures.ids[row])))}
    if not asked:
        raise ConfigError(f"compare_vectors asks with tags, and no item of split {args.split!r} has the attribute tags")
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


def _read(texts: Sequence[str], args: EvaluateArgs) -> np.ndarray:
    """(N, S) at [RET] after each text."""
    from jobs.common.embeddings.texts import text_embeddings

    threads = threads_each(args.workers, threads=args.threads)
    bundle = name_for_workers("bundle", args.bundle)
    return text_embeddings(texts, bundle=bundle, workers=args.workers, threads=threads)


def measure_chat(catalogue: Catalogue, queries: QualitySet, args: EvaluateArgs) -> tuple[int, dict[str, Any]]:
    """The number of questions, and the metrics in shares. The set, and the index's fingerprint, are checked before."""
    from fromage_model.bundle import bundle_fingerprint
    from fromage_model.index import RetrievalIndex
    from jobs.evaluate import chat_quality
    from jobs.evaluate.asking import Engine, ask

    queries.check_against([item.caption or "" for item in catalogue.items()])
    index = args.index or catalogue.name
    fingerprint = bundle_fingerprint(args.bundle)
    of_catalogue = RetrievalIndex.load(index, fingerprint=fingerprint).info.catalogue_fingerprint
    if of_catalogue != catalogue.fingerprint:
        raise FingerprintMismatch(
            f"the index {index} is of another state of {catalogue.name}; `python -m jobs.index` brings it up to date",
            expected=catalogue.fingerprint,
            found=of_catalogue or "of none that is known",
        )
    questions = chat_quality.questions_of(queries, chat_quality.pictured_items(catalogue, limit=args.picture_messages))
    engine = Engine(
        bundle=name_for_workers("bundle", args.bundle),
        index=name_for_workers("index", index),
        catalogue=name_for_workers("catalogue", args.catalogue),
        sees_pictures=args.picture_messages > 0,
        max_new_tokens=args.max_new_tokens,
        repetition_penalty=args.repetition_penalty,
        threads=threads_each(args.workers, threads=args.threads),
    )
    with ray_session():
        answers = ask(questions, engine=engine, workers=args.workers)
    if args.verbose:
        print(chat_quality.table_of(answers, queries))
    if args.details:
        write_json(args.details, chat_quality.details_of(answers, queries, catalogue))
    metrics = chat_quality.score_messages(answers, queries)
    if args.picture_messages:
        metrics["pictures"] = chat_quality.score_pictures(answers, catalogue)
    decoding = {"max_new_tokens": args.max_new_tokens, "repetition_penalty": args.repetition_penalty}
    return len(questions), {**metrics, **decoding, "fingerprint": fingerprint}


def _plain(name: str) -> str:
    """A name, folder or URI as part of a file's name."""
    return Path(name).name
