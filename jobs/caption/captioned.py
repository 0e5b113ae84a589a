"""What a captioning run wrote, measured, and put into the catalogue in one step. Knows nothing of captioners."""

import json
import logging
import os
import shutil
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.schema import (
    CAPTION_ATTRIBUTES,
    CAPTION_PROMPT,
    CAPTION_SIMILARITY,
    CAPTION_UNLIKE,
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
    """One caption; `similarity` is the cosine of caption and picture, None without a gate."""

    text: str
    at: datetime
    prompt: str = ""
    similarity: float | None = None


Key = tuple[str, str]
"""An item's id and the hash of its picture: what a caption is of."""


@dataclass(frozen=True)
class Captioned:
    """The captions of a run by what they are of; below `threshold` one is unlike its picture."""

    by_item: dict[Key, Caption]
    threshold: float

    def is_unlike(self, caption: Caption) -> bool:
        return caption.similarity is not None and caption.similarity < self.threshold

    def figures(self) -> dict[str, Any]:
        """Lengths in words, how many captions are the same, and how many the gate flagged."""
        captions = list(self.by_item.values())
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
        if found:
            figures["similarity_median"] = round(statistics.median(found), 4)
            figures["flagged"] = sum(self.is_unlike(caption) for caption in captions)
        return figures


def captions_in(tables: Iterable[pa.Table]) -> dict[Key, Caption]:
    """The captions in what the last stage gave; similarity is there where a gate was."""
    return {
        (row["id"], row["image_sha256"]): Caption(
            row["caption"], row["caption_at"], row["prompt"], row.get("similarity")
        )
        for table in tables
        for row in table.to_pylist()
    }


def write_captions(
    catalogue: Catalogue,
    captioned: Captioned,
    *,
    by: str,
    everything: bool,
    failures: Failures,
    progress: Progress,
    figures: Mapping[str, Any],
) -> None:
    """Put a new state of the catalogue in the place of the old one: a reader sees all new captions or none of them.

    `catalogue` may be of a later state than the one that was captioned; see `with_captions`.
    """
    table, places = with_captions(catalogue.table, captioned, by=by, everything=everything)
    if left := len(captioned.by_item) - len(places):
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


def with_captions(table: pa.Table, captioned: Captioned, *, by: str, everything: bool) -> tuple[pa.Table, list[int]]:
    """The table with these captions, and the rows, from 0, that got one.

    An item gets its caption if its picture still is the one that was seen and, without `everything`, if it still has no
    caption.
    """
    names = ("id", "image_sha256", "caption", "caption_by", "caption_at", "attributes")
    columns: dict[str, list[Any]] = {name: table[name].to_pylist() for name in names}
    keys = zip(columns.pop("id"), columns.pop("image_sha256"), strict=True)
    places = []
    for place, key in enumerate(keys):
        caption = captioned.by_item.get(key)
        if caption is None or not (everything or is_blank(columns["caption"][place])):
            continue
        places.append(place)
        columns["caption"][place] = caption.text
        columns["caption_by"][place] = by
        columns["caption_at"][place] = caption.at
        kept = {name: value for name, value in (columns["attributes"][place] or ()) if name not in CAPTION_ATTRIBUTES}
        if caption.prompt:
            kept[CAPTION_PROMPT] = caption.prompt
        if caption.similarity is not None:
            kept[CAPTION_SIMILARITY] = f"{caption.similarity:.4f}"
        if captioned.is_unlike(caption):
            kept[CAPTION_UNLIKE] = "yes"
        columns["attributes"][place] = list(kept.items())
    for name, values in columns.items():
        table = table.set_column(
            table.column_names.index(name), SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type)
        )
    return table, places


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
    return f"similarity {attributes[CAPTION_SIMILARITY]}" + (", flagged" if CAPTION_UNLIKE in attributes else "")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
