"""What a captioning run wrote, measured, and put into the catalogue in one step. Knows nothing of captioners."""

import json
import logging
import os
import shutil
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.schema import (
    CAPTION_ATTRIBUTES,
    CAPTION_PROMPT,
    CAPTION_SIMILARITY,
    SCHEMA,
)
from fromage_model.catalogue.table import INFO_FILE, SHARD_PATTERN, fingerprint, write_items
from jobs.caption.failures import CAPTIONS_FOLDER, Failures
from jobs.common.durable.publish import publishing
from jobs.common.reporting.page import samples_of, spread, write_page
from jobs.common.reporting.progress import Progress

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caption:
    """One caption; `vectors` (2, S) float32 are its picture's retrieval embedding and its own, None without a gate."""

    text: str
    at: datetime
    prompt: str = ""
    vectors: np.ndarray | None = None

    @property
    def similarity(self) -> float | None:
        """The cosine of picture and caption."""
        return None if self.vectors is None else float(self.vectors[0] @ self.vectors[1])


Key = tuple[str, str]
"""An item's id and the hash of its picture: what a caption is of."""


def figures_of(captions: Collection[Caption]) -> dict[str, Any]:
    """Lengths in words, how many captions are the same, and how like their pictures they are."""
    if not captions:
        return {}
    words = sorted(len(caption.text.split()) for caption in captions)
    ((most, times),) = Counter(caption.text for caption in captions).most_common(1)
    figures: dict[str, Any] = {
        "words_median": statistics.median(words),
        "words_least": words[0],
        "words_most": words[-1],
        "distinct_captions": len({caption.text for caption in captions}),
        "most_repeated": most,
        "most_repeated_times": times,
    }
    found = [caption.similarity for caption in captions if caption.similarity is not None]
    return figures | ({"similarity_median": round(statistics.median(found), 4)} if found else {})


def captions_in(tables: Iterable[pa.Table]) -> dict[Key, Caption]:
    """The captions in what the last stage gave; vectors are there where a gate was."""
    return {
        (row["id"], row["image_sha256"]): Caption(
            row["caption"], row["caption_at"], row["prompt"], unpacked(row.get("vectors"))
        )
        for table in tables
        for row in table.to_pylist()
    }


def unpacked(vectors: bytes | None) -> np.ndarray | None:
    """(2, S) float32 from the bytes in which a table holds them."""
    return None if vectors is None else np.frombuffer(vectors, np.float32).reshape(2, -1)


def write_captions(
    catalogue: Catalogue,
    captioned: Mapping[Key, Caption],
    *,
    rejected: Collection[Key] = (),
    by: str,
    everything: bool,
    failures: Failures,
    progress: Progress,
    figures: Mapping[str, Any],
) -> None:
    """Put a new state of the catalogue in the place of the old one: a reader sees all new captions or none of them.

    `catalogue` may be of a later state than the one that was captioned; see `with_captions`.
    """
    table, places = with_captions(
        catalogue.table, captioned, rejected=rejected if everything else (), by=by, everything=everything
    )
    if left := len(captioned) - len(places):
        log.warning("%d captions are of items that have changed, or gone, meanwhile, and are left out", left)
    with publishing(catalogue.uri or catalogue.folder, marker=INFO_FILE) as scratch:
        link_others(catalogue.folder, scratch)
        write_items(scratch, table)
        info = catalogue.info | {"fingerprint": fingerprint(table)}
        (scratch / INFO_FILE).write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n")
        folder = scratch / CAPTIONS_FOLDER
        folder.mkdir()
        failures.write(folder, catalogue)
        sample = table.take(pa.array([places[place] for place in spread(len(places))], pa.int64()))
        rows = sample.select(["id", "caption", "attributes"]).to_pylist()
        notes = [{"note": note(dict(row["attributes"] or ()))} for row in rows]
        write_page(
            folder,
            figures=figures,
            points=progress.points,
            reasons=failures.reasons,
            samples=samples_of([row | extra for row, extra in zip(rows, notes, strict=True)], catalogue.image_bytes),
        )


def with_captions(
    table: pa.Table,
    captioned: Mapping[Key, Caption],
    *,
    rejected: Collection[Key] = (),
    by: str,
    everything: bool,
) -> tuple[pa.Table, list[int]]:
    """The table with these captions, and the rows, from 0, that got one.

    An item gets its caption if its picture still is the one that was seen and, without `everything`, if it still has no
    caption. One whose new caption was `rejected` loses what the same captioner wrote before, and keeps any other.
    """
    names = ("id", "image_sha256", "caption", "caption_by", "caption_at", "attributes")
    columns: dict[str, list[Any]] = {name: table[name].to_pylist() for name in names}
    keys = zip(columns.pop("id"), columns.pop("image_sha256"), strict=True)
    places = []
    for place, key in enumerate(keys):
        caption = captioned.get(key)
        if key in rejected and columns["caption_by"][place] == by:
            others = list(without_captioners(columns["attributes"][place]).items())
            for name, value in {"caption": None, "caption_by": None, "caption_at": None, "attributes": others}.items():
                columns[name][place] = value
        if caption is None or not (everything or is_blank(columns["caption"][place])):
            continue
        places.append(place)
        columns["caption"][place] = caption.text
        columns["caption_by"][place] = by
        columns["caption_at"][place] = caption.at
        kept = without_captioners(columns["attributes"][place])
        if caption.prompt:
            kept[CAPTION_PROMPT] = caption.prompt
        if caption.similarity is not None:
            kept[CAPTION_SIMILARITY] = f"{caption.similarity:.4f}"
        columns["attributes"][place] = list(kept.items())
    for name, values in columns.items():
        table = table.set_column(
            table.column_names.index(name), SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type)
        )
    return table, places


def without_captioners(attributes: Iterable[tuple[str, str]] | None) -> dict[str, str]:
    """An item's attributes but those that a captioner left."""
    return {name: value for name, value in attributes or () if name not in CAPTION_ATTRIBUTES}


def is_blank(caption: str | None) -> bool:
    return not (caption or "").strip()


def link_others(source: Path, target: Path) -> None:
    """What a new state shares with the old one, pictures above all, as hard links where the disk has them."""
    for path in sorted(source.iterdir()):
        if path.name in (INFO_FILE, CAPTIONS_FOLDER) or path.match(SHARD_PATTERN) or path.name.startswith("."):
            continue
        if path.is_dir():
            shutil.copytree(path, target / path.name, copy_function=_link)
        else:
            _link(str(path), str(target / path.name))


def note(attributes: Mapping[str, str]) -> str:
    """What stands below a caption on the page."""
    if CAPTION_SIMILARITY not in attributes:
        return ""
    return f"similarity {attributes[CAPTION_SIMILARITY]}"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
