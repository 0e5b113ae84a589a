"""The quality set's file -> a `QualitySet`, checked. Knows nothing of catalogues."""

from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from fromage_model.errors import InvalidInput, MissingArtefact
from fromage_model.storage.file_kinds import read_json
from jobs.evaluate.sets.conditions import Must, asks_anew, on_top, parsed
from jobs.evaluate.sets.quality_set import PICTURE_MESSAGES, PictureMessage, QualitySet, Turn, Wish

SHIPPED = Path(__file__).parents[1] / "queries"
KNOWN = (
    "name",
    "catalogue",
    "wishes",
    "others",
    "picture_messages",
    "conversations",
    "pictures",
    "pictured",
    "orders",
    "names",
)


def shipped_sets() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.json"))


def read_quality_set(name_or_file: str | Path) -> QualitySet:
    """A shipped set by its name ("openmoji"), or a file. Raises MissingArtefact, and InvalidInput naming the field."""
    file = Path(name_or_file).expanduser()
    if not file.is_file():
        file = SHIPPED / f"{name_or_file}.json"
    if not file.is_file():
        shipped = ", ".join(shipped_sets())
        raise MissingArtefact(
            f"no query set {str(name_or_file)!r}: neither a file nor one of the shipped sets ({shipped})"
        )
    try:
        content = read_json(file)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"the query set {file} can't be read: {error}") from error
    try:
        return _parse(content, default_name=file.stem)
    except InvalidInput as error:
        raise InvalidInput(f"the query set {file}: {error}", field=error.field) from error


def _parse(content: Any, *, default_name: str) -> QualitySet:
    if not isinstance(content, dict):
        raise InvalidInput(f"expected a JSON object with wishes and others, got {type(content).__name__}")
    for key in content:
        if key not in KNOWN:
            raise InvalidInput(f"unknown key {key!r}; known are {', '.join(sorted(KNOWN))}", field=str(key))
    wishes = content.get("wishes")
    if not isinstance(wishes, list) or not wishes:
        raise InvalidInput("expected a list of at least one wish", field="wishes")
    names = _tables(content, "names")
    return QualitySet(
        name=str(content.get("name", default_name)),
        catalogue=str(content.get("catalogue", "")),
        wishes=tuple(_wish(wish, f"wishes.{position}") for position, wish in enumerate(wishes)),
        others=_texts(content.get("others"), "others"),
        picture_messages=_texts(content.get("picture_messages", list(PICTURE_MESSAGES)), "picture_messages"),
        conversations=tuple(
            _conversation(turns, f"conversations.{position}")
            for position, turns in enumerate(_list(content, "conversations"))
        ),
        pictures=tuple(
            _picture(picture, f"pictures.{position}", known=names)
            for position, picture in enumerate(_list(content, "pictures"))
        ),
        pictured=_must(content.get("pictured", {}), "pictured"),
        orders={name: _texts(order, f"orders.{name}") for name, order in _table(content, "orders").items()},
        names=names,
    )


def _wish(value: Any, field: str) -> Wish:
    wanted = '{"text": ..., "accept": [...]} or {"text": ..., "must": {...}, "by": ...}'
    _check(value, field, required={"text"}, optional={"accept", "must", "by"}, wanted=wanted)
    if ("accept" in value) == ("must" in value):
        raise InvalidInput(f"{field}: expected {wanted}, got {value!r}", field=field)
    return Wish(
        _text(value, field),
        accept=_texts(value["accept"], f"{field}.accept") if "accept" in value else (),
        must=_must(value["must"], f"{field}.must") if "must" in value else (),
        by=str(value.get("by", "")),
    )


def _conversation(value: Any, field: str) -> tuple[Turn, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidInput(f"{field}: expected a list of at least one turn, got {value!r}", field=field)
    turns: list[Turn] = []
    before: Must = ()
    for position, turn in enumerate(value):
        here = f"{field}.{position}"
        _check(turn, here, required={"text", "must"}, wanted='{"text": ..., "must": {...} or null}')
        if turn["must"] is None:
            turns.append(Turn(_text(turn, here), None))
            continue
        asked = parsed(turn["must"], f"{here}.must")
        before = on_top(before, asked)
        turns.append(Turn(_text(turn, here), before, anew=bool(turns) and asks_anew(asked)))
    return tuple(turns)


def _picture(value: Any, field: str, *, known: Mapping[str, Any]) -> PictureMessage:
    wanted = (
        '{"text": ..., "of": {...}} with "must": {...} or "names": [...], and "times": 1 or more where that is not 1'
    )
    _check(value, field, required={"text", "of"}, optional={"must", "names", "times"}, wanted=wanted)
    times = value.get("times", 1)
    if ("must" in value) == ("names" in value) or not isinstance(times, int) or times < 1:
        raise InvalidInput(f"{field}: expected {wanted}, got {value!r}", field=field)
    names = _texts(value["names"], f"{field}.names") if "names" in value else ()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInput(f"{field}.names: the set's names have no {unknown[0]!r}", field=f"{field}.names")
    must = _must(value["must"], f"{field}.must") if "must" in value else ()
    return PictureMessage(
        _text(value, field), of=_must(value["of"], f"{field}.of"), must=must, names=names, times=times
    )


def _must(value: Any, field: str) -> Must:
    return on_top((), parsed(value, field))


def _check(value: Any, field: str, *, required: Set[str], optional: Set[str] = frozenset(), wanted: str) -> None:
    if not isinstance(value, dict) or not required <= set(value) <= required | optional:
        raise InvalidInput(f"{field}: expected {wanted}, got {value!r}", field=field)


def _text(value: Mapping[str, Any], field: str) -> str:
    (text,) = _texts([value["text"]], f"{field}.text")
    return text


def _texts(value: Any, field: str) -> tuple[str, ...]:
    """A list of at least one text, none of them blank."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or not value or not all(isinstance(text, str) and text.strip() for text in value):
        raise InvalidInput(f"{field}: expected texts that are not blank, at least one, got {value!r}", field=field)
    return tuple(value)


def _list(content: Mapping[str, Any], field: str) -> list[Any]:
    found = content.get(field, [])
    if not isinstance(found, list):
        raise InvalidInput(f"{field}: expected a list, got {found!r:.80}", field=field)
    return found


def _table(content: Mapping[str, Any], field: str) -> dict[str, Any]:
    found = content.get(field, {})
    if not isinstance(found, dict):
        raise InvalidInput(f"{field}: expected an object, got {found!r:.80}", field=field)
    return found


def _tables(content: Mapping[str, Any], field: str) -> dict[str, dict[str, tuple[str, ...]]]:
    tables = _table(content, field)
    return {
        name: {value: _texts(words, f"{field}.{name}.{value}") for value, words in _table(tables, name).items()}
        for name in tables
    }
