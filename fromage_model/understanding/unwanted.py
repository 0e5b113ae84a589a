"""Kinds of things that a text does not want: `no jewellery`, `anything but dresses`, and those that it asks something
to go with: `what can I wear with black jeans?` is no wish for jeans.
"""

from collections.abc import Iterable, Iterator, Sequence

from fromage_model.understanding.kinds import Calls, kinds_in
from fromage_model.understanding.values import AND, ARTICLES, Statement, ends_there, is_but
from fromage_model.understanding.vocabulary import Meaning, Vocabulary
from fromage_model.understanding.words import COMMA, Word, clauses_of, lexicon, longest_at

MOST_FILLERS = 3


def kinds_unwanted(words: Sequence[Word], vocabulary: Vocabulary) -> list[Statement]:
    """One statement for each column that tells kinds."""
    kinds = dict(kinds_in(words, vocabulary.kinds, longest=vocabulary.longest))
    unwanted = [vocabulary.kinds[kinds[place]] for place in _negated(words, kinds)]
    return _statements(meaning for meanings in unwanted for meaning in meanings)


def kinds_gone_with(words: Sequence[Word], vocabulary: Vocabulary) -> list[Statement]:
    """Of a text that asks what goes with something: the kind of that, and the department that it is in."""
    kinds = dict(kinds_in(words, vocabulary.kinds, longest=vocabulary.longest))
    beside = _gone_with(words)
    found = [meaning for place, key in kinds.items() if beside[place] for meaning in vocabulary.kinds[key]]
    own = {(meaning.column, cell) for meaning in found for cell in meaning.cells}
    others = {cell for pair in vocabulary.together if pair & own for cell in pair - own}
    coarse = [(column, cell) for column, cell in others if not _finer(column, found)]
    return _statements([*found, *(Meaning(column, "kind", (cell,)) for column, cell in sorted(coarse))])


def _finer(column: str, found: Sequence[Meaning]) -> bool:
    """Whether it is the column that something was called by: trousers are not all that is in their department."""
    return any(meaning.column == column for meaning in found)


def _negated(words: Sequence[Word], kinds: dict[int, Calls]) -> Iterator[int]:
    """The places of kinds of which a text says that they are not wanted."""
    for place, word in enumerate(words):
        before = words[place - 1].said if place else ""
        against = longest_at(words, place, "values", "against")
        negates = word.said in lexicon("values", "not") - {"without"} and before not in lexicon("values", "no_negation")
        if not (against or is_but(words, place) or (negates and before not in lexicon("values", "there_is"))):
            continue
        start = place + (against or 1)
        last = start + MOST_FILLERS
        while start < min(len(words), last) and words[start].said in lexicon("values", "not_fillers") - {"the"}:
            start += 1
        while start in kinds and ends_there(words, end := start + len(kinds[start])):
            yield start
            start = end
            while start < len(words) and words[start].said in AND | lexicon("values", "not"):
                start += 1
            # `no boots or a scarf`; but `no boots, a scarf` is a wish.
            start += start < len(words) and words[start].said in ARTICLES and words[start - 1].said in AND - {COMMA}


def _gone_with(words: Sequence[Word]) -> list[bool]:
    """For each word whether it stands, in its clause, behind what asks for things that go with something."""
    clauses = clauses_of(words)
    found: list[bool] = []
    gone = goes = False
    for place, word in enumerate(words):
        if place and clauses[place] != clauses[place - 1]:
            gone = goes = False
        found.append(gone)
        goes |= word.said in lexicon("owned", "goes")
        gone |= (word.said == "with" and goes) or word.said in lexicon("owned", "matches")
    return found


def _statements(meanings: Iterable[Meaning]) -> list[Statement]:
    columns: dict[str, list[str]] = {}
    for meaning in meanings:
        columns.setdefault(meaning.column, []).extend(meaning.cells)
    return [Statement(column, "not", tuple(dict.fromkeys(cells))) for column, cells in columns.items()]
