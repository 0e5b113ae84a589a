"""Likelihoods of prompts and of answers equal those of the LM read whole, and in a batch are what they are alone."""

import pytest
import torch
from torch.nn import functional as F

from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.model.scores import answer_log_likelihoods, prompt_log_likelihoods
from fromage_model.prompts.original import RET
from fromage_model.prompts.segments import Picture, Prompt
from tests.fromage_model import families, reference, tiny

PICTURES = tiny.features(3)
ANSWERS = ["yes", "no, it is not", "a red dress for the winter", "shoes"]
PROMPTS = [
    [PICTURES[0].numpy(), "A picture of a red dress."],
    ["Show me ", PICTURES[1].numpy(), " or", PICTURES[2].numpy(), " something warm for the winter, please."],
    ["A"],
    [PICTURES[0].numpy(), PICTURES[1].numpy(), "x"],
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    return {name: families.FAMILIES[name](folder / name) for name in ("opt", "gpt_neo", "llama")}


@pytest.fixture(params=["opt", "gpt_neo", "llama"])
def model(request, folders, own_home) -> Fromage:
    return tiny.build(folders[request.param])


def laid_out(model: Fromage, parts: list) -> Prompt:
    prompt: Prompt = []
    started = False
    for part in parts:
        if isinstance(part, str):
            prompt.append(([] if started else list(model.tokens.start_ids)) + model.tokens.encode(part))
            started = True
        else:
            prompt.append(Picture(torch.as_tensor(part)))
    return prompt


@torch.no_grad()
def mean_by_transformers_loss(model: Fromage, parts: list) -> float:
    """Labels -100 at pictures, shifted by one: what `get_log_lik_scores` leaves to the LM's own loss."""
    prompt = laid_out(model, parts)
    labels: list[int] = []
    for segment in prompt:
        labels += [-100] * tiny.VISUAL_TOKENS if isinstance(segment, Picture) else segment
    logits = reference.read(model, prompt).logits
    return -float(F.cross_entropy(logits[:-1], torch.tensor(labels[1:]), ignore_index=-100))


def test_a_prompt_s_score_is_the_mean_over_its_text(model):
    found = prompt_log_likelihoods(model, PROMPTS)
    expected = [mean_by_transformers_loss(model, parts) for parts in PROMPTS]
    assert found == pytest.approx(expected, abs=1e-4, rel=1e-4)
    assert len({round(score, 3) for score in found}) == len(PROMPTS)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_prompts_score_in_a_batch_as_alone(model, batch_size):
    alone = [prompt_log_likelihoods(model, [parts])[0] for parts in PROMPTS]
    assert prompt_log_likelihoods(model, PROMPTS, batch_size=batch_size) == pytest.approx(alone, abs=1e-4)


def test_a_ret_mark_is_text_that_is_scored(model):
    prompt = [*laid_out(model, ["a dress"]), [model.tokens.ret_id]]
    with torch.no_grad():
        losses = reference.token_losses(model, [prompt[0][:1]], [*prompt[0][1:], model.tokens.ret_id])
    assert prompt_log_likelihoods(model, [["a dress", RET]])[0] == pytest.approx(-float(torch.stack(losses).mean()))


def test_an_answer_s_score_is_the_sum_over_its_tokens(model):
    context = [PICTURES[0].numpy(), "Q: is it red?\nA:"]
    prompt = laid_out(model, context)
    with torch.no_grad():
        expected = [
            -float(torch.stack(reference.token_losses(model, prompt, model.tokens.encode(answer))).sum())
            for answer in ANSWERS
        ]
    assert answer_log_likelihoods(model, context, ANSWERS) == pytest.approx(expected, abs=1e-3, rel=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_answers_score_in_a_batch_as_alone(model, batch_size):
    context = ["Have you got ", PICTURES[1].numpy(), " in another colour, and for the winter? "]
    alone = [answer_log_likelihoods(model, context, [answer])[0] for answer in ANSWERS]
    assert answer_log_likelihoods(model, context, ANSWERS, batch_size=batch_size) == pytest.approx(alone, abs=1e-3)


def test_no_answers_have_no_scores(plain_model):
    assert answer_log_likelihoods(plain_model, ["Q"], []) == []
    assert prompt_log_likelihoods(plain_model, []) == []


def test_what_has_no_likelihood_is_refused_by_its_place(plain_model, chat_model):
    picture = PICTURES[0].numpy()
    with pytest.raises(InvalidInput, match="no text that follows anything") as caught:
        prompt_log_likelihoods(plain_model, [["a dress"], [picture]])
    assert caught.value.field == "prompts.1"
    with pytest.raises(InvalidInput, match="no text that follows anything"):
        prompt_log_likelihoods(chat_model, [["x"]])
    assert chat_model.tokens.start_ids == ()
    with pytest.raises(InvalidInput, match="the context is empty"):
        answer_log_likelihoods(plain_model, [], ["yes"])
    with pytest.raises(InvalidInput, match="an answer is empty") as caught:
        answer_log_likelihoods(plain_model, ["Q"], ["yes", ""])
    assert caught.value.field == "answers.1"


def test_what_does_not_fit_into_the_positions_is_refused(plain_model):
    long = "shoes " * 300
    with pytest.raises(PromptTooLong, match="at most 256 fit"):
        prompt_log_likelihoods(plain_model, [[long]])
    with pytest.raises(PromptTooLong, match="at most 256 fit"):
        answer_log_likelihoods(plain_model, ["Q"], [long])
