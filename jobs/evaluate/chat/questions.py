"""What is asked of a chat, and what came for it. Knows nothing of sets, of scores or of how it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fromage_model.prompts.messages import RetrievalMode

TOP_K = 5

Kind = Literal["wish", "other", "picture", "conversation", "like", "what", "last turn"]


@dataclass(frozen=True)
class Question:
    """What a user says, message after message, each once the one before it was answered.

    `about` is a position: a wish's, another message's, a conversation's or a picture message's in the set, a picture's
    that of its item. `item_id`: of the item whose picture stands before the first message; it does not come itself, nor
    do those of `exclude`. `whole`: the reply is wanted to its end, though its products have come.
    """

    kind: Kind
    about: int
    texts: tuple[str, ...]
    retrieval: RetrievalMode
    item_id: str = ""
    exclude: tuple[str, ...] = ()
    whole: bool = False

    @property
    def text(self) -> str:
        return self.texts[0]


@dataclass(frozen=True)
class Came:
    """What came for one message: the ids of the products, best first, and the reply's text, as far as it was waited
    for.
    """

    ids: tuple[str, ...]
    reply: str


@dataclass(frozen=True)
class Answer:
    """What came for each message of a question."""

    question: Question
    came: tuple[Came, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the first message."""
        return self.came[0].ids

    @property
    def reply(self) -> str:
        """To the first message."""
        return self.came[0].reply


def of_kind(answers: Sequence[Answer], kind: Kind, retrieval: RetrievalMode | None = None) -> list[Answer]:
    return [
        answer for answer in answers if answer.question.kind == kind and retrieval in (None, answer.question.retrieval)
    ]
