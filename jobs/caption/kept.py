"""What an interrupted captioning wrote before its catalogue changed, kept while it still holds.

A caption is of an item with its picture: rows that came, went or moved leave it as it is. Knows nothing of captioners.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.caption.captioned import Caption, Key, captions_in
from jobs.caption.stages import ITEM, WRITTEN
from jobs.common.durable import DurableRun, Files, work_folder

KEPT_FILE = "kept.parquet"
KEPT_SCHEMA = pa.schema([*ITEM[1:], *WRITTEN, ("vectors", pa.binary())])
SETTINGS = b"settings"


class KeptCaptions:
    """Captions in a folder beside the work on a catalogue's captions, whole or not there."""

    def __init__(self, target: str, settings: Mapping[str, Any]):
        """`target` is what the captions' work folder is beside; those of other `settings` are not taken."""
        self._files = Files(work_folder(f"{target}-kept"))
        self._settings = json.dumps(dict(settings), sort_keys=True).encode()
        self.by_item: dict[Key, Caption] = {}
        if data := self._files.read(KEPT_FILE):
            table = pq.read_table(io.BytesIO(data))
            if (table.schema.metadata or {}).get(SETTINGS) == self._settings:
                self.by_item = captions_in([table])

    def of(self, keys: Iterable[Key]) -> dict[Key, Caption]:
        """What is kept of these."""
        return {key: self.by_item[key] for key in keys if key in self.by_item}

    @property
    def digest(self) -> str:
        """What changes when more is kept; empty where nothing is."""
        if not self.by_item:
            return ""
        keys = json.dumps(sorted(self.by_item))
        return hashlib.sha256(keys.encode()).hexdigest()[:16]

    def take_over(self, begun: DurableRun | None, *, fingerprint: str) -> str:
        """Keep what was done on another state of the catalogue -> the source that work on this state has."""
        source = f"{fingerprint} {self.digest}"
        if begun is None or begun.source == source:
            return source
        self.by_item |= captions_in(begun.resumed().tables())
        if not self.by_item:
            return source
        rows = [
            {"id": id, "image_sha256": sha256, "caption": caption.text, "caption_at": caption.at}
            | {"prompt": caption.prompt, "vectors": caption.vectors.tobytes() if caption.vectors is not None else None}
            for (id, sha256), caption in self.by_item.items()
        ]
        buffer = io.BytesIO()
        schema = KEPT_SCHEMA.with_metadata({SETTINGS: self._settings})
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer)
        self._files.make()
        self._files.write(KEPT_FILE, buffer.getvalue())
        return f"{fingerprint} {self.digest}"

    def forget(self) -> None:
        """Once the captions are in the catalogue, or to begin anew."""
        self.by_item = {}
        self._files.remove_all()
