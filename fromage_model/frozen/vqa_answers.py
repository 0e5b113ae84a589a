"""Answers of visual question answering as VQA's evaluation compares them, and how much each counts. Knows no files.

The rules are those of the evaluation that VQAv2 is measured with (https://visualqa.org/evaluation.html), slips
included: figures compare only where answers were brought into form by the same rules.
"""

import re
from collections import Counter
from collections.abc import Iterable

ARTICLES = frozenset(("a", "an", "the"))
UP_TO_TEN = "zero one two three four five six seven eight nine ten"
NUMBERS = {word: str(number) for number, word in enumerate(UP_TO_TEN.split())} | {"none": "0"}
# Not the colon and the apostrophe, which mean something in times and in contractions.
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
GROUPED_DIGITS = re.compile(r"\d,\d")
# The evaluation means to spare the point of "1." too, but its expression looks only at what follows.
POINT = re.compile(r"\.(?!\d)")
# What is written where an apostrophe is forgotten. "I'm" and its like are not among them: words are in small letters.
CONTRACTED = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd've he's
    how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've mustn't needn't not've
    o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
    someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
    what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've
    wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll you're you've he'd
"""
MEANT = {
    word[:place] + word[place + 1 :]: word
    for word in CONTRACTED.split()
    for place in (found.start() for found in re.finditer("'", word))
} | {"somebody'd": "somebodyd"}


def normalise_answer(text: str) -> str:
    """An answer in the form in which answers are compared: small letters, digits for numbers up to ten, no article.

    Punctuation becomes a space, or nothing where the text has the same mark beside a space or a number such as 1,000.
    """
    text = text.replace("\n", " ").replace("\t", " ").strip()
    grouped = GROUPED_DIGITS.search(text) is not None
    bare = text
    for mark in PUNCTUATION:
        bare = bare.replace(mark, "" if grouped or f"{mark} " in text or f" {mark}" in text else " ")
    words = (NUMBERS.get(word, word) for word in POINT.sub("", bare).lower().split())
    return " ".join(MEANT.get(word, word) for word in words if word not in ARTICLES)


def soft_score(count: int) -> float:
    """What an answer is worth as a training target that `count` of the people asked gave: min(1, 0.3 count)."""
    return min(10, 3 * count) / 10


def soft_scores(answers: Iterable[str]) -> dict[str, float]:
    """Each distinct answer, normalised, in the order of its first, with its `soft_score`; empty ones are left out."""
    counts = Counter(normalise_answer(answer) for answer in answers)
    return {answer: soft_score(count) for answer, count in counts.items() if answer}
