"""What a conversation describes its things by: kind, colour, pattern, material, cuts, and where they are worn. What
meets it comes sooner.

It is no filter: `a red dress` may well be answered by one in burgundy, and what people call a dress is not always what
a catalogue calls so. But where a catalogue says of an item that it is red and a dress, that counts beside what models
see.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fromage_model.index.conditions import NOT, Condition
from fromage_model.index.filters import ATTRIBUTE
from fromage_model.understanding.columns import Role
from fromage_model.understanding.comparing import Comparison
from fromage_model.understanding.kinds import kinds_in, stem, stemmed
from fromage_model.understanding.orders import Ordered
from fromage_model.understanding.values import ends_there, is_detail, is_wanted, owned_places, wanted_values
from fromage_model.understanding.vocabulary import Meaning, Vocabulary, noun_of
from fromage_model.understanding.words import Word, lexicon, spelled
from fromage_model.understanding.worn import parts_in

Cells = Mapping[str, tuple[str, ...]]
DESCRIBING: tuple[Role, ...] = ("colour", "pattern", "material")


@dataclass(frozen=True)
class Preference:
    """What an item should have in one of these columns: one of the cells. `of`: a role, `worn`, or a column's name."""

    of: str
    cells: Cells


def wanted_in(words: Sequence[Word], vocabulary: Vocabulary) -> list[Preference]:
    """What one text describes its things by, but for what one has, or does not want."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for meaning in (*_kinds(words, vocabulary), *_looks(words, vocabulary), *_cuts(words, vocabulary)):
        columns = found.setdefault(meaning.column if meaning.role == "other" else meaning.role, {})
        columns[meaning.column] = tuple(dict.fromkeys((*columns.get(meaning.column, ()), *meaning.cells)))
    if "kind" not in found and (worn := tuple(parts_in(words, vocabulary.worn))):
        found["worn"] = {vocabulary.worn_column: tuple(dict.fromkeys(cell for cells in worn for cell in cells))}
    return [Preference(of, cells) for of, cells in found.items()]


def compared(
    comparison: Comparison, orders: Sequence[Ordered], shown: Sequence[Mapping[str, str]]
) -> Preference | None:
    """What comes of a comparison with the cells, by column, of the products that were shown: in the column that is
    named, or else in that of which most of them say something. None where these say nothing, or nothing lies beyond.
    """
    columns = [one for one in orders if one.measure in comparison.measures]
    name = stemmed(comparison.named) if comparison.named else ()
    named = [one for one in columns if stemmed(spelled(one.column.removeprefix(ATTRIBUTE))) == name]
    told = {one.column: [cells[one.column] for cells in shown if cells.get(one.column) in one.ranks] for one in columns}
    for one in sorted(named or columns, key=lambda one: -len(told[one.column])):
        if beyond := one.beyond(told[one.column], more=comparison.more):
            return Preference(one.column, {one.column: beyond})
    return None


def left_by(filters: Mapping[str, Condition], cells: Cells) -> Cells:
    """What is left to prefer among items that pass the filters: nothing where one tells which cells there are."""
    if any(column in filters and not is_negated(filters[column]) for column in cells):
        return {}
    out = {column: left_out(filters.get(column)) for column in cells}
    left = {column: tuple(cell for cell in own if cell not in out[column]) for column, own in cells.items()}
    return {column: own for column, own in left.items() if own}


def is_negated(condition: Condition) -> bool:
    return isinstance(condition, Mapping) and NOT in condition


def left_out(condition: Condition) -> list[str]:
    """The cells that a condition leaves out by name."""
    return texts_of(condition[NOT]) if isinstance(condition, Mapping) and NOT in condition else []


def texts_of(values: object) -> list[str]:
    listed = values if isinstance(values, list | tuple) else [values]
    return [value for value in listed if isinstance(value, str)]


def has(cells: Mapping[str, str], preference: Preference) -> bool:
    """Whether an item with these cells, by column, is as preferred."""
    return any(cells.get(column) in wanted for column, wanted in preference.cells.items())


def is_other(kind: Preference, than: Preference, vocabulary: Vocabulary) -> bool:
    """Whether a kind is another one than that which was spoken of before: `skirt` than `dresses`, `boots` than `bags`;
    not `cardigan` than `knitwear`, which some item is both of.
    """
    pairs = {
        frozenset(((column, cell), (other, told)))
        for column, cells in kind.cells.items()
        for cell in cells
        for other, tolds in than.cells.items()
        for told in tolds
    }
    return not any(len(pair) == 1 or pair in vocabulary.together for pair in pairs)


def _kinds(words: Sequence[Word], vocabulary: Vocabulary) -> Iterator[Meaning]:
    owned = owned_places(words)
    for place, key in kinds_in(words, vocabulary.kinds, longest=vocabulary.longest):
        if is_wanted(words, place) and not owned[place] and not is_detail(words, place):
            yield from vocabulary.kinds[key]


def _looks(words: Sequence[Word], vocabulary: Vocabulary) -> Iterator[Meaning]:
    for _, listed in wanted_values(words, vocabulary, DESCRIBING):
        yield from listed.meanings


def _cuts(words: Sequence[Word], vocabulary: Vocabulary) -> Iterator[Meaning]:
    """Of other columns values of several words (`block heel`), and others beside a column's name (`wide leg`)."""
    for place, listed in wanted_values(words, vocabulary, ("other",)):
        near = {stem(word.said) for word in (*words[max(0, place - 2) : place], *words[listed.end : listed.end + 2])}
        for meaning in listed.meanings:
            named = stem(noun_of(meaning.column)) in near
            said = words[place : listed.end]
            distinct = len(said) > 1 or "-" in said[0].said or said[0].said in lexicon("values", "cuts")
            if named or distinct or (is_detail(words, place) and ends_there(words, listed.end)):
                yield meaning
