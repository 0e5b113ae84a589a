"""The chat's quality set: what people write to a shop, and what must come for it.

A set is a JSON file. What answers a wish is told by captions of the catalogue, compared without regard to case, or by
conditions on an item's attributes (`conditions`):

    {"name": "openmoji", "catalogue": "openmoji",
     "wishes": [{"text": "It's pouring!", "accept": ["umbrella", "closed umbrella"]},
                {"text": "something red", "by": "look", "must": {"colour": "red"}}, ...],
     "others": ["Thanks a lot!", ...],
     "picture_messages": ["Similar ones, please!", ...],
     "conversations": [[{"text": "Any skirts?", "must": {"kind": "skirt"}}, {"text": "red", "must": {"colour": "red"}},
                        {"text": "Thanks!", "must": null}], ...],
     "pictures": [{"text": "longer?", "of": {"kind": "skirt"}, "must": {"length": {"than": "more"}}},
                  {"text": "What is it?", "of": {"kind": "skirt"}, "names": ["kind"], "times": 4}, ...],
     "pictured": {"split": "held-out"}, "orders": {"length": ["mini", "midi"]}, "names": {"kind": {"skirt": ["skirt"]}}}

`by` groups wishes. A turn's conditions come on top of those of the turns before it, null takes one away, and a turn
whose `must` is null calls for no product. One that compares, or adds nothing (`{}`: "not these"), asks for others than
those that were shown. `of` says what is in a picture, `pictured` what holds of all pictured items;
`must` what is to come for it, or `names` which of its attributes the reply is to name, by one of the words in the set's
`names`; `times` for how many items. `picture_messages` are sent under items of each split. All but wishes and others is
optional. Knows nothing of models or Ray; `set_files` reads the file.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from fromage_model.catalogue import Item
from fromage_model.errors import InvalidInput
from jobs.evaluate.sets.conditions import Must, facts_of, meets

PICTURE_MESSAGES = ("Have you got anything like this?",)


@dataclass(frozen=True)
class Wish:
    """What a shopper writes, and the captions of the items that would answer it, or what these must be."""

    text: str
    accept: tuple[str, ...] = ()
    must: Must = ()
    by: str = ""

    def accepts(self, item: Item) -> bool:
        named = (item.caption or "").casefold() in {name.casefold() for name in self.accept}
        return named or meets(facts_of(item), self.must)


@dataclass(frozen=True)
class Turn:
    """What a shopper writes in a conversation. `must`: all that holds by now; None where no product is called for.
    `anew`: whether it asks for others than those that were shown.
    """

    text: str
    must: Must | None
    anew: bool = False


@dataclass(frozen=True)
class PictureMessage:
    """What a shopper writes under a picture of `of`. Either `must` or `names` is set."""

    text: str
    of: Must
    must: Must = ()
    names: tuple[str, ...] = ()
    times: int = 1

    @property
    def changes(self) -> bool:
        """Whether anything is asked for but what the picture shows."""
        return any(condition.than != "same" for each in self.must for condition in each.values())


@dataclass(frozen=True)
class QualitySet:
    """See the module's docstring for the file it is read from."""

    name: str
    catalogue: str
    wishes: tuple[Wish, ...]
    others: tuple[str, ...]
    picture_messages: tuple[str, ...] = PICTURE_MESSAGES
    conversations: tuple[tuple[Turn, ...], ...] = ()
    pictures: tuple[PictureMessage, ...] = ()
    pictured: Must = ({},)
    orders: Mapping[str, Sequence[str]] = field(default_factory=dict)
    names: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    def check_against(self, captions: Collection[str]) -> None:
        """Raises InvalidInput, with every name that no caption equals."""
        known = {caption.casefold() for caption in captions if caption}
        names = dict.fromkeys(name for wish in self.wishes for name in wish.accept)
        unknown = [name for name in names if name.casefold() not in known]
        if unknown:
            raise InvalidInput(
                f"the query set {self.name} accepts items that the catalogue does not hold: {', '.join(unknown)}",
                field="wishes.accept",
            )

    def unanswerable(self, items: Sequence[Item]) -> list[str]:
        """The texts of wishes that no item would answer. Raises InvalidInput where that is all of them."""
        texts = [wish.text for wish in self.wishes if not any(wish.accepts(item) for item in items)]
        if len(texts) == len(self.wishes):
            raise InvalidInput(
                f"no item of the catalogue would answer any wish of the query set {self.name}, "
                f"which was written for the catalogue {self.catalogue or 'that it does not name'}",
                field="wishes",
            )
        return texts
