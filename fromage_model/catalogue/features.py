"""Features on disk: parquet shards of (id, view, vector) and a `features.json` that says what made them.

Knows nothing of encoders or of Ray. Shapes: N items, F feature width.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.artefacts import locate
from fromage_model.errors import CatalogueError

INFO_FILE = "features.json"
SHARD_PATTERN = "features-*.parquet"
FULL_VIEW = "full"
ROWS_PER_SHARD = 10_000


@dataclass(frozen=True)
class FeaturesInfo:
    """What made a folder of features. `settings` tell whether they are current."""

    encoder: str
    encoder_fingerprint: str
    catalogue: str
    catalogue_fingerprint: str
    rows: int
    failed: int
    width: int
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Features:
    """The features of a catalogue's pictures, sorted by id. `vectors` is (N, F) float32."""

    ids: list[str]
    vectors: np.ndarray = field(repr=False)
    info: FeaturesInfo

    @property
    def encoder_fingerprint(self) -> str:
        return self.info.encoder_fingerprint

    @property
    def catalogue_fingerprint(self) -> str:
        return self.info.catalogue_fingerprint

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, ids: Sequence[str]) -> np.ndarray:
        """The features of these items, (len(ids), F), in their order. Raises CatalogueError where one has none."""
        row_of = {id: row for row, id in enumerate(self.ids)}
        missing = [id for id in ids if id not in row_of]
        if missing:
            raise CatalogueError(f"{len(missing)} of {len(ids)} items have no features, the first is {missing[0]}")
        return self.vectors[[row_of[id] for id in ids]]


def features_schema(width: int) -> pa.Schema:
    """The columns of a shard; a vector is a plain fixed-size list of float32, which every reader of parquet knows."""
    return pa.schema([("id", pa.string()), ("view", pa.string()), ("vector", pa.list_(pa.float32(), width))])


def read_features(name: str | Path) -> Features:
    """By known name, folder or fsspec URI. Raises MissingArtefact, or CatalogueError where the files don't fit."""
    folder = locate("features", name)
    info = read_info(folder)
    if info is None:
        raise CatalogueError(f"{folder} holds no features: it has no {INFO_FILE}")
    shards = sorted(folder.glob(SHARD_PATTERN))
    schema = features_schema(info.width)
    try:
        table = pa.concat_tables([pq.read_table(shard, schema=schema) for shard in shards] or [schema.empty_table()])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise CatalogueError(f"{folder}: a shard does not hold features of width {info.width}: {error}") from error
    if table.num_rows != info.rows or table["vector"].null_count:
        raise CatalogueError(f"{folder}: expected {info.rows} features, found {table.num_rows}")
    flat = table["vector"].combine_chunks().flatten()
    vectors = np.asarray(flat, dtype=np.float32).reshape(info.rows, info.width)
    return Features(ids=table["id"].to_pylist(), vectors=vectors, info=info)


def write_features(folder: Path, *, ids: Sequence[str], vectors: np.ndarray, info: FeaturesInfo) -> None:
    """Write (N, F) float32 into `folder`, which `artefacts.writing` gave, sorted by id."""
    order = sorted(range(len(ids)), key=lambda row: ids[row])
    flat = np.ascontiguousarray(vectors[order], dtype=np.float32).reshape(-1)
    columns = [
        pa.array([ids[row] for row in order]),
        pa.array([FULL_VIEW] * len(ids)),
        pa.FixedSizeListArray.from_arrays(pa.array(flat), info.width),
    ]
    table = pa.Table.from_arrays(columns, schema=features_schema(info.width))
    for shard, start in enumerate(range(0, max(len(ids), 1), ROWS_PER_SHARD)):
        pq.write_table(table.slice(start, ROWS_PER_SHARD), folder / f"features-{shard:05d}.parquet")
    write_info(folder, info)


def write_info(folder: Path, info: FeaturesInfo) -> None:
    """Write `features.json`, at once where one is there already."""
    partial = folder / f"{INFO_FILE}.partial"
    partial.write_text(json.dumps(asdict(info), indent=2) + "\n")
    partial.replace(folder / INFO_FILE)


def read_info(folder: Path) -> FeaturesInfo | None:
    """What `features.json` says, or None where there is none. Raises CatalogueError where it says something else."""
    path = folder / INFO_FILE
    if not path.is_file():
        return None
    try:
        return FeaturesInfo(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise CatalogueError(f"{path} does not describe features: {error}") from error
