"""The chat's quality set: wishes with the items that would answer them, and messages that call for no product.

A set is a JSON file; names of items are captions of the catalogue, compared without regard to case:

    {"name": "openmoji", "catalogue": "openmoji",
     "wishes": [{"text": "It's pouring!", "accept": ["umbrella", "closed umbrella"]}, ...],
     "others": ["Thanks a lot!", ...],
     "picture_messages": ["Similar ones, please!", ...]}

`picture_messages` is optional: what a user may write under a picture. Knows nothing of models or Ray.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fromage_model.errors import InvalidInput, MissingArtefact
from fromage_model.storage.file_kinds import read_json

SHIPPED = Path(__file__).parent / "queries"
PICTURE_MESSAGES = ("Have you got anything like this?",)


@dataclass(frozen=True)
class Wish:
    """What a shopper writes, and the captions of the items that would answer it."""

    text: str
    accept: tuple[str, ...]

    def accepts(self, caption: str) -> bool:
        return caption.casefold() in {name.casefold() for name in self.accept}


@dataclass(frozen=True)
class QualitySet:
    """See the module's docstring for the file it is read from."""

    name: str
    catalogue: str
    wishes: tuple[Wish, ...]
    others: tuple[str, ...]
    picture_messages: tuple[str, ...] = PICTURE_MESSAGES

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


def read_quality_set(name_or_file: str | Path) -> QualitySet:
    """A shipped set by its name ("openmoji"), or a file. Raises MissingArtefact, and InvalidInput naming the field."""
    file = Path(name_or_file).expanduser()
    if not file.is_file():
        file = SHIPPED / f"{name_or_file}.json"
    if not file.is_file():
        shipped = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.json")))
        raise MissingArtefact(
            f"no query set {str(name_or_file)!r}: neither a file nor one of the shipped sets ({shipped})"
        )
    try:
        content = read_json(file)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"the query set {file} can't be read: {error}") from error
    return _parse(content, default_name=file.stem)


def _parse(content: Any, *, default_name: str) -> QualitySet:
    if not isinstance(content, dict):
        raise InvalidInput(f"expected a JSON object with wishes and others, got {type(content).__name__}")
    known = {"name", "catalogue", "wishes", "others", "picture_messages"}
    for key in content:
        if key not in known:
            raise InvalidInput(f"unknown key {key!r}; known are {', '.join(sorted(known))}", field=str(key))
    wishes = content.get("wishes")
    if not isinstance(wishes, list) or not wishes:
        raise InvalidInput("expected a list of at least one wish", field="wishes")
    return QualitySet(
        name=str(content.get("name", default_name)),
        catalogue=str(content.get("catalogue", "")),
        wishes=tuple(_wish(wish, position) for position, wish in enumerate(wishes)),
        others=_texts(content.get("others"), "others"),
        picture_messages=_texts(content.get("picture_messages", list(PICTURE_MESSAGES)), "picture_messages"),
    )


def _wish(value: Any, position: int) -> Wish:
    field = f"wishes.{position}"
    if not isinstance(value, dict) or set(value) != {"text", "accept"}:
        raise InvalidInput(f'{field}: expected {{"text": ..., "accept": [...]}}, got {value!r}', field=field)
    (text,) = _texts([value["text"]], f"{field}.text")
    return Wish(text, _texts(value["accept"], f"{field}.accept"))


def _texts(value: Any, field: str) -> tuple[str, ...]:
    """A list of at least one text, none of them blank."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or not value or not all(isinstance(text, str) and text.strip() for text in value):
        raise InvalidInput(f"{field}: expected texts that are not blank, at least one, got {value!r}", field=field)
    return tuple(value)
