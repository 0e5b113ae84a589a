"""Items by what a text calls them: their id, or their name in whole. Finds nothing that is merely like it.

A name of one word is a name only where it is all that is asked for (`boots?`); in a sentence it is a word.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fromage_model.understanding.values import owned_places
from fromage_model.understanding.words import QUOTES, Word, lexicon

MOST_ITEMS = 1_000_000
"""That are looked for by name; an id is found among any number."""
MOST_FOUND = 64
LONGEST_NAME = 12
"""Words of a name within a sentence."""
MOST_ASKED = 48
"""Words of a text in which names are looked for."""
LEAST_NAME = 2
LONG_NAME = 4
"""Words of a name that is meant wherever it stands; of a shorter one others make something else, as of `red dress`."""
MOST_BESIDE = 2
LEAST_ID_CHARS = 4
NAMES = ("title", "name")
ARTICLES = ("a", "an", "the")


@dataclass(frozen=True)
class Names:
    """`ids`, and the columns that hold names, in lower case, all of as many rows."""

    ids: pa.ChunkedArray
    columns: Sequence[pa.ChunkedArray]

    @classmethod
    def of(cls, items: pa.Table) -> Self:
        """Of a table with the catalogue's columns."""
        if items.num_rows > MOST_ITEMS:
            return cls(items.column("id"), ())
        attributes = items.column("attributes")
        titles = [pc.map_lookup(attributes, pa.scalar(name), "first") for name in NAMES]
        told = [column for column in (items.column("caption"), *titles) if column.null_count < len(column)]
        return cls(items.column("id"), [pc.utf8_lower(pc.utf8_trim_whitespace(column)) for column in told])

    def rows_of(self, ids: Collection[str]) -> list[int]:
        """Where these items stand in the table; none of one that it does not have."""
        mask = pc.is_in(self.ids, value_set=pa.array(list(ids), pa.string()))
        return np.flatnonzero(mask.to_numpy()).tolist()

    def ids_in(self, text: str, words: Sequence[Word]) -> list[str]:
        """The items that a text names, those by their id before those by their name."""
        found = _matching(self.ids, self.ids, _ids_of(text))
        asked = _names_of(text, words[:MOST_ASKED])
        for column in self.columns:
            found += _matching(self.ids, column, asked)
        return list(dict.fromkeys(found))[:MOST_FOUND]


def _matching(ids: pa.ChunkedArray, column: pa.ChunkedArray, wanted: Sequence[str]) -> list[str]:
    if not wanted:
        return []
    mask = pc.is_in(column, value_set=pa.array(wanted, pa.string()))
    rows = np.flatnonzero(mask.to_numpy())[:MOST_FOUND]
    return ids.take(pa.array(rows)).to_pylist()


def _ids_of(text: str) -> list[str]:
    """What may be an id: the whole text; of what has a digit, what stands between blanks, ends a link, or stands
    between other signs.
    """
    apart = text.split(maxsplit=MOST_ASKED)[:MOST_ASKED]
    bare = [part.strip("\"'“”„.,;:!?()<>#") for part in apart]
    inner = [piece for part in apart for piece in re.split(r"[^\w-]+", part)[:MOST_ASKED]]
    linked = [unquote(part.rpartition("/")[2]) for part in bare if "/" in part]
    told = [one for one in (*bare, *linked, *inner) if re.search(r"\d", one)]
    return list(dict.fromkeys(one for one in (text.strip(" .!?\n"), *told) if LEAST_ID_CHARS <= len(one) <= 256))


def _names_of(text: str, words: Sequence[Word]) -> list[str]:
    """What may be a name, in lower case: all that is asked for, and any few words of a sentence."""
    start, end = 0, len(words)
    around = lexicon("names", "around")
    while start < end and (words[start].parts or words[start].said in around):
        start += 1
    while end > start and (words[end - 1].parts or words[end - 1].said in around):
        end -= 1
    if start == end:
        return []
    lower = text.lower() if len(text.lower()) == len(text) else text
    whole = (start, start - 1) if start and words[start - 1].said in ARTICLES else (start,)
    names = {lower[words[first].start : words[end - 1].end] for first in whole}
    told = [not (word.parts or word.said in around) for word in words]
    owned = owned_places(words)
    for first in range(len(words)):
        for last in range(first + LEAST_NAME, min(len(words), first + LONGEST_NAME) + 1):
            if owned[first]:
                break
            beside = sum(told) - sum(told[first:last])
            if words[first].said in ARTICLES and last - first == LEAST_NAME:
                continue
            if beside <= MOST_BESIDE or last - first >= LONG_NAME or _quoted(words, first, last):
                names.add(lower[words[first].start : words[last - 1].end])
    return sorted(names)


def _quoted(words: Sequence[Word], first: int, last: int) -> bool:
    return first > 0 and last < len(words) and words[first - 1].said in QUOTES and words[last].said in QUOTES
