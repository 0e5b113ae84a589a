"""Recall of a bundle on a split of a catalogue: item names against pictures, in both directions.

A query is exactly `A picture of NAME.`; candidates are all items of the split and, beside that, all items of the
catalogue. Where the feed says why an item is held out (`held_out_by`), each reason is also measured by itself. What
answers a query says `answers`: the item, and where they are known its equals. Knows nothing of chats.

Shapes: N items of the split, M items of the catalogue, S shared width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fromage_model.catalogue import Catalogue, Item
from fromage_model.errors import CatalogueError
from jobs.common.metrics import Recall, image_to_text, text_to_image
from jobs.evaluate.answers import answered_by

TAGS_IN_QUERY = 3
REASON = "held_out_by"


@dataclass(frozen=True)
class SplitRecall:
    """Recall with one wording of the queries."""

    text_to_image: Recall
    image_to_text: Recall
    text_to_image_among_all: Recall

    def named(self) -> dict[str, Recall]:
        return {
            "text_to_image": self.text_to_image,
            "image_to_text": self.image_to_text,
            "text_to_image_among_all": self.text_to_image_among_all,
        }

    def to_json(self) -> dict[str, Any]:
        """Recalls in percent, and their 95 % intervals under the same names."""
        figures: dict[str, Any] = {name: recall.to_json() for name, recall in self.named().items()}
        figures["intervals"] = {name: recall.intervals_to_json() for name, recall in self.named().items()}
        return figures


def name_query(item: Item) -> str:
    return f"A picture of {item.caption}."


def name_and_tags_query(item: Item) -> str:
    """The name and the first three of the item's tags that don't repeat it."""
    return f"A picture of {', '.join([item.caption or '', *_tags(item)])}."


def tags_query(item: Item) -> str | None:
    """The first three of the item's tags that don't repeat its name, without the name; None where it has none."""
    tags = _tags(item)
    return f"A picture of {', '.join(tags)}." if tags else None


def _tags(item: Item) -> list[str]:
    tags = [tag.strip() for tag in (item.attributes or {}).get("tags", "").split(",")]
    name = (item.caption or "").casefold()
    return [tag for tag in dict.fromkeys(tags) if tag and tag.casefold() != name][:TAGS_IN_QUERY]


def split_rows(catalogue: Catalogue, split: str, *, embedded: Sequence[str]) -> list[int]:
    """Where in `embedded` the captioned items of the split stand. Raises CatalogueError where there are none."""
    wanted = {item.id for item in catalogue.items(split=split) if item.caption}
    rows = [row for row, id in enumerate(embedded) if id in wanted]
    if not rows:
        splits = sorted({str(value) for value in catalogue.table.column("split").to_pylist()})
        raise CatalogueError(
            f"{catalogue.name} has no captioned item with features in split {split!r}; its splits: {splits}"
        )
    return rows


def recall_on(
    texts: np.ndarray, pictures: np.ndarray, rows: Sequence[int], *, items: Sequence[Item] | None = None
) -> SplitRecall:
    """Texts (N, S) against the catalogue's pictures (M, S); `rows` say where among those the texts' own stand.

    `items`, (M), are the pictures' own: without them nothing but a text's own picture answers it.
    """
    own = pictures[list(rows)]
    answers = None if items is None else answered_by([items[row] for row in rows], items)
    among_own = None if answers is None else answers[:, list(rows)]
    return SplitRecall(
        text_to_image=text_to_image(texts, own, answers=among_own),
        image_to_text=image_to_text(own, texts, answers=None if among_own is None else among_own.T),
        text_to_image_among_all=text_to_image(texts, pictures, targets=np.asarray(rows), answers=answers),
    )


def recall_apart(
    texts: np.ndarray, pictures: np.ndarray, rows: Sequence[int], *, items: Sequence[Item]
) -> dict[str, tuple[int, SplitRecall]]:
    """By the reason for which an item of `rows` is held out: how many these are, and recall among them alone."""
    reasons = [(items[row].attributes or {}).get(REASON, "") for row in rows]
    places = {reason: [place for place, own in enumerate(reasons) if own == reason] for reason in sorted(set(reasons))}
    return {
        reason: (len(own), recall_on(texts[own], pictures, [rows[place] for place in own], items=items))
        for reason, own in places.items()
        if reason
    }


def table_of(recalls: Mapping[str, SplitRecall], *, items: int, all_items: int, heading: str = "queries") -> str:
    """The figures as a table to read, in percent, each with its interval."""
    lines = [f"{heading:<16}{'direction':<26}{'candidates':>10}{'R@1':>22}{'R@5':>22}{'R@10':>22}"]
    for wording, recall in recalls.items():
        for direction, figures in recall.named().items():
            cells = [f"{100 * at.value:.1f} [{100 * at.low:.1f}, {100 * at.high:.1f}]" for at in figures.at.values()]
            lines.append(
                f"{wording:<16}{direction:<26}{figures.candidates:>10}" + "".join(f"{cell:>22}" for cell in cells)
            )
    return "\n".join([*lines, f"{items} queries, {all_items} items in all; percent, with 95 % bootstrap intervals"])
