"""Text before the first stop is shown, as soon as it is sure, and nothing of the stop; products keep their place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fromage_model.chat.decode import decode
from fromage_model.chat.engine import Engine
from fromage_model.chat.stops import Stops
from fromage_model.chat.writing import Writing
from fromage_model.errors import InvalidInput
from fromage_model.prompts.messages import Finished, Retrieval, Sampling, TextDelta
from fromage_model.prompts.segments import raw_prompt
from tests.fromage_model.chat.replies import assert_same, run, text_of

LETTERS = st.text("ab", min_size=1, max_size=4)


@given(pieces=st.lists(st.text("abc", max_size=3), max_size=8), texts=st.lists(LETTERS, max_size=3))
def test_what_is_shown_is_the_text_before_the_stop_that_is_complete_first_however_it_comes(pieces, texts):
    whole = "".join(pieces)
    ends = (end for end in range(len(whole) + 1) if any(whole[:end].endswith(text) for text in texts))
    end = next(ends, None)
    stop = "" if end is None else max((text for text in texts if whole[:end].endswith(text)), key=len)
    expected = whole if end is None else whole[: end - len(stop)]
    stops, shown = Stops(texts), ""
    for piece in pieces:
        if not stops.stopped:
            shown += stops.push(piece)
            assert expected.startswith(shown)
    assert stops.stopped == (end is not None)
    assert shown + stops.rest() == expected


def test_text_that_can_not_become_a_stop_is_shown_at_once():
    stops = Stops(["\n\n", "END"])
    assert [stops.push(piece) for piece in ("a\n", "b", "E", "N", "d", "\n")] == ["a", "\nb", "", "", "ENd", ""]
    assert stops.held == 1


def written(model, script: list[str | None], **sampling) -> list:
    """Events of a reply whose tokens these are; None is a [RET]."""
    prompt = raw_prompt(["Hm"], model.tokens)
    writing = Writing(model.tokens, prompt, prompt_tokens=1, sampling=Sampling(**sampling))
    events: list = []
    for piece in script:
        for token in [model.tokens.ret_id] if piece is None else model.tokens.encode(piece):
            if not writing.finished:
                events += writing.advance(token)
                if writing.asked:
                    events += writing.retrieved(np.zeros(2, dtype=np.float32))
    return [event.offset if isinstance(event, Retrieval) else event for event in events]


def brief(events: list) -> list:
    """Text joined between products, and why it ended."""
    found: list = [""]
    for event in events:
        if isinstance(event, TextDelta):
            found[-1] += event.text
        else:
            found += [event.reason if isinstance(event, Finished) else event, ""]
    return [one for one in found if one != ""]


def test_products_before_a_stop_keep_their_offset_and_those_within_it_are_cut_off_with_it(chat_model):
    assert brief(written(chat_model, ["a", None, "#", "#b", "##", None, "#c"], stop="###")) == ["a", 1, "##b", "stop"]
    assert brief(written(chat_model, ["a#", None, "b"], stop="##", max_new_tokens=4)) == ["a#", 2, "b", "length"]
    assert brief(written(chat_model, ["a", None, "##"], stop="##")) == ["a", 1, "stop"]


def test_what_was_held_comes_at_the_end_when_no_stop_came_of_it(chat_model):
    assert brief(written(chat_model, ["a#", "<|im_end|>"], stop="##", max_new_tokens=2)) == ["a#", "length"]
    assert brief(written(chat_model, ["#", None], stop="##", max_new_tokens=2)) == ["#", 1, "length"]


def test_a_reply_ends_before_its_stop_wherever_that_stands_and_beside_others_as_alone(chat_model):
    prompt = raw_prompt(["Have you got a red dress for the winter?"], chat_model.tokens)
    free = Sampling(max_new_tokens=24, temperature=1.0, seed=5)
    text = text_of(list(decode(chat_model, prompt, retrieval="never", sampling=free)))
    engine = Engine(chat_model, slots=5)
    stops = [text[start : start + 3] for start in range(1, len(text) - 3, 5)][:5]
    requests = [
        engine.add(prompt, retrieval="never", sampling=Sampling(max_new_tokens=24, temperature=1.0, seed=5, stop=stop))
        for stop in stops
    ]
    for stop, request, found in zip(stops, requests, run(engine, requests), strict=True):
        assert text_of(found) == text[: text.find(stop)]
        assert found[-1].reason == "stop"
        assert_same(found, list(decode(chat_model, prompt, retrieval="never", sampling=request.sampling)))


@pytest.mark.parametrize("stop", ["", ["a", ""], [3]])
def test_a_stop_that_is_no_text_is_refused(stop):
    with pytest.raises(InvalidInput, match="none of them empty") as refused:
        Sampling(stop=stop)
    assert refused.value.field == "stop"
