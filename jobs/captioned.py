"""What a captioning run wrote, measured, and put into the catalogue in one step. Knows nothing of captioners."""

import json
import os
import shutil
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.artefacts import writing
from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.schema import (
    CAPTION_ATTRIBUTES,
    CAPTION_PROMPT,
    CAPTION_SIMILARITY,
    CAPTION_UNLIKE,
    SCHEMA,
)
from fromage_model.catalogue.table import INFO_FILE, ROWS_PER_SHARD, SHARD_PATTERN, fingerprint
from jobs.durable import DurableRun
from jobs.progress import Progress
from jobs.report_page import samples_of, spread, write_page

CAPTIONS_FOLDER = "captions"


@dataclass(frozen=True)
class Caption:
    """One caption; `similarity` is the cosine of caption and picture, None without a gate."""

    text: str
    at: datetime
    similarity: float | None = None


@dataclass(frozen=True)
class Captioned:
    """The captions of a run by the row of their item, counted from 1; below `threshold` one is unlike its picture."""

    by_row: dict[int, Caption]
    threshold: float

    def is_unlike(self, caption: Caption) -> bool:
        return caption.similarity is not None and caption.similarity < self.threshold

    def figures(self) -> dict[str, Any]:
        """Lengths in words, how many captions are the same, and how many the gate flagged."""
        captions = list(self.by_row.values())
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


def collect(work: DurableRun, *, gate: bool, threshold: float) -> Captioned:
    """Every caption of the run, each shard verified."""
    by_row = {}
    for table in work.tables():
        for row in table.to_pylist():
            similarity = row["similarity"] if gate else None
            by_row[row["row"]] = Caption(row["caption"], row["caption_at"], similarity)
    return Captioned(by_row, threshold)


def write_captions(
    catalogue: Catalogue,
    captioned: Captioned,
    work: DurableRun,
    *,
    by: str,
    prompt: str | None,
    progress: Progress,
    figures: Mapping[str, Any],
) -> None:
    """Put a new state of the catalogue in the place of the old one: a reader sees all new captions or none of them."""
    table = with_captions(catalogue.table, captioned, by=by, prompt=prompt)
    with writing(catalogue.folder, marker=INFO_FILE) as scratch:
        link_others(catalogue.folder, scratch)
        for shard, start in enumerate(range(0, max(len(table), 1), ROWS_PER_SHARD)):
            pq.write_table(table.slice(start, ROWS_PER_SHARD), scratch / f"items-{shard:05d}.parquet")
        info = catalogue.info | {"fingerprint": fingerprint(table)}
        (scratch / INFO_FILE).write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n")
        folder = scratch / CAPTIONS_FOLDER
        folder.mkdir()
        work.write_failures(folder)
        written = sorted(captioned.by_row)
        sample = table.take(pa.array([written[place] - 1 for place in spread(len(written))], pa.int64()))
        rows = sample.select(["id", "image", "caption", "attributes"]).to_pylist()
        notes = [{"note": note(dict(row["attributes"] or ()))} for row in rows]
        write_page(
            folder,
            figures=figures,
            points=progress.points,
            reasons=work.reasons,
            samples=samples_of([row | extra for row, extra in zip(rows, notes, strict=True)], catalogue.folder),
        )


def with_captions(table: pa.Table, captioned: Captioned, *, by: str, prompt: str | None) -> pa.Table:
    """The table with these captions in their rows, and with what is known of them."""
    columns: dict[str, list[Any]] = {
        name: table[name].to_pylist() for name in ("caption", "caption_by", "caption_at", "attributes")
    }
    for row, caption in captioned.by_row.items():
        place = row - 1
        columns["caption"][place] = caption.text
        columns["caption_by"][place] = by
        columns["caption_at"][place] = caption.at
        kept = {name: value for name, value in (columns["attributes"][place] or ()) if name not in CAPTION_ATTRIBUTES}
        if prompt is not None:
            kept[CAPTION_PROMPT] = prompt
        if caption.similarity is not None:
            kept[CAPTION_SIMILARITY] = f"{caption.similarity:.4f}"
        if captioned.is_unlike(caption):
            kept[CAPTION_UNLIKE] = "yes"
        columns["attributes"][place] = list(kept.items())
    for name, values in columns.items():
        table = table.set_column(
            table.column_names.index(name), SCHEMA.field(name), pa.array(values, SCHEMA.field(name).type)
        )
    return table


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
