"""Catalogue embeddings of the original, `cc3m_embeddings*.pkl`: read in every form in use, merged, written back.

A file is a pickled dict: `paths` (image paths or URLs), `embeddings` (`visual_fc` of each picture, not normalised) and,
in the fashion project's files, `item_url`. Embeddings are one array, a list of arrays, or a list of torch tensors,
bfloat16 among them.

Shapes: N items, S shared width.
Source: `load_fromage` and `fromage/extract_img_embs.py` of kohjingyu/fromage and of seungu1108/fromage_fashion.
"""

import pickle
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch

from fromage_model.catalogue import SCHEMA
from fromage_model.catalogue.schema import TRAIN, item_id
from fromage_model.errors import CheckpointError
from fromage_model.index import RetrievalIndex
from fromage_model.interop.pickles.arrays import ArrayRecord
from fromage_model.interop.pickles.restricted import TensorRecord, load
from fromage_model.storage.artefacts import replacing


@dataclass(frozen=True)
class Embeddings:
    """N items in a file's order: `vectors` (N, S) float32 as they came, `item_urls` None where no file has any."""

    paths: list[str]
    vectors: np.ndarray = field(repr=False)
    item_urls: list[str | None] | None = None

    @classmethod
    def of_index(cls, index: RetrievalIndex) -> Self:
        """The index's unit vectors, and where its pictures are."""
        urls = index.items.column("item_url").to_pylist()
        return cls(index.items.column("image").to_pylist(), index.vectors, urls if any(urls) else None)

    def to_index(self, *, fingerprint: str, name: str) -> RetrievalIndex:
        """An exact index over the normalised vectors, for the model of `fingerprint`; `name` is the catalogue's.

        A path that occurs again is an item again, as in the original. Raises CheckpointError for a vector of length 0.
        """
        lengths = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        if not lengths.all():
            row = int(np.argmin(lengths))
            raise CheckpointError(f"the embedding of {self.paths[row]} (row {row}) is all zeros and has no direction")
        return RetrievalIndex.build(
            self.vectors / lengths,
            self._items(name),
            fingerprint=fingerprint,
            catalogue=name,
            created_by="fromage_model.interop",
        )

    def _items(self, name: str) -> pa.Table:
        urls: Sequence[str | None] = self.item_urls or [None] * len(self.paths)
        seen: Counter[str] = Counter()
        ids = []
        for path, url in zip(self.paths, urls, strict=True):
            key = url or path
            again = f"#{seen[key]}" if seen[key] else ""
            seen[key] += 1
            ids.append(item_id(item_url=f"{key}{again}", image_sha256=""))
        rows = len(ids)
        columns = {"id": ids, "image": self.paths, "item_url": list(urls), "group": ids}
        constants = {"image_sha256": "", "source": name, "split": TRAIN, "updated_at": datetime.now(UTC)}
        columns |= {key: [value] * rows for key, value in constants.items()}
        arrays = [pa.array(columns.get(column.name, [None] * rows), column.type) for column in SCHEMA]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)


def read_embeddings(paths: str | Path | Sequence[str | Path]) -> Embeddings:
    """One file or several -> their items, one file's after the other's. Nothing of a file is run.

    Raises CheckpointError naming the file: not such a pickle, counts or widths that differ, values that are not finite.
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not files:
        raise CheckpointError("expected at least one embeddings file, got none")
    parts = [_read(Path(file)) for file in files]
    widths = {str(file): part.vectors.shape[1] for file, part in zip(files, parts, strict=True)}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{file}: {width}" for file, width in widths.items())
        raise CheckpointError(f"embeddings of different widths can't be merged: {told}")
    urls = [url for part in parts for url in (part.item_urls or [None] * len(part.paths))]
    return Embeddings(
        paths=[path for part in parts for path in part.paths],
        vectors=np.concatenate([part.vectors for part in parts]),
        item_urls=urls if any(part.item_urls is not None for part in parts) else None,
    )


def write_embeddings(index: RetrievalIndex | Embeddings, path: Path | str) -> None:
    """An index, or embeddings as they were read -> one `.pkl` of the original's form, embeddings (N, S) float32 numpy.

    Every numpy and Python from 3.4 on reads it. Written whole or not at all.
    """
    embeddings = Embeddings.of_index(index) if isinstance(index, RetrievalIndex) else index
    value: dict[str, Any] = {
        "paths": list(embeddings.paths),
        "embeddings": np.ascontiguousarray(embeddings.vectors, dtype=np.float32),
    }
    if embeddings.item_urls is not None:
        value["item_url"] = list(embeddings.item_urls)
    with replacing(path) as scratch, open(scratch, "wb") as file:
        _Pickler(file, protocol=4).dump(value)


class _Pickler(pickle.Pickler):
    """Names numpy's public constructor; numpy itself names a private module, of another name in numpy 1 and 2."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is np.ndarray:
            return np.ndarray, (value.shape, value.dtype.str, bytearray(value))
        return NotImplemented


def _read(path: Path) -> Embeddings:
    try:
        with open(path, "rb") as file:
            value = load(file, where=str(path))
    except OSError as error:
        raise CheckpointError(f"{path} can't be opened: {error}") from error
    if not isinstance(value, dict) or not {"paths", "embeddings"} <= value.keys():
        found = sorted(map(str, value)) if isinstance(value, dict) else type(value).__name__
        raise CheckpointError(f"{path} holds {found}; expected a dict with `paths` and `embeddings`")
    paths = _texts(value["paths"], "paths", path)
    urls = _texts(value["item_url"], "item_url", path, optional=True) if "item_url" in value else None
    vectors = _vectors(value["embeddings"], path)
    counts = {"paths": len(paths), "embeddings": len(vectors)} | ({} if urls is None else {"item_url": len(urls)})
    if len(set(counts.values())) > 1:
        raise CheckpointError(f"{path} has {', '.join(f'{count} {name}' for name, count in counts.items())}")
    if not np.isfinite(vectors).all():
        row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise CheckpointError(f"{path}: the embedding of {paths[row]} (row {row}) holds NaN or infinity")
    return Embeddings(paths, vectors, urls)


def _texts(value: Any, name: str, path: Path, *, optional: bool = False) -> list[Any]:
    """A list of texts; where `optional`, None and NaN (what pandas makes of an empty cell) stand for none."""
    if not isinstance(value, list | tuple):
        raise CheckpointError(f"{path}: `{name}` is {type(value).__name__}; expected a list of texts")
    texts = [None if optional and (text is None or text != text) else text for text in value]
    for row, text in enumerate(texts):
        if not isinstance(text, str) and not (optional and text is None):
            raise CheckpointError(f"{path}: `{name}` has {type(text).__name__} in row {row}; expected a text")
    return texts


def _vectors(value: Any, path: Path) -> np.ndarray:
    """The three forms -> (N, S) float32."""
    if isinstance(value, ArrayRecord | TensorRecord):
        vectors = _numbers(value, path)
    elif isinstance(value, list | tuple) and value:
        rows = [_numbers(row, path).reshape(-1) for row in value]
        widths = {len(row) for row in rows}
        if len(widths) > 1:
            raise CheckpointError(f"{path}: embeddings of widths {sorted(widths)} in one file")
        vectors = np.stack(rows)
    else:
        vectors = np.empty((0, 0), dtype=np.float32)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise CheckpointError(
            f"{path}: `embeddings` is {type(value).__name__} of shape {vectors.shape}; expected one array (N, S), or a "
            "list of arrays or tensors (S,)"
        )
    return vectors


def _numbers(value: Any, path: Path) -> np.ndarray:
    if isinstance(value, TensorRecord):
        return value.tensor.to(torch.float32).numpy()
    if isinstance(value, ArrayRecord) and value.array is not None:
        return value.array.astype(np.float32)
    raise CheckpointError(f"{path}: expected arrays or tensors of numbers among `embeddings`, got {value!r}")
