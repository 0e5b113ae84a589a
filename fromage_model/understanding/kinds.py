"""Kinds of things by what people call them: one or several, by the last word (`boots` of ankle boots), by another name.

A plural is known by its ending alone, which is enough to tell whether two words are of one thing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fromage_model.understanding.words import Word, longest_at, phrases_of

Calls = tuple[str, ...]
PLURALS = (("ies", "y"), ("ie", "y"), ("ves", "f"), ("ve", "f"))
AFTER_ES = ("ss", "sh", "ch", "x", "z")


def stem(word: str) -> str:
    """What one and several of a thing have in common: `dress` of dresses, `beany` of beanie and beanies."""
    for ending, one in PLURALS:
        if word.endswith(ending) and len(word) > len(ending):
            return word.removesuffix(ending) + one
    if word.endswith("es") and word.removesuffix("es").endswith(AFTER_ES):
        return word.removesuffix("es")
    return word.removesuffix("s") if word.endswith("s") and not word.endswith("ss") else word


def calls_of(words: Calls) -> Iterator[Calls]:
    """What a thing of this name is called: so, by the end of its name, and as others call it; each stemmed."""
    for start in range(len(words)):
        yield stemmed(words[start:])
    for other in other_names("kind", words):
        yield stemmed(other)


def stemmed(words: Sequence[str]) -> Calls:
    return (*words[:-1], stem(words[-1]))


def other_names(role: str, words: Calls) -> Iterable[Calls]:
    """Of a kind, colour, pattern or material: what others call it who don't mean anything else."""
    for names in phrases_of(f"same_{role}"):
        if any(same(role, words, name) for name in names):
            yield from (name for name in names if name != words)


def same(role: str, one: Calls, other: Calls) -> bool:
    return stemmed(one) == stemmed(other) if role == "kind" else one == other


def kinds_in(words: Sequence[Word], kinds: Mapping[Calls, object], *, longest: int) -> Iterator[tuple[int, Calls]]:
    """The kinds that a text names, by their place and their key in `kinds`; none inside of another, or of a phrase that
    means something else (`short ones` are no shorts, and a bow `on top` is no top).
    """
    place = 0
    while place < len(words):
        if none := longest_at(words, place, "topic", "no_kinds"):
            place += none
            continue
        for length in range(min(longest, len(words) - place), 0, -1):
            key = stemmed([word.said for word in words[place : place + length]])
            if key in kinds:
                yield place, key
                place += length - 1
                break
        place += 1
