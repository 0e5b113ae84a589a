"""What a conversation says of products that it has shown: whether they may come again.

Who narrows a wish (`in black`) may be answered by what was among the products before; who asks for more, or for others,
is not, nor is who compares (`shorter`), and what was turned down does not come again. Knows no catalogue.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from fromage_model.understanding.comparing import comparisons_in
from fromage_model.understanding.words import Word, lexicon, phrases, stands, words_of

REACH = 3
"""Words between a dislike and what is disliked: I don't like the look of them."""


@dataclass(frozen=True)
class Shown:
    """Ids of products shown before the last message. `gone` are not to come for it; `again` may, if they fit best."""

    gone: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()


def shown_by(turns: Iterable[str | Collection[str]]) -> Shown:
    """A conversation's turns in order: a user's text, or the ids that a reply showed."""
    gone, again = set[str](), set[str]()
    others = False
    for turn in turns:
        if not isinstance(turn, str):
            again.update(turn)
            others = False
            continue
        words = words_of(turn)
        if turns_down(words):
            gone |= again
            again.clear()
        others |= asks_for_others(words)
    return Shown(frozenset(gone | again), frozenset()) if others else Shown(frozenset(gone), frozenset(again - gone))


def turns_down(words: Sequence[Word]) -> bool:
    """Whether a text says that what was shown is not wanted: `not these`, `I don't like them`."""
    for place in range(len(words)):
        if any(stands(words, place, phrase) for phrase in phrases("others", "turned_down")):
            return True
        for phrase in phrases("others", "disliked"):
            behind = place + len(phrase)
            if stands(words, place, phrase) and any(
                word.said in lexicon("others", "shown") for word in words[behind : behind + REACH + 1]
            ):
                return True
    return False


def asks_for_others(words: Sequence[Word]) -> bool:
    """Whether a text asks for what was not shown yet: `what else is there?`, `a few more please`, `cheaper ones`."""
    if any(comparisons_in(words)):
        return True
    for place, word in enumerate(words):
        if any(stands(words, place, phrase) for phrase in phrases("others", "asked")):
            return True
        ends = place + 1 == len(words) or words[place + 1].parts
        if word.said in lexicon("others", "more") and (ends or words[place + 1].said in lexicon("others", "of_them")):
            return not (place and words[place - 1].said in lexicon("others", "no_more"))
    return False


def goes_with(words: Sequence[Word]) -> bool:
    """Whether a text asks for something else beside what was shown: `shoes to wear with it`, `to match those`, `and
    something for my hands`.
    """
    if any(stands(words, place, phrase) for phrase in phrases("topic", "beside") for place in range(len(words))):
        return True
    shown = lexicon("others", "shown") | lexicon("owned", "these")
    for place, word in enumerate(words[:-1]):
        before = {one.said for one in words[max(0, place - 3) : place]}
        if word.said == "with" and before & lexicon("owned", "goes") and words[place + 1].said in shown:
            return True
        if word.said in lexicon("owned", "matches") and words[place + 1].said in shown:
            return True
    return False
