"""What is told of each token is the LM's own distribution, whoever decodes beside it and however it was chosen."""

import pytest
import torch

from fromage_model.chat.decode import decode
from fromage_model.chat.engine import Engine
from fromage_model.prompts.messages import Sampling
from fromage_model.prompts.segments import raw_prompt
from tests.fromage_model import reference, tiny
from tests.fromage_model.chat.replies import run, scores_of, text_of, words_of

ASKED = [
    Sampling(max_new_tokens=16, top_logprobs=3),
    Sampling(max_new_tokens=16, temperature=1.3, top_p=0.9, seed=2, top_logprobs=0, repetition_penalty=1.3),
    Sampling(max_new_tokens=16, temperature=1.0, seed=3),
    Sampling(max_new_tokens=16, ret_scale_factor=4.0, max_rets=2, ret_in_context=False, top_logprobs=20),
]


def told(model, logits: torch.Tensor, id: int) -> tuple:
    return (*model.tokens.spelled(id), pytest.approx(float(logits[:-1].log_softmax(-1)[id]), abs=1e-4))


def test_the_log_probabilities_of_each_row_are_those_of_reading_everything_again(model):
    prompts = [raw_prompt(["Show me ", tiny.features(1, seed=row)[0], " warm"], model.tokens) for row in range(4)]
    engine = Engine(model, slots=4)
    requests = [engine.add(prompt, sampling=sampling) for prompt, sampling in zip(prompts, ASKED, strict=True)]
    for prompt, sampling, found in zip(prompts, ASKED, run(engine, requests), strict=True):
        scores = scores_of(found)
        if sampling.top_logprobs is None:
            assert scores == []
            continue
        ids = words_of(model, list(decode(model, prompt, sampling=sampling)))
        with torch.no_grad():
            logits = reference.read(model, [*prompt, ids]).logits[-len(ids) - 1 :]
        assert len(scores) >= len(ids) - 3
        for score, id, row in zip(scores, ids, logits, strict=False):
            assert (score.text, score.data, score.logprob) == told(model, row, id)
            best = row[:-1].topk(sampling.top_logprobs).indices.tolist()
            assert [(one.text, one.data, one.logprob) for one in score.top] == [told(model, row, id) for id in best]


def test_the_tokens_of_a_reply_spell_its_text_up_to_its_stop(chat_model):
    prompt = raw_prompt(["Have you got a red dress?"], chat_model.tokens)
    events = list(decode(chat_model, prompt, retrieval="never", sampling=Sampling(max_new_tokens=20, top_logprobs=0)))
    text = text_of(events)
    stop = text[len(text) // 2 :][:2]
    cut = Sampling(max_new_tokens=20, top_logprobs=0, stop=stop)
    shown = list(decode(chat_model, prompt, retrieval="never", sampling=cut))
    spelled = b"".join(score.data or b"" for score in scores_of(shown)).decode(errors="replace")
    assert spelled.startswith(text_of(shown))
    assert text.startswith(spelled[: len(text)])
    assert len(scores_of(shown)) < len(scores_of(events))


def test_log_probabilities_change_nothing_of_what_is_written(chat_model):
    prompt = raw_prompt(["Show me something warm"], chat_model.tokens)
    plain, watched = (
        list(
            decode(chat_model, prompt, sampling=Sampling(max_new_tokens=20, temperature=1.0, seed=1, top_logprobs=top))
        )
        for top in (None, 5)
    )
    assert text_of(plain) == text_of(watched)
    assert [type(event) for event in plain] == [type(event) for event in watched]
