"""Replies of an engine as a test wants them: by request, compared, and with the passes of the LM that they took."""

import torch

from fromage_model.chat.engine import Engine, Request
from fromage_model.prompts.messages import Event, Retrieval, TextDelta, TokenScore


def run(engine: Engine, requests: list[Request]) -> list[list[Event]]:
    events: dict[Request, list[Event]] = {request: [] for request in requests}
    for request, event in engine.run():
        events[request].append(event)
    return list(events.values())


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def scores_of(events: list[Event]) -> list[TokenScore]:
    return [score for event in events if isinstance(event, TextDelta) for score in event.tokens]


def words_of(model, events: list[Event]) -> list[int]:
    """Ids of the text, found by what each of the vocabulary spells, where log-probabilities were asked for."""
    spelled = {model.tokens.spelled(id): id for id in range(model.tokens.vocabulary)}
    return [spelled[score.text, score.data] for score in scores_of(events)]


def assert_same(found: list[Event], expected: list[Event]) -> None:
    assert [type(event) for event in found] == [type(event) for event in expected]
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, Retrieval):
            assert one.offset == other.offset
            torch.testing.assert_close(one.embedding, other.embedding, atol=1e-4, rtol=0)
        else:
            assert one == other


def passes(model) -> list[tuple[int, int]]:
    """(rows, positions) of each pass of the LM from now on."""
    shapes: list[tuple[int, int]] = []
    model.lm.register_forward_pre_hook(lambda _, arguments: shapes.append(tuple(arguments[0].shape[:2])))
    return shapes
