"""Values of columns said in words: `from Norden`, `in wool or cashmere`, `not black`, `size M`, `any colour`.

A value counts only where a word before it says that it is asked for, and what stands around it does not speak of
something else: of a thing that one has (`my coat in black`), or of a thing that the value only describes (`in black
jeans`). The rest is left to the retrieval embedding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from fromage_model.understanding.columns import Role
from fromage_model.understanding.vocabulary import Meaning, Vocabulary
from fromage_model.understanding.words import COMMA, Word, clauses_of, lexicon, longest_at, phrases, stands

Asks = Literal["is", "not", "any"]
AND = frozenset(("and", "or", "nor", COMMA))
ARTICLES = frozenset(("a", "an", "the", "some", "its", "those"))


@dataclass(frozen=True)
class Statement:
    """That a column is to hold one of the cells, or none of them, or whatever it likes."""

    column: str
    asks: Asks
    cells: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """Values that stand together, and the place behind them."""

    meanings: tuple[Meaning, ...]
    end: int


def statements_in(words: Sequence[Word], vocabulary: Vocabulary) -> Iterator[Statement]:
    """What a text says of columns, in its order."""
    owned = owned_places(words)
    place = 0
    while place < len(words):
        found = (
            _whatever(words, place, vocabulary)
            or _negation(words, place, vocabulary)
            or _by_name(words, place, vocabulary, owned=owned[place])
            or (None if owned[place] else _of_brand(words, place, vocabulary) or _of_value(words, place, vocabulary))
        )
        if found is None:
            place += 1
            continue
        statements, place = found
        yield from statements


def mentions(words: Sequence[Word], vocabulary: Vocabulary) -> list[str]:
    """The brands that a text names, in whatever way but as something that one has or does not want."""
    brands: list[str] = []
    for place, listed in wanted_values(words, vocabulary, ("brand",)):
        if not _unsure(words, place, listed.meanings[0]):
            brands += listed.meanings[0].cells
    return list(dict.fromkeys(brands))


def wanted_values(
    words: Sequence[Word], vocabulary: Vocabulary, roles: tuple[Role, ...]
) -> Iterator[tuple[int, Listed]]:
    """Values of these roles with their places, but for those of something that one has or does not want."""
    owned = owned_places(words)
    for place in range(len(words)):
        if is_wanted(words, place) and not owned[place]:
            for listed in _values(words, place, vocabulary, roles):
                yield place, listed


def is_wanted(words: Sequence[Word], place: int) -> bool:
    """Whether no word shortly before, in the same sentence, says the contrary; `no, a red one` does not."""
    for at in range(place - 1, max(0, place - 3) - 1, -1):
        if words[at].stops or (words[at].said == "but" and not is_but(words, at)):
            return True
        if words[at].said in lexicon("values", "not") and not (words[at].said == "no" and words[at + 1].parts):
            return False
    return True


def is_but(words: Sequence[Word], place: int) -> bool:
    """Whether what stands behind is left out of all the rest: `anything but`, `any colour but`."""
    before = [word.said for word in words[max(0, place - 2) : place]]
    every = before[-1:] and before[-1] in ("anything", "everything", "all")
    return words[place].said == "but" and bool(every or (len(before) == 2 and before[0] in ("any", "every", "all")))


def is_detail(words: Sequence[Word], place: int) -> bool:
    """Whether it is said of a thing that it comes with what stands there: `with a belt`."""
    before = [word.said for word in words[max(0, place - 2) : place]]
    return before[-1:] == ["with"] or (before[:1] == ["with"] and before[-1] in ARTICLES)


Found = tuple[list[Statement], int] | None


def _of_brand(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Found:
    """`from Norden or Bluebark`; in Korean `Norden 제품`."""
    if words[place].said in lexicon("values", "brand"):
        if place and words[place - 1].said in lexicon("owned", "states") | lexicon("owned", "these"):
            return None
        listed = _list(words, place + 1, vocabulary, ("brand",))
        if listed and not any(_unsure(words, place + 1, meaning) for meaning in listed.meanings):
            return _statements(listed.meanings, "is"), listed.end
        return None
    for listed in _values(words, place, vocabulary, ("brand",)):
        if listed.end < len(words) and words[listed.end].said.startswith(tuple(lexicon("values", "korean_brand"))):
            return _statements(listed.meanings, "is"), listed.end + 1
    return None


def _of_value(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Found:
    """`in blue`, `in soft wool`, `made of wool or cashmere`, `real leather`."""
    made = next((len(phrase) for phrase in phrases("values", "made") if stands(words, place, phrase)), 0)
    said = words[place].said
    roles: tuple[Role, ...] = ("colour", "pattern", "material") if said == "in" else ("material",)
    start = place + (made or 1)
    if said in lexicon("values", "true") and place and not words[place - 1].parts:
        return None
    if (not made and said not in lexicon("values", "value") | lexicon("values", "true")) or (
        place and words[place - 1].said in lexicon("owned", "states")
    ):
        return None
    listed = _list(words, start, vocabulary, roles)
    if not listed and said not in lexicon("values", "true"):
        listed = _described(words, start, vocabulary)
    if not listed or not ends_there(words, listed.end):
        return None
    return _statements(listed.meanings, "is"), listed.end


def _described(words: Sequence[Word], start: int, vocabulary: Vocabulary) -> Listed | None:
    """A material behind one or two words that say how it is, and not that it only looks so."""
    never = lexicon("values", "fake") | lexicon("values", "follows") | lexicon("owned", "possessives") | {"the"}
    for skipped in (1, 2):
        between = words[start : start + skipped]
        if any(word.parts or word.said in never for word in between):
            return None
        if listed := _list(words, start + skipped, vocabulary, ("material",)):
            return listed
    return None


def _negation(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Found:
    """`not black`, `no leather or suede`, `anything but wool`, `nothing from Norden`, `leather-free`, `I hate pink`."""
    said = words[place].said
    if said.endswith("-free"):
        bare = vocabulary.meanings.get((said.removesuffix("-free"),), ())
        kept = [meaning for meaning in bare if meaning.role == "material"]
        return (_statements(kept, "not"), place + 1) if kept else None
    against = longest_at(words, place, "values", "against")
    if not (against or said in lexicon("values", "not") or is_but(words, place)) or (
        place and words[place - 1].said in lexicon("values", "no_negation")
    ):
        return None
    start = place + (against or 1)
    while start < len(words) and start <= place + 3 and words[start].said in lexicon("values", "not_fillers"):
        start += 1
    listed = _list(words, start, vocabulary, ("colour", "material", "pattern", "brand"))
    if not listed or any(_unsure(words, start, meaning) for meaning in listed.meanings):
        return None
    columns = {meaning.column for meaning in listed.meanings}
    if len(columns) > 1 and not any(word.said in AND for word in words[start : listed.end]):
        # `not plain black` lets plain things through, and black ones.
        return None
    return _statements(listed.meanings, "not"), listed.end


def _by_name(words: Sequence[Word], place: int, vocabulary: Vocabulary, *, owned: bool) -> Found:
    """`size M`, `colour: blue`: a column by its name, and a value of it."""
    for length in (3, 2, 1):
        name = tuple(word.said for word in words[place : place + length])
        column = vocabulary.columns.get(name)
        if column is None:
            continue
        start = place + length
        start += start < len(words) and words[start].said in (":", "=", "is")
        for listed in _values(words, start, vocabulary, None):
            kept = [meaning for meaning in listed.meanings if meaning.column == column]
            if kept and not (owned and kept[0].role != "other"):
                return _statements(kept, "is"), listed.end
    return None


def _whatever(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Found:
    """`any colour`, `regardless of the price`, `the brand doesn't matter`."""
    for phrase in phrases("values", "any"):
        if stands(words, place, phrase):
            start = place + len(phrase)
            start += start < len(words) and words[start].said in ("the", "about", "what")
            start += start < len(words) and words[start].said == "the"
            for column, end in _named(words, start, vocabulary):
                return [Statement(column, "any")], end
    for column, end in _named(words, place, vocabulary):
        for phrase in phrases("values", "no_matter"):
            if stands(words, end, phrase):
                return [Statement(column, "any")], end + len(phrase)
    return None


def _named(words: Sequence[Word], place: int, vocabulary: Vocabulary) -> Iterator[tuple[str, int]]:
    """The columns that are called by name there, and the place behind."""
    if vocabulary.price and place < len(words) and words[place].said in lexicon("prices", "called"):
        yield vocabulary.price.column, place + 1
    for length in (3, 2, 1):
        column = vocabulary.columns.get(tuple(word.said for word in words[place : place + length]))
        if column is not None:
            yield column, place + length


def _list(words: Sequence[Word], place: int, vocabulary: Vocabulary, roles: tuple[Role, ...]) -> Listed | None:
    """`wool`, `wool or cashmere`, `red, blue and green`, `navy blue`, `black wool`; none where one of several that are
    said with `or` is no value: it would be left out.
    """
    found: list[Meaning] = []
    end = place
    while True:
        listed = next(_values(words, end, vocabulary, roles), None)
        if listed is None:
            break
        before = found[-1] if found else None
        joined = end == place or words[end - 1].said in AND
        # `navy blue` is navy, and `black wool` black and of wool; a word of two columns is of the first.
        meaning = listed.meanings[0]
        found += [meaning] if joined or not before or meaning.column != before.column else []
        end = listed.end
        ahead = end
        while ahead < len(words) and words[ahead].said in AND and ahead < end + 2:
            ahead += 1
        if ahead > end and next(_values(words, ahead, vocabulary, roles), None) is None:
            return None if words[ahead - 1].said == "or" and roles != ("brand",) else Listed(tuple(found), end)
        end = ahead
    return Listed(tuple(found), end) if found else None


def _values(
    words: Sequence[Word], place: int, vocabulary: Vocabulary, roles: tuple[Role, ...] | None
) -> Iterator[Listed]:
    """The longest value of these roles that stands there, and then shorter ones."""
    for length in range(min(vocabulary.longest, len(words) - place), 0, -1):
        said = tuple(word.said for word in words[place : place + length])
        meanings = vocabulary.meanings.get(said, ())
        kept = [meaning for meaning in meanings if roles is None or meaning.role in roles]
        if kept:
            yield Listed(tuple(kept), place + length)


def _statements(meanings: Sequence[Meaning], asks: Asks) -> list[Statement]:
    """One for each column, with all its cells."""
    columns: dict[str, list[str]] = {}
    for meaning in meanings:
        columns.setdefault(meaning.column, []).extend(meaning.cells)
    return [Statement(column, asks, tuple(dict.fromkeys(cells))) for column, cells in columns.items()]


def ends_there(words: Sequence[Word], place: int) -> bool:
    """Whether nothing follows that the value would only describe."""
    return place >= len(words) or words[place].parts or words[place].said in lexicon("values", "follows")


def owned_places(words: Sequence[Word]) -> list[bool]:
    """For each word whether its clause speaks, before it, of something that is there already."""
    owned: list[bool] = []
    own = goes = False
    introducing = lexicon("values", "brand") | lexicon("values", "value") | {""}
    clauses = clauses_of(words)
    for place, word in enumerate(words):
        before = words[place - 1].said if place else ""
        after = words[place + 1].said if place + 1 < len(words) else ""
        if place and clauses[place] != clauses[place - 1]:
            own = goes = False
        owned.append(own)
        goes |= word.said in lexicon("owned", "goes")
        own |= word.said in lexicon("owned", "possessives") and before != "for" and after not in introducing
        own |= word.said in lexicon("owned", "verbs") and before in lexicon("owned", "owners")
        own |= word.said in lexicon("owned", "always") or (word.said == "with" and goes)
    return owned


def _unsure(words: Sequence[Word], place: int, meaning: Meaning) -> bool:
    """Whether a brand that is a common word too is not written as a name."""
    return meaning.common and not any(words[place].raw == cell.split()[0] for cell in meaning.cells)
