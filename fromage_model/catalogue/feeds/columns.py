"""Which of a feed's columns is what: by our names for them or, as `image=URL,caption=TEXT` says, by the feed's own."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from fromage_model.errors import CatalogueError, ConfigError

KNOWN_COLUMNS = ("image", "caption", "item_url", "brand", "group")
EXAMPLE = "image=URL,caption=TEXT"
OWN_NAMES: Mapping[str, str] = MappingProxyType({})
# What LAION, img2dataset and shops call them, in small letters.
OFTEN = {
    "image": ("url", "image_url", "image_link", "img_url"),
    "caption": ("text", "title", "description"),
}


def parse_columns(text: str) -> dict[str, str]:
    """`image=URL,caption=TEXT` -> the feed's name by ours, in our order; nothing for no text. Raises ConfigError."""
    given: dict[str, str] = {}
    for part in text.split(",") if text.strip() else []:
        ours, equals, theirs = (piece.strip() for piece in part.partition("="))
        if ours not in KNOWN_COLUMNS or not equals or not theirs:
            raise ConfigError(
                f"columns has {part.strip()!r}; expected {' or '.join(KNOWN_COLUMNS)}, and after = the feed's name for "
                f"it, for example {EXAMPLE}"
            )
        if ours in given:
            raise ConfigError(f"columns names {ours} twice, as {given[ours]} and as {theirs}; one column can be it")
        given[ours] = theirs
    return {ours: given[ours] for ours in KNOWN_COLUMNS if ours in given}


def sources_of(names: Sequence[str], given: Mapping[str, str], where: str, *, hint: str = "") -> dict[str, str]:
    """What each column of a row is read from: our name, or that of an attribute, to the name in the feed.

    A column that is called like one of ours, where `given` names another for it, is left out. Raises CatalogueError
    where one that is named, or `image`, is not there, or one stands there twice.
    """
    found = ", ".join(names) or "none"
    absent = [f"{ours}={theirs}" for ours, theirs in given.items() if theirs not in names]
    if absent:
        raise CatalogueError(f"{where}: no column for {' and '.join(absent)}; found columns: {found}{hint}")
    if "image" not in names and "image" not in given:
        raise CatalogueError(f"{where}: missing column image; found columns: {found}{hint}{_advice(names)}")
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise CatalogueError(f"{where}: column {repeated[0] or '(without a name)'} stands in the header more than once")
    taken = set(given.values())
    return dict(given) | {name: name for name in names if name not in taken and name not in given}


def _advice(names: Sequence[str]) -> str:
    """How to name the columns that are most likely meant."""
    likely = []
    for ours, often in OFTEN.items():
        theirs = next((name for name in names if name.lower() in often), None)
        if theirs is not None and ours not in names:
            likely.append(f"{ours}={theirs}")
    return f"; --columns {','.join(likely)} names them" if likely and likely[0].startswith("image=") else ""
