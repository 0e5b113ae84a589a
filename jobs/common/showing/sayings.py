"""Messages of people who want to be shown products and of people who do not, by kind. Knows no model.

They lie in `messages/SIDE-USE*.toml`, a list for each kind. Kinds are what is split by: those for training fit the row
of [RET], those for validation the threshold, and the held-out ones are only ever reported. A saying is a text, or a
conversation of texts from the user's first message to the last, in which the shop's replies that showed products begin
with `[RET]`. Where a user's text has `[picture]`, a picture stands.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from fromage_model.errors import InvalidInput
from fromage_model.prompts.messages import Message, Part

Use = Literal["training", "validation", "held-out"]
USES: tuple[Use, ...] = get_args(Use)
WISHES, OTHERS = "wishes", "others"
RET, PICTURE = "[RET]", "[picture]"
FOLDER = Path(__file__).parent / "messages"


@dataclass(frozen=True)
class Saying:
    """`turns`: the user's texts and the shop's replies in turn, the user's first and last. `wanted`: products are."""

    turns: tuple[str, ...]
    kind: str
    use: Use
    wanted: bool

    @property
    def text(self) -> str:
        """Its last message."""
        return self.turns[-1]

    @property
    def pictured(self) -> bool:
        return any(PICTURE in turn for turn in self.turns)

    @property
    def under_picture(self) -> bool:
        """Whether its last message has one."""
        return PICTURE in self.text

    def messages(self, picture: Part | None = None) -> tuple[Message, ...]:
        """As a chat has them, with `picture` for each `[picture]`. Raises ValueError where it is missing."""
        if self.pictured and picture is None:
            raise ValueError(f"expected a picture for {self.text!r}")
        return tuple(
            _reply(turn) if place % 2 else Message("user", list(_parts(turn, picture)))
            for place, turn in enumerate(self.turns)
        )


def sayings(*uses: Use) -> list[Saying]:
    """Those of some uses, or of all, wishes first."""
    chosen = uses or USES
    return [one for side in (WISHES, OTHERS) for use in chosen for one in _of_files(side, use)]


def remarks() -> list[Saying]:
    """What people say in training after products were shown, and that calls for none."""
    return list(_of_files("remarks", "training"))


@cache
def _of_files(side: str, use: Use) -> tuple[Saying, ...]:
    return tuple(
        Saying(_turns(one, f"{path.name}: {kind}"), kind, use, wanted=side == WISHES)
        for path in sorted(FOLDER.glob(f"{side}-{use}*.toml"))
        for kind, said in tomllib.loads(path.read_text(encoding="utf-8")).items()
        for one in said
    )


def _turns(said: str | Sequence[str], where: str) -> tuple[str, ...]:
    turns = (said,) if isinstance(said, str) else tuple(said)
    if len(turns) % 2 == 0 or not all(isinstance(turn, str) and turn.strip() for turn in turns):
        raise InvalidInput(f"{where}: expected a text, or a conversation that ends with the user, got {said!r}")
    return turns


def _reply(turn: str) -> Message:
    """[RET] is no part of a reply's text; it is told by its place."""
    shown = turn.startswith(RET)
    return Message("assistant", [turn.removeprefix(RET).lstrip()], ret_offsets=(0,) if shown else ())


def _parts(turn: str, picture: Part | None) -> Iterator[Part]:
    before, found, after = turn.partition(PICTURE)
    if text := before.strip():
        yield text
    if found and picture is not None:
        yield picture
    if text := after.strip():
        yield text
