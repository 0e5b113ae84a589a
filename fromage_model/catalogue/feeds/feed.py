"""Feeds: where rows come from before their pictures are fetched, and what one row of any feed means.

`delimited.py` reads TSV and CSV, `arrow.py` parquet and arrow, `folders.py` a folder of pictures.
Knows nothing of Ray or of fetching.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from fromage_model.catalogue.feeds.columns import KNOWN_COLUMNS
from fromage_model.catalogue.schema import LeftOut
from fromage_model.storage.files import beside, is_data_url, is_local

# What the fashion project writes where there is no caption yet.
NO_CAPTION = "0"


@dataclass(frozen=True, slots=True)
class Cell:
    """Where in a table file a picture's bytes stand: row group or record batch `part`, the row in it, the column."""

    file: str
    part: int
    row: int
    column: str = "image"


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One row as the feed gives it. `row` counts from 1; in a TSV it is the line below the header.

    `image` is a path or URL; only a name where the picture came with the row: `svg` holds the drawing itself,
    `data_url` the file, or `cell` says where its bytes are.
    `captions` are all of a row that has several, `caption` among them. `problem` says why the row can't be used, where
    that is known before its picture is fetched. `series` names what drawings are variants of.
    """

    row: int
    image: str
    caption: str | None = None
    captions: tuple[str, ...] = ()
    item_url: str | None = None
    brand: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    group: str | None = None
    series: str | None = None
    svg: bytes | None = None
    cell: Cell | None = None
    data_url: str | None = None
    problem: str | None = None

    @property
    def brings_picture(self) -> bool:
        """Whether there is nothing to fetch."""
        return not (self.svg is None and self.cell is None and self.data_url is None)


@dataclass(frozen=True)
class Feed:
    """All rows of a source, and a hash that changes when the source does; of a folder also what is `left_out`.

    `held_out` are the groups that the source itself holds out of training, or None where it leaves that to others.
    """

    source: str
    rows: list[FeedRow]
    sha256: str
    licence: str | None = None
    attribution: str | None = None
    left_out: list[LeftOut] = field(default_factory=list)
    held_out: frozenset[str] | None = None


def row_from(
    number: int, values: Mapping[str, Any], *, base: str, cell: Cell | None = None, problem: str | None = None
) -> FeedRow:
    """The row that named values mean; a picture's path is relative to the file `base`.

    `caption` may be a list, whose first is then the caption. Columns that are not known become attributes. What is
    empty is left out, and so is a caption `0`. Only a feed on this machine may name local files: those who write others
    must not decide which of them a catalogue shows.
    """
    texts = {name: text for name, value in values.items() if name != "caption" and (text := text_of(value))}
    captions = _captions(values.get("caption"))
    image = texts.get("image", "")
    data_url = image if cell is None and is_data_url(image) else None
    if cell is not None or data_url is not None:
        image = f"{base}#{number}"
    elif image:
        image = beside(base, image)
    attributes = {name: text for name, text in texts.items() if name and name not in KNOWN_COLUMNS}
    item_url = texts.get("item_url")
    if problem is None and not image:
        problem = "the image field is empty"
    if problem is None and data_url is None and is_local(image) and not is_local(base):
        problem = f"a feed that does not lie on this machine names a local file: {image[:80]}"
    if problem is None and item_url and not item_url.lower().startswith(("http://", "https://")):
        problem = f"item_url must start with http:// or https://, got {item_url[:80]}"
    return FeedRow(
        row=number,
        image=image,
        caption=captions[0] if captions else None,
        captions=tuple(captions) if len(captions) > 1 else (),
        item_url=item_url,
        brand=texts.get("brand"),
        attributes=attributes,
        group=texts.get("group"),
        cell=cell,
        data_url=data_url,
        problem=problem,
    )


def text_of(value: Any) -> str:
    """A value of a table as text without surrounding blanks; empty for nulls, NaN and bytes."""
    if value is None or value != value or isinstance(value, bytes):
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _captions(value: Any) -> list[str]:
    found = [text_of(one) for one in value] if isinstance(value, list | tuple) else [text_of(value)]
    return [text for text in dict.fromkeys(found) if text and text != NO_CAPTION]
