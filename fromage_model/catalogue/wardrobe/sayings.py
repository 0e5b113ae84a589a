"""How a look is said: title, captions in several wordings, a description. Words are data, in `data/sayings.toml`."""

import random
import re
from collections.abc import Sequence

from fromage_model.catalogue.wardrobe.choose import Kind, kinds
from fromage_model.catalogue.wardrobe.draw.cloth import PLAIN
from fromage_model.catalogue.wardrobe.look import Look, data

OTHER_WORDS = 0.18
VOWELS = tuple("aeiouAEIO")
# Said as "a", though they begin with a vowel's letter.
CONSONANT = re.compile(r"^(one-|uni|used|euro)")


def title(look: Look) -> str:
    """A name for a card: colour, pattern and kind, e.g. `Navy striped T-shirt`."""
    pattern = "" if look.pattern == PLAIN else data("sayings")["patterns"][look.pattern]["adjectives"][0]
    text = _tidy(f"{look.colour} {pattern} {look.kind}")
    return text[0].upper() + text[1:]


def captions(look: Look, brand: str, dice: random.Random) -> list[str]:
    """Several wordings of the same truth; the first says most."""
    kind = kinds()[look.kind]
    templates = data("sayings")["captions"]
    said = [_said(dice.choice(templates[name]), look, kind, brand, dice) for name in ("full", "short", "other")]
    return list(dict.fromkeys(said))


def description(look: Look, brand: str, occasions: Sequence[str], dice: random.Random) -> str:
    """What it is, what it is for, when one wears it; a few sentences."""
    kind = kinds()[look.kind]
    what = _said("{a} {cut} {look} {noun} with {with}", look, kind, brand, dice, exact=True)
    made = data("sayings")["made"].get(look.material, f"Made of {look.material}.")
    use = kind["use"][0].upper() + kind["use"][1:]
    told = [data("sayings")["occasions"].get(one, one) for one in occasions[:4]]
    goes = told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
    return f"{what[0].upper()}{what[1:]}. {made} {use}. Good for {goes}. By {brand}."


def _said(template: str, look: Look, kind: Kind, brand: str, dice: random.Random, *, exact: bool = False) -> str:
    """A template with its places filled."""
    pattern, phrase = _pattern(look, dice)
    material = _material(look, dice, exact=exact)
    colours = _colours(look, dice, exact=exact)
    adjectives, phrases = _cut(look, dice)
    noun = kind["words"][0] if exact or dice.random() > OTHER_WORDS else dice.choice(kind["words"])
    kept = phrases if exact else phrases[: dice.choice((1, 1, 2, 2, 3))]
    if "{phrase}" in template:
        named = phrase or (
            f"with {phrases[0]}"
            if phrases
            else f"in {look.material}"
            if look.material != "metal"
            else f"of {look.colour}"
        )
        template = template.replace(
            "{phrase}", named if phrase is None or named.startswith(("with", "in", "of")) else f"with {named}"
        )
    in_it = "" if look.material == "metal" else look.material
    if "in {colours} {material}" in template and look.pattern != PLAIN:
        template = template.replace("{cut} {noun}", "{cut} {pattern} {noun}")
    filled = {
        "a": "a pair of" if kind.get("pair") else "a",
        "cut": " ".join(adjectives),
        "look": f"{colours} {pattern} {material}",
        "colours": colours,
        "pattern": pattern,
        "material": in_it,
        "noun": noun,
        "brand": brand,
        "with": _listed(kept),
    }
    return _tidy(template.format(**filled))


def _colours(look: Look, dice: random.Random, *, exact: bool) -> str:
    """`navy and white` for a pattern of two colours, else the colour, sometimes by another of its names."""
    cloth = data("cloth")
    known = cloth["colours"].get(look.colour) or cloth["metals"][look.colour]
    colour = look.colour if exact or dice.random() > OTHER_WORDS else dice.choice([*known["said"], look.colour])
    if look.pattern != PLAIN and look.second and (exact or dice.random() < 0.7):
        return f"{colour} and {look.second}"
    return colour


def _pattern(look: Look, dice: random.Random) -> tuple[str, str | None]:
    """The pattern before the noun, and as a phrase with its colour."""
    if look.pattern == PLAIN:
        return "", None
    words = data("sayings")["patterns"][look.pattern]
    return dice.choice(words["adjectives"]), f"with {dice.choice(words['phrases']).format(second=look.second)}"


def _material(look: Look, dice: random.Random, *, exact: bool) -> str:
    words = data("sayings")["materials"].get(look.material, [look.material])
    return words[0] if exact else dice.choice(words)


def _cut(look: Look, dice: random.Random) -> tuple[list[str], list[str]]:
    """Adjectives and phrases for each choice of cut, and phrases for the details, in changing order."""
    adjectives: list[str] = []
    phrases: list[str] = []
    places = {"second": look.second or "", "metal": look.metal, "stone": look.second or "white"}
    said = data("sayings")
    for choice, option in look.cut.items():
        words = data("cuts")[choice][option]
        as_adjective = "adjective" in words and ("phrase" not in words or dice.random() < 0.5)
        if as_adjective and len(adjectives) < 2:
            adjectives.append(words["adjective"])
        elif "phrase" in words:
            phrases.append(words["phrase"].format(**places))
    details = [said["details"][detail].format(**places) for detail in look.details]
    dice.shuffle(details)
    return adjectives, details + phrases


def _listed(phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}" if phrases else ""


def _tidy(text: str) -> str:
    """Without the gaps of places that nothing filled; `an` before a vowel."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"( with)?\s*(?=$|,)", "", text)
    text = re.sub(r"\bwith (?=with)", "", re.sub(r" ?, ?,", ",", text))
    text = re.sub(r"\ba (?=\w)", lambda found: _article(text[found.end() :]), text)
    return text.strip(" ,")


def _article(rest: str) -> str:
    return "an " if rest.startswith(VOWELS) and not CONSONANT.match(rest) else "a "
