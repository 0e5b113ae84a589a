"""An index of many vectors: how long it takes to build, what it holds in memory, how fast and how well it finds.

The vectors are the retrieval embeddings of both public catalogues, drawn again with noise that keeps their spectrum
(`resampled`). Queries are drawn near pictures that no indexed vector comes from. The index is built as `jobs.index`
does, saved, opened again in a process of its own, and asked one query at a time, with and without a filter that keeps
one item in a hundred. The truth is a product of matrices, computed here.

    python -m tests.benchmarks.retrieval --items 1000000
"""

import json
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from fromage_model.index import RetrievalIndex, plan_index
from tests.benchmarks.common.memory import status_bytes
from tests.benchmarks.common.resampled import Resampled, numbered_items, real_embeddings

log = logging.getLogger(__name__)

TOP_K = 10
RARE_SHARE = 0.01
FILTERS: dict[str, dict[str, str] | None] = {"": None, "filtered": {"brand": "rare"}}
# Of the real pictures, those that only queries are drawn near.
APART_SHARE = 0.1
TRUTH_ROWS = 100_000
WARM_UP = 20


@dataclass(frozen=True)
class Args:
    """Build an index and ask it."""

    items: int = 1_000_000
    """Vectors in the index."""
    queries: int = 1000
    """Queries that are asked, of each kind; as many others tune the index while it is built."""
    kind: str = "auto"
    """exact, hnsw, ivfpq, or auto as jobs.index chooses."""
    memory_gib: float = 4.0
    """GiB that codes and graph may take, for auto."""
    noise: float = 0.5
    """Share of noise in a vector, from 0 to 1."""
    catalogues: list[str] = field(default_factory=lambda: ["openmoji", "openclipart"])
    """Catalogues whose features are there (jobs.embed)."""
    bundle: str = "openmoji"
    """Bundle that projects features."""
    folder: Path | None = None
    """Where the index is written. Without it, a temporary folder that is removed."""


@dataclass(frozen=True)
class World:
    """Vectors (N, S) to index, queries (Q, S) to tune with and to ask, and which items are rare."""

    vectors: np.ndarray
    tuning: np.ndarray
    asked: np.ndarray
    rare: np.ndarray


def world_of(args: Args) -> World:
    real = real_embeddings(args.catalogues, bundle=args.bundle)
    rng = np.random.default_rng(0)
    real = real[rng.permutation(len(real))]
    apart, indexed = np.split(real, [int(len(real) * APART_SHARE)])
    resampled = Resampled(real, noise=args.noise)
    log.info("%d real embeddings, %d of them for queries alone", len(real), len(apart))
    return World(
        vectors=resampled.draw(indexed, args.items, rng),
        tuning=resampled.draw(apart, args.queries, rng),
        asked=resampled.draw(apart, args.queries, rng),
        rare=rng.random(args.items) < RARE_SHARE,
    )


def nearest(vectors: np.ndarray, queries: np.ndarray, rows: np.ndarray) -> list[set[str]]:
    """The ids of the ten nearest among `rows`, of each query, by products of matrices."""
    best_scores = np.full((len(queries), TOP_K), -2, dtype=np.float32)
    best_rows = np.zeros((len(queries), TOP_K), dtype=np.int64)
    for start in range(0, len(rows), TRUTH_ROWS):
        part = rows[start : start + TRUTH_ROWS]
        scores = np.concatenate([best_scores, queries @ vectors[part].T], axis=1)
        found = np.concatenate([best_rows, np.broadcast_to(part, (len(queries), len(part)))], axis=1)
        top = np.argpartition(-scores, TOP_K - 1, axis=1)[:, :TOP_K]
        best_scores, best_rows = np.take_along_axis(scores, top, axis=1), np.take_along_axis(found, top, axis=1)
    return [set(map(str, row)) for row in best_rows]


def build(world: World, args: Args, folder: Path) -> dict[str, Any]:
    """-> how long, by what plan, and how large on disk."""
    rows, width = world.vectors.shape
    plan = plan_index(rows, width, kind=args.kind, memory_gib=args.memory_gib)
    log.info("%s: %s", plan.kind, plan.reason)
    start_s = time.perf_counter()
    index = RetrievalIndex.build(
        world.vectors,
        numbered_items(rows, rare=world.rare),
        fingerprint="benchmark",
        catalogue="resampled",
        plan=plan,
        queries=world.tuning,
    )
    index.save(folder)
    seconds = time.perf_counter() - start_s
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return {"build_s": seconds, "info": index.info, "sizes": sizes}


def ask(folder: Path, queries: np.ndarray, filter: dict[str, str] | None) -> dict[str, Any]:
    """In a process of its own: milliseconds of each query, ids that were found, resident bytes before and after."""
    before = status_bytes("VmRSS")
    start_s = time.perf_counter()
    index = RetrievalIndex.load(folder)
    opened_s = time.perf_counter() - start_s
    for query in queries[:WARM_UP]:
        index.search(query, top_k=TOP_K, filter=filter)
    times, found = [], []
    for query in queries:
        start_s = time.perf_counter()
        (hits,) = index.search(query, top_k=TOP_K, filter=filter)
        times.append((time.perf_counter() - start_s) * 1e3)
        found.append({hit.id for hit in hits})
    after = status_bytes("VmRSS")
    return {"ms": times, "found": found, "opened_s": opened_s, "resident_bytes": after - before}


def apart_from_this(*arguments: Any) -> dict[str, Any]:
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(ask, *arguments).result()


def recall(found: list[set[str]], truth: list[set[str]]) -> float:
    return sum(len(one & other) for one, other in zip(found, truth, strict=True)) / sum(map(len, truth))


def main(args: Args) -> dict[str, Any]:
    """-> what the JSON line says."""
    world = world_of(args)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch) / "index"
        made = build(world, args, folder)
        answers = {name: apart_from_this(folder, world.asked, filter) for name, filter in FILTERS.items()}
    everything, rare = np.arange(args.items), np.flatnonzero(world.rare)
    recalls = {
        "": recall(answers[""]["found"], nearest(world.vectors, world.asked, everything)),
        "filtered": recall(answers["filtered"]["found"], nearest(world.vectors, world.asked, rare)),
    }
    tell(made, answers, recalls)
    return {
        "items": args.items,
        "build_s": round(made["build_s"], 1),
        "p50_ms": round(float(np.percentile(answers[""]["ms"], 50)), 3),
        "p99_ms": round(float(np.percentile(answers[""]["ms"], 99)), 3),
        "recall_at_10": round(recalls[""], 4),
        "filtered_p50_ms": round(float(np.percentile(answers["filtered"]["ms"], 50)), 3),
        "filtered_recall_at_10": round(recalls["filtered"], 4),
    }


def tell(made: dict[str, Any], answers: dict[str, Any], recalls: dict[str, float]) -> None:
    """The table."""
    info, measured = made["info"], made["info"].measured
    print(f"{info.kind}, {info.rows} x {info.width}, built in {made['build_s']:.0f} s on {os.cpu_count()} CPUs")
    if measured is not None:
        print(f"effort {measured.effort}; filters that keep less than {measured.exact_below:g} are searched exactly")
    print("on disk, MB: " + ", ".join(f"{name} {size / 1e6:.0f}" for name, size in made["sizes"].items()))
    print(f"{'':12}{'p50 ms':>10}{'p99 ms':>10}{'recall@10':>11}{'opened s':>10}{'resident MB':>13}")
    for name, answer in answers.items():
        p50, p99 = np.percentile(answer["ms"], [50, 99])
        resident = answer["resident_bytes"] / 1e6
        label, found = name or "all", recalls[name]
        print(f"{label:12}{p50:10.2f}{p99:10.2f}{found:11.4f}{answer['opened_s']:10.2f}{resident:13.0f}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
