"""Garments in words: what items are that have a kind, a colour and a pattern, and what texts ask of them.

Chosen by the attributes that a catalogue has, not by its name; words for their values are the wardrobe's where it knows
them, else the values themselves. Every draw says which attributes it asks for, so that all items that have them count
as its answers.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fromage_model.catalogue import Item
from fromage_model.catalogue.wardrobe.choose import kinds
from fromage_model.catalogue.wardrobe.look import data
from fromage_model.prompts.messages import Message, Part
from jobs.finetune.examples import garment_wording as wording
from jobs.finetune.examples import garment_words as words
from jobs.finetune.examples.answering import Asked, Facts
from jobs.finetune.examples.people import People, Told
from jobs.finetune.examples.wording import picture_wishes

LOOK = ("kind", "colour", "pattern")
UNNAMED = 0.6
"""Share of the needs that are a situation in which nothing is asked for."""
SHORT = frozenset({"mini", "short", "cropped", "thigh-length", "knee-length", "ankle", "choker"})
LONG = frozenset({"midi", "maxi", "long", "full length", "knee-high", "Bermuda", "crew"})


@dataclass(frozen=True)
class Said:
    """A text of one item's: a caption, or messages; with what it asks for."""

    asked: Asked
    caption: str | None = None
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Shares:
    """How often a text is a person's; of others, a caption, a look, a need, a conversation; the rest is pictured."""

    people: float = 0.2
    captions: float = 0.3
    looks: float = 0.2
    needs: float = 0.24
    turns: float = 0.14


def are_garments(items: Sequence[Item]) -> bool:
    """Whether all have a kind, a colour and a pattern."""
    return bool(items) and all(name in item.attributes for item in items for name in LOOK)


class Garments:
    """Texts around items; `features`, (N, F), belong to them row by row."""

    def __init__(self, items: Sequence[Item], features: np.ndarray, *, shares: Shares = Shares()):
        self.items = items
        self.facts = Facts(items)
        self.people = People(self.facts)
        self._features = features
        self._shares = shares
        self._of_kind: dict[str, list[int]] = {}
        for number, item in enumerate(items):
            self._of_kind.setdefault(item.attributes["kind"], []).append(number)

    def draw(self, item: int, draw: random.Random) -> Said:
        """One text of an item, with a conversation or a picture before it where that is its form."""
        shares, place = self._shares, draw.random()
        if draw.random() < shares.people and (told := self.people.of(item)):
            return self._told(draw.choice(told), draw)
        for share, form in (
            (shares.captions, self.caption),
            (shares.looks, self.look),
            (shares.needs, self.need),
            (shares.turns, self.turns),
        ):
            if place < share:
                return form(item, draw)
            place -= share
        return self.pictured(item, draw)

    def told(self, draw: random.Random) -> list[tuple[int, Said]]:
        """Everything that people say whom some item serves, with a few of the items that do."""
        return [(item, self._told(told, draw)) for item, told in self.people.each(draw)]

    def plain(self, item: int) -> str:
        """`a red striped dress`: what a picture shows, in the fewest words."""
        facts = self.items[item].attributes
        return words.article(
            words.spaced(facts["colour"], words.pattern_word(facts["pattern"]), facts["kind"]), facts["kind"]
        )

    def caption(self, item: int, draw: random.Random) -> Said:
        """One that the catalogue has, or one of some of the attributes."""
        facts = self.items[item].attributes
        known = json.loads(facts.get("captions", "[]"))
        if known and draw.random() < 0.6:
            text = draw.choice(known)
            return Said(self._look_of(facts) + words.told_cuts(text, facts), caption=f"A picture of {text}.")
        what, asked = self._what(facts, draw, at_least_colour=True)
        return Said(asked, caption=f"A picture of {what}.")

    def look(self, item: int, draw: random.Random) -> Said:
        what, asked = self._what(self.items[item].attributes, draw)
        things = words.plural(self._kind(item, draw))
        form = draw.choice(wording.LOOK_WISHES)
        if "{what}" not in form:
            asked = self._only(item, "kind")
        return Said(asked, messages=_ask(form.format(what=what, things=things)))

    def need(self, item: int, draw: random.Random) -> Said:
        """By occasion, season, place on the body or use; of anything, a section, a kind, or a kind with its colour."""
        facts = self.items[item].attributes
        use = kinds().get(facts["kind"], {}).get("use")
        if draw.random() < UNNAMED and (situations := self._situations(item)):
            text, asked = draw.choice(situations)
            return Said(asked, messages=_ask(text))
        thing, bare, asked = self._thing(item, draw)
        if use and use.split()[0] in ("keeps", "holds", "carries", "goes", "adds") and draw.random() < 0.25:
            text = draw.choice(wording.USE_WISHES).format(thing=thing, use=use)
            return Said(words.joined(asked, self._only(item, "kind")), messages=_ask(text))
        need, for_it = self._need(item, draw)
        text = draw.choice(wording.NEED_WISHES).format(thing=thing, bare=bare, need=need)
        return Said(words.joined(asked, for_it), messages=_ask(text))

    def turns(self, item: int, draw: random.Random) -> Said:
        """Two or three turns: what is asked for adds up, and a colour said later takes the earlier one's place."""
        facts = self.items[item].attributes
        things = words.plural(self._kind(item, draw))
        what = words.article(self._kind(item, draw), facts["kind"])
        first = draw.choice(wording.FIRST_TURNS).format(things=things, what=what)
        messages = [*_ask(first)]
        asked = self._only(item, "kind")
        wishes = self._refinements(facts, draw)
        draw.shuffle(wishes)
        wishes = wishes[: draw.choice((1, 1, 2))]
        if wishes and draw.random() < 0.15:
            other = draw.choice([name for name in data("cloth")["colours"] if name != facts["colour"]])
            messages += [self._reply(things, draw), *_ask(_refined("colour", other, draw))]
            wishes = [(_refined("colour", facts["colour"], draw), words.one("colour", facts["colour"])), *wishes[:1]]
        for text, more in wishes:
            messages += [self._reply(things, draw), *_ask(text)]
            asked = words.joined(asked, more)
        return Said(asked, messages=tuple(messages))

    def earlier(self, item: int, draw: random.Random) -> list[Message]:
        """A turn that brought products."""
        return [*self.look(item, draw).messages, self._reply(words.plural(self._kind(item, draw)), draw)]

    def pictured(self, item: int, draw: random.Random) -> Said:
        """A picture of something else of the kind, and what is to be otherwise."""
        facts = self.items[item].attributes
        shown = draw.choice(self._of_kind[facts["kind"]])
        was = self.items[shown].attributes
        changes = [
            (text, more)
            for text, more in self._refinements(facts, draw)
            if not Facts([self.items[shown]]).meet(more)[0]
        ]
        parts: list[Part]
        if not changes:
            parts = [self._features[item], draw.choice(picture_wishes())]
            draw.shuffle(parts)
            return Said(self._look_of(facts), messages=(Message("user", parts),))
        text, more = draw.choice(changes)
        kept = [name for name in ("colour", "pattern") if was[name] == facts[name] and name not in dict(more)]
        asked = words.joined(
            words.joined(self._only(item, "kind"), more), tuple(words.one(name, facts[name])[0] for name in kept)
        )
        if draw.random() < 0.7 and text.startswith(("in ", "with ", "made ")):
            text = draw.choice(wording.CHANGES).format(value=text)
        parts = [self._features[shown], text]
        draw.shuffle(parts)
        return Said(asked, messages=(Message("user", parts),))

    def question(self, item: int, draw: random.Random) -> tuple[str, str]:
        """About a picture of the item, and its answer: kind, colour and pattern, whichever is asked for."""
        facts = self.items[item].attributes
        pattern, plain = words.pattern_word(facts["pattern"]), words.PLAIN if facts["pattern"] == words.PLAIN else ""
        what = words.article(words.spaced(plain, facts["colour"], pattern, facts["kind"]), facts["kind"])
        return draw.choice(wording.picture_questions()), wording.PICTURE_ANSWER.format(what=what)

    def prefix_words(self, item: int) -> list[str]:
        """What a visual prefix says of a picture where it says it in words: colour, pattern, kind."""
        facts = self.items[item].attributes
        return [facts["colour"], facts["pattern"], facts["kind"]]

    def _what(
        self, facts: Mapping[str, str], draw: random.Random, *, at_least_colour: bool = False
    ) -> tuple[str, Asked]:
        """`a navy striped cotton jumper with long sleeves`, of some attributes -> words, and what they ask for."""
        asked, before, after = dict(words.one("kind", facts["kind"])), [], []
        cuts = words.cut_words(facts)
        for name, (adjective, phrase) in draw.sample(cuts, min(len(cuts), draw.choice((0, 0, 1, 1, 2)))):
            asked |= dict(words.one(name, facts[name]))
            if adjective and (not phrase or draw.random() < 0.5):
                before.append(adjective)
            else:
                after.append(phrase)
        if at_least_colour or draw.random() < 0.75:
            asked |= dict(words.one("colour", facts["colour"]))
            before.append(words.colour_word(facts["colour"], draw))
        if facts["pattern"] != words.PLAIN and draw.random() < 0.75:
            asked |= dict(words.one("pattern", facts["pattern"]))
            before.append(words.pattern_word(facts["pattern"], draw))
        if draw.random() < 0.25 and facts.get("material", "metal") != "metal":
            asked |= dict(words.one("material", facts["material"]))
            before.append(draw.choice(data("sayings")["materials"].get(facts["material"], [facts["material"]])))
        with_it = f" with {' and '.join(after)}" if after else ""
        text = words.article(words.spaced(*before, words.kind_word(facts["kind"], draw)), facts["kind"]) + with_it
        return text, tuple(sorted(asked.items()))

    def _thing(self, item: int, draw: random.Random) -> tuple[str, str, Asked]:
        facts, place = self.items[item].attributes, draw.random()
        if place < 0.45:
            return "something", "clothes", ()
        section = facts.get("section", "")
        if place < 0.6 and section in wording.SECTIONS:
            bare, _ = wording.SECTIONS[section]
            return words.article(bare, ""), bare, words.one("section", section)
        bare, asked = words.kind_word(facts["kind"], draw), self._only(item, "kind")
        if place > 0.85:
            bare, asked = f"{words.colour_word(facts['colour'], draw)} {bare}", self._only(item, "kind", "colour")
        return words.article(bare, facts["kind"]), bare, asked

    def _need(self, item: int, draw: random.Random) -> tuple[str, Asked]:
        facts = self.facts.of[item]
        found = [
            (said, words.one(name, one))
            for name, table in (("occasions", wording.OCCASIONS), ("season", wording.SEASONS))
            for one, said in table.items()
            if one in facts.get(name, ())
        ]
        worn = self.items[item].attributes.get("worn_on", "")
        if worn in wording.WORN and draw.random() < 0.35:
            first, asked = draw.choice(wording.WORN[worn]), words.one("worn_on", worn)
            if found and draw.random() < 0.5:
                said, more = draw.choice(found)
                return f"{first} {draw.choice(said)}", words.joined(asked, more)
            return first, asked
        said, asked = draw.choice(found) if found else (("for a present",), ())
        return draw.choice(said), asked

    def _situations(self, item: int) -> list[tuple[str, Asked]]:
        """What people say who want the item and ask for nothing."""
        facts, worn = self.facts.of[item], self.items[item].attributes.get("worn_on", "")
        found = [
            (text, words.one("occasions", occasion))
            for occasion in sorted(facts.get("occasions", ()))
            for text in wording.SITUATIONS.get(occasion, ())
        ]
        return found + [(text, words.one("worn_on", worn)) for text in wording.BODY_SITUATIONS.get(worn, ())]

    def _refinements(self, facts: Mapping[str, str], draw: random.Random) -> list[tuple[str, Asked]]:
        """What a next message may ask of an item, in words, and exactly."""
        found = [(_refined("colour", facts["colour"], draw), words.one("colour", facts["colour"]))]
        form = "plain" if facts["pattern"] == words.PLAIN else "pattern"
        found.append((_refined(form, facts["pattern"], draw), words.one("pattern", facts["pattern"])))
        for name, (adjective, phrase) in words.cut_words(facts):
            kind, value = ("adjective", adjective) if adjective else ("cut", phrase)
            found.append((draw.choice(wording.REFINEMENTS[kind]).format(value=value), words.one(name, facts[name])))
        for name, values in (("shorter", SHORT), ("longer", LONG)):
            if facts.get("length") in values:
                found.append((draw.choice(wording.REFINEMENTS[name]), (("length", values),)))
        if facts.get("material", "metal") != "metal":
            text = draw.choice(wording.REFINEMENTS["material"]).format(value=facts["material"])
            found.append((text, words.one("material", facts["material"])))
        return found

    def _told(self, told: Told, draw: random.Random) -> Said:
        first, *later = told.messages
        messages = [*_ask(first)]
        for text in later:
            messages += [self._reply("things", draw), *_ask(text)]
        return Said(told.asked, messages=tuple(messages))

    def _reply(self, things: str, draw: random.Random) -> Message:
        return Message("assistant", [draw.choice(wording.AFTER_PRODUCTS).format(things=things)], ret_offsets=(0,))

    def _kind(self, item: int, draw: random.Random) -> str:
        return words.kind_word(self.items[item].attributes["kind"], draw)

    def _only(self, item: int, *names: str) -> Asked:
        return tuple(words.one(name, self.items[item].attributes[name])[0] for name in names)

    def _look_of(self, facts: Mapping[str, str]) -> Asked:
        return tuple(words.one(name, facts[name])[0] for name in LOOK)


def _ask(text: str) -> tuple[Message]:
    return (Message("user", [text]),)


def _refined(form: str, value: str, draw: random.Random) -> str:
    said = words.colour_word(value, draw) if form == "colour" else words.pattern_word(value, draw)
    return draw.choice(wording.REFINEMENTS[form]).format(value=said)
