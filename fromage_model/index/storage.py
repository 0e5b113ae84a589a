"""An index's files: segments of vectors and items, tombstones, and what faiss made. Knows nothing of searching.

A segment is `vectors-NNNNN.npy`, `items-NNNNN.arrow` and, for hybrid search, `texts-NNNNN.npy`, all read by memory map
and never changed: an upsert adds one, and a save that finds a segment on the same disk links it instead of writing it
again.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from fromage_model.errors import RetrievalIndexError
from fromage_model.index.approximate import Approximate
from fromage_model.index.info import INFO_FILE, IndexInfo
from fromage_model.storage.artefacts import writing

TOMBSTONES_FILE = "tombstones.npy"
FAISS_FILE, FAISS_TEXTS_FILE = "faiss.index", "faiss-texts.index"


@dataclass(frozen=True)
class Segment:
    """Vectors (n, S) and their items, and the folder and number under which they lie on disk, if they do. `texts`
    (n, T) are the embeddings of the items' texts, where the index has such.
    """

    vectors: np.ndarray
    items: pa.Table
    folder: Path | None = None
    number: int = 0
    texts: np.ndarray | None = None


@dataclass(frozen=True)
class Stored:
    """All that a folder holds; `tombstones` (N,) bool is True for rows that are deleted or replaced. `approximate` and
    `approximate_texts` are what faiss made of the vectors and of the texts.
    """

    segments: list[Segment]
    tombstones: np.ndarray
    approximate: Approximate | None
    approximate_texts: Approximate | None = None


def write_index(folder: Path, info: IndexInfo, stored: Stored) -> list[Segment]:
    """Put an index in its place whole or not at all; returns its segments as they lie there.

    Raises ConfigError rather than replace a folder that holds something else, and RetrievalIndexError where the disk
    is full or can't be written to; what stood there is then as it was.
    """
    try:
        with writing(folder, marker=INFO_FILE) as scratch:
            write_files(scratch, info, stored)
    except OSError as error:
        raise RetrievalIndexError(
            f"the index can't be written to {folder}: {error}. What stood there before is as it was"
        ) from error
    return [replace(segment, folder=folder, number=number) for number, segment in enumerate(stored.segments)]


def write_files(folder: Path, info: IndexInfo, stored: Stored) -> None:
    """The files of an index, into a folder that is to become it. Raises OSError."""
    for number, segment in enumerate(stored.segments):
        _write_segment(folder, number, segment)
    if stored.tombstones.any():
        np.save(folder / TOMBSTONES_FILE, stored.tombstones)
    if stored.approximate is not None:
        stored.approximate.save(folder / FAISS_FILE)
    if stored.approximate_texts is not None:
        stored.approximate_texts.save(folder / FAISS_TEXTS_FILE)
    (folder / INFO_FILE).write_text(json.dumps(info.to_json(), indent=2) + "\n", encoding="utf-8")


def read_index(folder: Path, info: IndexInfo) -> Stored:
    """The files of `folder`. Raises RetrievalIndexError for files that are missing or are not what `info` says."""
    try:
        if info.format == 1:
            segments = [_read_first_format(folder)]
        else:
            texts = info.sentences is not None
            segments = [_read_segment(folder, number, texts=texts) for number in range(len(info.segments))]
        tombstones = _read_tombstones(folder, info)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RetrievalIndexError(f"index {folder}: {error}. `python -m jobs.index` makes it again") from error
    for segment, rows in zip(segments, info.segments, strict=True):
        _check_segment(segment, rows, info)
    approximate = approximate_texts = None
    if info.kind != "exact":
        approximate = Approximate.load(folder / FAISS_FILE, info.kind, rows=info.stored, width=info.width)
        if (told := info.sentences) is not None:
            path = folder / FAISS_TEXTS_FILE
            approximate_texts = Approximate.load(path, info.kind, rows=info.stored, width=told.width)
    return Stored(segments, tombstones, approximate, approximate_texts)


def _write_segment(scratch: Path, number: int, segment: Segment) -> None:
    vectors_file, items_file, texts_file = _names(number)
    old_vectors, old_items, old_texts = _names(segment.number)
    _link_or(segment.folder, old_vectors, scratch / vectors_file, lambda path: np.save(path, segment.vectors))
    _link_or(segment.folder, old_items, scratch / items_file, lambda path: _write_items(path, segment.items))
    if (texts := segment.texts) is not None:
        _link_or(segment.folder, old_texts, scratch / texts_file, lambda path: np.save(path, texts))


def _link_or(folder: Path | None, name: str, path: Path, write: Callable[[Path], None]) -> None:
    """A hard link to the file that is there, or the file written anew: on another disk, or where it is gone."""
    if folder is not None:
        try:
            os.link(folder / name, path)
            return
        except OSError:
            path.unlink(missing_ok=True)
    write(path)


def _write_items(path: Path, items: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, items.schema) as writer:
        writer.write_table(items)


def _read_segment(folder: Path, number: int, *, texts: bool) -> Segment:
    vectors_file, items_file, texts_file = _names(number)
    with pa.memory_map(str(folder / items_file)) as file:
        items = pa.ipc.open_file(file).read_all()
    told = _mapped(folder / texts_file) if texts else None
    return Segment(_mapped(folder / vectors_file), items, folder, number, told)


def _mapped(path: Path) -> np.ndarray:
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _read_first_format(folder: Path) -> Segment:
    return Segment(_mapped(folder / "vectors.npy"), parquet.read_table(folder / "items.parquet"))


def _read_tombstones(folder: Path, info: IndexInfo) -> np.ndarray:
    if not info.tombstones:
        return np.zeros(info.stored, dtype=bool)
    tombstones = np.load(folder / TOMBSTONES_FILE, allow_pickle=False)
    if tombstones.shape != (info.stored,) or tombstones.dtype != bool or tombstones.sum() != info.tombstones:
        raise ValueError(f"{TOMBSTONES_FILE} does not mark {info.tombstones} of {info.stored} rows")
    return tombstones


def _check_segment(segment: Segment, rows: int, info: IndexInfo) -> None:
    wanted = [(segment.vectors, info.width)]
    if info.sentences is not None and segment.texts is not None:
        wanted.append((segment.texts, info.sentences.width))
    for vectors, width in wanted:
        if vectors.shape != (rows, width) or vectors.dtype != info.dtype:
            raise RetrievalIndexError(
                f"expected {info.dtype} vectors of shape {(rows, width)}, got {vectors.dtype} {vectors.shape}"
            )
    if segment.items.num_rows != rows:
        raise RetrievalIndexError(f"expected {rows} items for {rows} vectors, got {segment.items.num_rows}")


def _names(number: int) -> Sequence[str]:
    return f"vectors-{number:05d}.npy", f"items-{number:05d}.arrow", f"texts-{number:05d}.npy"
