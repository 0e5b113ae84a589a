"""Features on disk: parquet shards of (id, view, vector) and a `features.json` that says what made them.

A view is the whole picture (`full`) or, for training, a part or a mirror image of it. Knows nothing of encoders or of
Ray. Shapes: N items, F feature width.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fromage_model.catalogue.mapped import in_parts, mapped
from fromage_model.errors import CatalogueError
from fromage_model.storage.artefacts import locate

INFO_FILE = "features.json"
SHARD_PATTERN = "features-*.parquet"
FULL_VIEW = "full"
ROWS_PER_SHARD, ROWS_AT_ONCE = 10_000, 1024
StoredDtype = Literal["float32", "float16"]
STORED = {"float32": pa.float32(), "float16": pa.float16()}


@dataclass(frozen=True)
class FeaturesInfo:
    """What made a folder of features. `settings` tell whether they are current.

    `rows` counts those of the view `full`, `view_rows` those of all further views. `width` is F. With `hashed` each row
    says which bytes it was made from, in a column `image_sha256`.
    """

    encoder: str
    encoder_fingerprint: str
    catalogue: str
    catalogue_fingerprint: str
    rows: int
    failed: int
    width: int
    settings: dict[str, Any] = field(default_factory=dict)
    dtype: StoredDtype = "float32"
    view_rows: int = 0
    hashed: bool = False


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
        return np.asarray(self.vectors[self._rows(ids)])

    def parts_of(self, ids: Sequence[str]) -> Iterator[np.ndarray]:
        """The same some 16 MB at a time."""
        return in_parts(self.vectors, self._rows(ids))

    def _rows(self, ids: Sequence[str]) -> list[int]:
        row_of = {id: row for row, id in enumerate(self.ids)}
        missing = [id for id in ids if id not in row_of]
        if missing:
            raise CatalogueError(f"{len(missing)} of {len(ids)} items have no features, the first is {missing[0]}")
        return [row_of[id] for id in ids]


def features_schema(width: int, dtype: StoredDtype = "float32", *, hashed: bool = False) -> pa.Schema:
    """The columns of a shard; a vector is a plain fixed-size list, which every reader of parquet knows."""
    columns = [("id", pa.string()), ("view", pa.string()), ("vector", pa.list_(STORED[dtype], width))]
    return pa.schema(columns + ([("image_sha256", pa.string())] if hashed else []))


def read_features(name: str | Path, *, view: str = FULL_VIEW, on_disk: bool = False) -> Features:
    """One view, by known name, folder or URI. Raises MissingArtefact, or CatalogueError where the files don't fit.

    A view other than `full` may be there for no item at all. `on_disk`: vectors are mapped from a file, for more of
    them than memory has room for.
    """
    folder = locate("features", name)
    info = read_info(folder)
    if info is None:
        raise CatalogueError(f"{folder} holds no features: it has no {INFO_FILE}")
    ids: list[str] = []

    def shards() -> Iterator[np.ndarray]:
        for table in read_shards(folder, info):
            table = table.filter(pc.equal(table["view"], view))
            ids.extend(table["id"].to_pylist())
            flat = table["vector"].combine_chunks().flatten()
            yield np.asarray(flat, dtype=np.float32).reshape(-1, info.width)

    def together(parts: Iterable[np.ndarray]) -> np.ndarray:
        none = np.empty((0, info.width), dtype=np.float32)
        return mapped(parts, width=info.width) if on_disk else np.concatenate([none, *parts])

    vectors = together(shards())
    if view == FULL_VIEW and len(ids) != info.rows:
        raise CatalogueError(f"{folder}: expected {info.rows} features of whole pictures, found {len(ids)}")
    order = sorted(range(len(ids)), key=ids.__getitem__)
    if order != list(range(len(ids))):
        vectors = together(in_parts(vectors, order))
    return Features(ids=[ids[row] for row in order], vectors=vectors, info=info)


def read_shards(folder: Path, info: FeaturesInfo) -> Iterator[pa.Table]:
    """The rows of a folder's shards, some at a time.

    Raises CatalogueError where one has other columns, or a null, and at the end where rows are missing or too many.
    """
    schema = features_schema(info.width, info.dtype, hashed=info.hashed)
    rows = 0
    for shard in sorted(folder.glob(SHARD_PATTERN)):
        try:
            for table in _batches(shard, schema):
                if table["vector"].null_count:
                    raise CatalogueError(f"{folder}: expected features, found {table['vector'].null_count} nulls")
                rows += table.num_rows
                yield table
        except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, KeyError) as error:
            raise CatalogueError(f"{folder}: a shard does not hold features of width {info.width}: {error}") from error
    if rows != info.rows + info.view_rows:
        raise CatalogueError(f"{folder}: expected {info.rows + info.view_rows} features, found {rows}")


def _batches(shard: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    with pq.ParquetFile(shard, memory_map=True, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=schema.names):
            yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)


class FeaturesWriter:
    """Writes features into `folder`, which `artefacts.writing` gave, shard after shard, whatever their number."""

    def __init__(self, folder: Path, *, width: int, dtype: StoredDtype = "float32", hashed: bool = False):
        self.schema = features_schema(width, dtype, hashed=hashed)
        self.rows: dict[str, int] = {}
        self._folder = folder
        self._waiting: list[pa.Table] = []
        self._shards = 0

    def __enter__(self) -> "FeaturesWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        rest = pa.concat_tables([*self._waiting, self.schema.empty_table()])
        if error is None and (rest.num_rows or not self._shards):
            self._write(rest)

    def add(
        self, ids: Sequence[str], views: Sequence[str], vectors: np.ndarray, *, sha256s: Sequence[str] | None = None
    ) -> None:
        """`vectors` is (N, F), one for each id and view; `sha256s` of the pictures' bytes go with `hashed`."""
        stored = self.schema.field("vector").type
        flat = np.ascontiguousarray(vectors, dtype=stored.value_type.to_pandas_dtype()).reshape(-1)
        columns = [pa.array(ids, pa.string()), pa.array(views, pa.string())]
        columns.append(pa.FixedSizeListArray.from_arrays(pa.array(flat), stored.list_size))
        columns += [] if sha256s is None else [pa.array(sha256s, pa.string())]
        table = pa.Table.from_arrays(columns, names=self.schema.names)
        for view in views:
            self.rows[view] = self.rows.get(view, 0) + 1
        self._waiting.append(table.cast(self.schema))
        if sum(map(len, self._waiting)) >= ROWS_PER_SHARD:
            joined = pa.concat_tables(self._waiting)
            whole = len(joined) // ROWS_PER_SHARD * ROWS_PER_SHARD
            for start in range(0, whole, ROWS_PER_SHARD):
                self._write(joined.slice(start, ROWS_PER_SHARD))
            self._waiting = [joined.slice(whole)]

    def _write(self, table: pa.Table) -> None:
        pq.write_table(table, self._folder / f"features-{self._shards:05d}.parquet")
        self._shards += 1


def write_features(folder: Path, *, ids: Sequence[str], vectors: np.ndarray, info: FeaturesInfo) -> None:
    """Write (N, F) of the view `full` into `folder`, which `artefacts.writing` gave."""
    with FeaturesWriter(folder, width=info.width, dtype=info.dtype) as writer:
        writer.add(ids, [FULL_VIEW] * len(ids), vectors)
    write_info(folder, info)


def write_info(folder: Path, info: FeaturesInfo) -> None:
    """Write `features.json`, at once where one is there already."""
    partial = folder / f"{INFO_FILE}.partial"
    partial.write_text(json.dumps(asdict(info), indent=2) + "\n")
    partial.replace(folder / INFO_FILE)


def read_info(folder: Path) -> FeaturesInfo | None:
    """What `features.json` says, or None where there is none. Raises CatalogueError where it says something else."""
    path = folder / INFO_FILE
    return parse_info(path.read_bytes(), source=str(path)) if path.is_file() else None


def parse_info(data: bytes, *, source: str) -> FeaturesInfo:
    """The bytes of a `features.json`. Raises CatalogueError, which names `source`, where they say something else."""
    try:
        return FeaturesInfo(**json.loads(data))
    except (ValueError, TypeError) as error:
        raise CatalogueError(f"{source} does not describe features: {error}") from error
