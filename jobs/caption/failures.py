"""The pictures of a catalogue that could not be captioned, kept beside the captions from run to run.

Knows nothing of captioners. A picture that could not be read can be read by none of them; one for which a captioner
found no words is worth another try with other settings.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.schema import FAILURES_SCHEMA
from fromage_model.catalogue.table import FAILURES_FILE

CAPTIONS_FOLDER = "captions"
SETTINGS_FILE = "settings.json"
# Where a row fails because of its picture alone.
READING_STAGES = ("fetch", "decode")


@dataclass(frozen=True)
class Failures:
    """Rows of FAILURES_SCHEMA by id, and the settings that they failed with."""

    by_id: dict[str, dict[str, Any]]
    settings: Mapping[str, Any]

    @classmethod
    def read(cls, catalogue: Catalogue, settings: Mapping[str, Any]) -> "Failures":
        """Those that these settings would meet again: of items that have not changed since."""
        folder = catalogue.folder / CAPTIONS_FOLDER
        if not (folder / FAILURES_FILE).is_file():
            return cls({}, settings)
        path = folder / SETTINGS_FILE
        same = path.is_file() and json.loads(path.read_text()) == json.loads(json.dumps(settings))
        columns = (catalogue.table["id"].to_pylist(), catalogue.table["updated_at"].to_pylist())
        changed_at = dict(zip(*columns, strict=True))
        rows = pq.read_table(folder / FAILURES_FILE).to_pylist()
        return cls(
            {
                row["id"]: row
                for row in rows
                if (same or row["stage"] in READING_STAGES)
                and row["id"] in changed_at
                and changed_at[row["id"]] <= row["failed_at"]
            },
            settings,
        )

    def of(self, ids: Collection[str]) -> "Failures":
        """Those of some items."""
        return Failures({id: row for id, row in self.by_id.items() if id in ids}, self.settings)

    def and_those_of(self, tables: Iterable[pa.Table]) -> "Failures":
        """These and what a run adds, tables of FAILURES_SCHEMA."""
        added = {row["id"]: row for table in tables for row in table.to_pylist()}
        return Failures(self.by_id | added, self.settings)

    @property
    def reasons(self) -> dict[str, int]:
        """How many by error class."""
        return dict(Counter(row["error"] for row in self.by_id.values()))

    def write(self, folder: Path, catalogue: Catalogue) -> None:
        """failures.parquet, empty where there are none, by the rows that the items now have, and the settings."""
        place_of = {id: row for row, id in enumerate(catalogue.table["id"].to_pylist(), start=1)}
        rows = [row | {"row": place_of[id]} for id, row in self.by_id.items() if id in place_of]
        table = pa.Table.from_pylist(sorted(rows, key=lambda row: row["row"]), schema=FAILURES_SCHEMA)
        pq.write_table(table, folder / FAILURES_FILE)
        (folder / SETTINGS_FILE).write_text(json.dumps(dict(self.settings), indent=2) + "\n")
