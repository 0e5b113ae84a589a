"""Words for what an attribute says: the wardrobe's where it knows the value, else the value itself. Knows no items."""

import random
import re
from collections.abc import Mapping

from fromage_model.catalogue.wardrobe.choose import kinds
from fromage_model.catalogue.wardrobe.look import data
from jobs.finetune.examples.answering import Asked

PLAIN = "plain"
OTHER_WORDS = 0.3
# Said as "a", though they begin with a vowel's letter.
CONSONANT = re.compile(r"(one-|uni|used|euro)")


def kind_word(kind: str, draw: random.Random) -> str:
    """One of its names, the first most often."""
    words = kinds().get(kind, {}).get("words", [kind])
    return draw.choice(words) if draw.random() < OTHER_WORDS else words[0]


def colour_word(colour: str, draw: random.Random) -> str:
    cloth = data("cloth")
    said = (cloth["colours"].get(colour) or cloth["metals"].get(colour) or {"said": []})["said"]
    return draw.choice([*said, colour]) if draw.random() < OTHER_WORDS else colour


def pattern_word(pattern: str, draw: random.Random | None = None) -> str:
    """As an adjective; nothing for what has none."""
    if pattern == PLAIN:
        return ""
    words = data("sayings")["patterns"].get(pattern, {}).get("adjectives", [pattern])
    return words[0] if draw is None else draw.choice(words)


def cut_words(facts: Mapping[str, str]) -> list[tuple[str, tuple[str, str]]]:
    """For each choice of cut that can be said: its adjective and its phrase after `with`, either of them empty."""
    found = []
    for name, value in facts.items():
        words = data("cuts").get(name, {}).get(value, {})
        phrase = words.get("phrase", "")
        said = (words.get("adjective", ""), "" if "{" in phrase else phrase)
        if any(said):
            found.append((name, said))
    return found


def told_cuts(caption: str, facts: Mapping[str, str]) -> Asked:
    """The choices of cut that a caption names."""
    said = [(name, [word for word in words if word]) for name, words in cut_words(facts)]
    told = [
        name for name, words in said if any(re.search(rf"(?<![\w-]){re.escape(w)}(?![\w-])", caption) for w in words)
    ]
    return tuple(one(name, facts[name])[0] for name in told)


def plural(word: str) -> str:
    if word.endswith("s") and not word.endswith("ss"):
        return word
    if word.endswith("f"):
        return f"{word[:-1]}ves"
    return word + ("es" if word.endswith(("ss", "ch", "sh", "x")) else "s")


def article(text: str, kind: str) -> str:
    """With `a`, `an`, or `a pair of`."""
    if kinds().get(kind, {}).get("pair"):
        return f"a pair of {text}"
    vowel = text[:1].lower() in "aeiou" and not CONSONANT.match(text)
    return f"{'an' if vowel else 'a'} {text}"


def spaced(*words: str) -> str:
    return " ".join(word for word in words if word)


def one(name: str, value: str) -> Asked:
    """What asks for one attribute alone."""
    return ((name, frozenset({value})),)


def joined(asked: Asked, more: Asked) -> Asked:
    """Both; of an attribute that both name, what is said later."""
    return tuple(sorted((dict(asked) | dict(more)).items()))
