"""Catalogues in forms that others read: a TSV as Conceptual Captions has it, plain parquet, a Hugging Face dataset.

Knows nothing of models. Each is written whole or not at all.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.schema import HELD_OUT, TRAIN
from fromage_model.errors import CatalogueError, InvalidInput
from fromage_model.index import RetrievalIndex
from fromage_model.storage.artefacts import replacing, writing

README = "README.md"
ROWS_PER_GROUP = 10_000
# Pictures stand inside the shards, so a shard is kept to some hundred MB.
ROWS_PER_SHARD = 1000
SPLITS = {TRAIN: "train", HELD_OUT: "heldout"}
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
TEXTS = ("id", "caption", "item_url", "brand", "source", "group")


def write_tsv(catalogue: Catalogue, path: Path | str) -> list[str]:
    """Header `caption, image`, and a line for each item that has a caption; returns the ids of those that have none.

    Images are absolute paths or URLs. White space inside a caption, tabs and line breaks too, becomes one space. Quotes
    stand for themselves, but a caption that begins with one is quoted as pandas does it, which would lose it otherwise.
    """
    without = []
    with replacing(path) as scratch, open(scratch, "w", encoding="utf-8", newline="") as file:
        file.write("caption\timage\n")
        for row in catalogue.table.select(["id", "caption"]).to_pylist():
            caption = " ".join((row["caption"] or "").split())
            if not caption:
                without.append(row["id"])
                continue
            file.write(f"{_cell(caption)}\t{_cell(catalogue.image_place(row['id']))}\n")
    return without


def write_parquet(index: RetrievalIndex, path: Path | str) -> None:
    """One file with the catalogue's columns and `vector`, a fixed-size list of float32 of length 1.

    `attributes` is JSON text, for not every reader knows maps. Nothing in the file is of a type of ours.
    """
    items, vectors = index.items, index.vectors
    place = items.column_names.index("attributes")
    attributes = [json.dumps(dict(pairs or ()), ensure_ascii=False) for pairs in items["attributes"].to_pylist()]
    items = items.set_column(place, "attributes", pa.array(attributes, pa.string()))
    flat = pa.array(vectors.reshape(-1))
    items = items.append_column("vector", pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))
    with replacing(path) as scratch:
        pq.write_table(items, scratch, row_group_size=ROWS_PER_GROUP)


def write_dataset(catalogue: Catalogue, folder: Path | str) -> list[str]:
    """A folder that `datasets.load_dataset(folder)` opens, pictures inside; returns the ids whose picture is missing.

    `data/SPLIT-NNNNN-of-NNNNN.parquet` with a column `image` of the feature Image, and a README.md that names the
    splits. Raises CatalogueError where not one picture is there, and ConfigError for a folder that holds other things.
    """
    missing: list[str] = []
    with writing(folder, marker=README) as scratch:
        (scratch / "data").mkdir()
        splits = [split for split in SPLITS if split in set(catalogue.table["split"].to_pylist())]
        written = {SPLITS[split]: _write_split(catalogue, split, scratch / "data", missing) for split in splits}
        if not any(written.values()):
            raise CatalogueError(f"none of the {len(catalogue)} pictures of {catalogue.name} is there to be exported")
        (scratch / README).write_text(_card(catalogue, [split for split, rows in written.items() if rows]))
    return missing


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if text.startswith('"') else text


def _write_split(catalogue: Catalogue, split: str, folder: Path, missing: list[str]) -> int:
    """The shards of one split; their names tell how many there are, so they are renamed at the end."""
    total = 0
    partial: list[Path] = []
    for rows in _rows_of(catalogue, split, missing):
        partial.append(folder / f"{SPLITS[split]}-{len(partial):05d}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema()), partial[-1])
        total += len(rows)
    for number, path in enumerate(partial):
        path.rename(folder / f"{SPLITS[split]}-{number:05d}-of-{len(partial):05d}.parquet")
    return total


def _rows_of(catalogue: Catalogue, split: str, missing: list[str]) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for item in catalogue.items(split):
        try:
            picture = {"bytes": catalogue.image_bytes(item.id), "path": Path(item.image).name}
        except (CatalogueError, InvalidInput):
            missing.append(item.id)
            continue
        texts = {name: getattr(item, name) for name in TEXTS}
        rows.append({"image": picture, "attributes": json.dumps(item.attributes, ensure_ascii=False)} | texts)
        if len(rows) == ROWS_PER_SHARD:
            yield rows
            rows = []
    if rows:
        yield rows


def _schema() -> pa.Schema:
    """The columns, and in the schema's metadata what `datasets` takes them for."""
    names = [*TEXTS, "attributes"]
    features = {"image": {"_type": "Image"}} | {name: {"dtype": "string", "_type": "Value"} for name in names}
    fields = [pa.field("image", PICTURE), *(pa.field(name, pa.string()) for name in names)]
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _card(catalogue: Catalogue, splits: list[str]) -> str:
    """The dataset's card: a header in YAML, where the splits are named, and where the pictures come from."""
    files = "".join(f"  - split: {split}\n    path: data/{split}-*.parquet\n" for split in splits)
    name = re.sub(r"\s+", " ", catalogue.name)
    lines = [f"# {name}", "", f"{len(catalogue)} items, exported by fromage-chat."]
    lines += [f"{key.title()}: {catalogue.info[key]}" for key in ("licence", "attribution") if catalogue.info.get(key)]
    return f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n\n" + "\n".join(lines) + "\n"
