"""Few-shot prompts, and answers read off them: all at once as one at a time, with a cache as without."""

import pytest
import torch

from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.frozen.prompts import Demonstration, few_shot_parts, frozen_prompt
from fromage_model.language.caption_text import caption_of
from fromage_model.language.tokens import load_tokens
from fromage_model.prompts.messages import Sampling
from fromage_model.prompts.segments import Picture
from tests.fromage_model import tiny_frozen
from tests.fromage_model.frozen.reference import read_prompt


def some_prompts(model) -> list:
    """Of different lengths: a caption, one shot, two shots given twice."""
    red, blue, query = tiny_frozen.pictures(3)
    shots = [Demonstration(red, " This is a dax."), Demonstration(blue, " This is a blicket.")]
    parts = [
        [query],
        few_shot_parts([query, " This is"], shots[:1]),
        few_shot_parts([query, " What is this? It is"], shots, task_induction="Answer the question.", repeats=2),
    ]
    return [model.prompt(row) for row in parts]


@torch.no_grad()
def greedy_without_cache(model, prompt, count: int, *, penalty: float = 1.0) -> list[int]:
    ids: list[int] = []
    while len(ids) < count:
        logits = read_prompt(model, [*prompt, ids])[-1]
        for written in set(ids):
            logits[written] *= 1 / penalty if logits[written] > 0 else penalty
        token = int(logits.argmax())
        if token in model.tokens.stop_ids:
            break
        ids.append(token)
    return ids


@pytest.mark.parametrize("lm", ["gpt2", "opt", "llama"])
def test_greedy_replies_of_a_batch_are_those_of_reading_everything_again(build, lm):
    model = build(lm, visual_map="duel")
    prompts = some_prompts(model)
    replies = model.generate(prompts, sampling=Sampling(max_new_tokens=24))
    expected = [greedy_without_cache(model, prompt, 24) for prompt in prompts]
    assert [list(reply.ids) for reply in replies] == expected
    assert len({token for reply in replies for token in reply.ids}) >= 10
    assert all(reply.reason == ("length" if len(reply.ids) == 24 else "stop") for reply in replies)


@pytest.mark.parametrize("lm", ["gpt2", "llama"])
def test_sampled_replies_are_the_same_together_and_alone_and_follow_the_seed(build, lm):
    model = build(lm)
    prompts = some_prompts(model)
    settings = {"max_new_tokens": 12, "temperature": 1.0, "top_p": 0.9}
    together = model.generate(prompts, sampling=Sampling(seed=3, **settings))
    alone = [model.generate([prompt], sampling=Sampling(seed=3, **settings))[0] for prompt in prompts]
    assert together == alone
    assert together != model.generate(prompts, sampling=Sampling(seed=4, **settings))


@torch.no_grad()
def test_a_repetition_penalty_reaches_the_last_token_of_the_vocabulary_as_any_other(build):
    """It is a word: FROMAGe's logits end in [RET]'s, these don't."""
    model = build()
    prompt = some_prompts(model)[1]
    liked = greedy_without_cache(model, prompt, 1)[0]
    last = model.lm.vocabulary - 1
    head = model.lm.backbone.get_output_embeddings().weight
    head[last] = 1.01 * head[liked]
    expected = greedy_without_cache(model, prompt, 24, penalty=1.3)
    assert expected[0] == last
    (reply,) = model.generate([prompt], sampling=Sampling(max_new_tokens=24, repetition_penalty=1.3))
    assert list(reply.ids) == expected


def test_a_reply_ends_before_the_first_of_the_given_strings(build):
    model = build()
    prompt = some_prompts(model)[1]
    whole = model.generate([prompt], sampling=Sampling(max_new_tokens=24))[0]
    place = next(index for index in range(3, len(whole.text)) if whole.text[index] not in whole.text[:index])
    cut = model.generate([prompt], sampling=Sampling(max_new_tokens=24), until=["never there", whole.text[place]])[0]
    assert cut.text == whole.text[:place]
    assert cut.reason == "stop"
    assert len(cut.ids) < len(whole.ids)


def test_a_reply_that_has_ended_is_no_longer_read(build):
    model = build()
    prompts = some_prompts(model)
    whole = model.generate(prompts, sampling=Sampling(max_new_tokens=24))
    mark = next(letter for letter in whole[0].text if letter not in whole[1].text[:3] + whole[2].text[:3])
    rows: list[int] = []
    model.lm.register_forward_pre_hook(lambda module, given: rows.append(len(given[0])))
    cut = model.generate(prompts, sampling=Sampling(max_new_tokens=24), until=[mark])
    assert rows == sorted(rows, reverse=True)
    assert rows[0] > rows[-1]
    assert [reply.text for reply in cut] == [reply.text.partition(mark)[0] for reply in whole]


@pytest.mark.parametrize("lm", ["gpt2", "opt", "llama"])
@torch.no_grad()
def test_choices_score_together_as_one_at_a_time(build, lm):
    model = build(lm)
    choices = [" a dax", " blicket", "x", " something warm for the winter"]
    for prompt in some_prompts(model):
        scores = model.score_choices(prompt, choices)
        for index, choice in enumerate(choices):
            ids = model.tokens.encode(choice)
            logits = read_prompt(model, [*prompt, ids])[-len(ids) - 1 : -1].log_softmax(dim=-1)
            expected = sum(float(logits[place, token]) for place, token in enumerate(ids))
            assert float(scores.log_likelihoods[index]) == pytest.approx(expected, abs=1e-3)
            assert float(scores.normalised[index]) == pytest.approx(expected / len(ids), abs=1e-3)
        assert scores.best() == int(scores.log_likelihoods.argmax())


def test_a_long_choice_can_win_by_its_mean_alone(build):
    model = build()
    prompt = some_prompts(model)[1]
    ids = model.generate([prompt], sampling=Sampling(max_new_tokens=6))[0].ids
    written = model.tokens.decode(ids)
    scores = [model.score_choices(prompt, [written, other]) for other in ("a", "e", "x", "z", "Q")]
    assert any(score.best() != score.best(normalise=True) for score in scores)


def test_answers_in_the_middle_of_training_move_no_statistics(build):
    model = build(visual_map="grid").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    image = tiny_frozen.pictures(1)[0]
    model.generate([model.prompt([image, "a"])], sampling=Sampling(max_new_tokens=2))
    model.score_choices(model.prompt([image, "a"]), ["b"])
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.training
    assert model.visual_map.training
    assert not model.lm.backbone.training


def test_captions_are_greedy_replies_after_the_prompt(build):
    model = build()
    images = tiny_frozen.pictures(2)
    prompts = [model.prompt([image, "A picture of"]) for image in images]
    replies = model.generate(prompts, sampling=Sampling(max_new_tokens=5))
    assert not any("\n" in reply.text for reply in replies)
    expected = [caption_of(reply.text, ended=reply.reason == "stop") for reply in replies]
    assert model.captions(images, "A picture of", max_new_tokens=5) == expected
    assert model.captions([]) == []


def test_a_caption_ends_with_its_line(build):
    model = build()
    image = tiny_frozen.pictures(1)[0]
    drawn = {"max_new_tokens": 32, "temperature": 2.0}
    for seed in range(100):
        (reply,) = model.generate([model.prompt([image, ""])], sampling=Sampling(**drawn, seed=seed))
        line, _, rest = reply.text.partition("\n")
        if line.strip() and rest.strip():
            break
    else:
        pytest.fail("no seed draws a line break between words")
    assert model.captions([image], **drawn, seed=seed) == [line.strip()]


def test_a_few_shot_prompt_says_induction_then_shots_in_turn_then_the_query():
    shots = [Demonstration("image 1", "one"), Demonstration("image 2", "two")]
    round_ = ["image 1", "one", "image 2", "two"]
    assert few_shot_parts(["q", "?"], shots) == [*round_, "q", "?"]
    assert few_shot_parts(["q"], shots, task_induction="Do.", repeats=2) == ["Do.", *round_, *round_, "q"]
    assert few_shot_parts(["q"]) == ["q"]
    with pytest.raises(InvalidInput, match="repeats is 0"):
        few_shot_parts(["q"], shots, repeats=0)
    with pytest.raises(InvalidInput, match="expected a query"):
        few_shot_parts([], shots)


def test_the_start_token_stands_once_before_the_first_text(lms):
    tokens, picture = load_tokens(lms.opt), Picture(torch.zeros(3, 2, 2))
    start, words = list(tokens.start_ids), tokens.encode("a b")
    assert len(start) == 1
    assert frozen_prompt([picture, "a b", picture, "a b"], tokens) == [picture, start + words, picture, words]
    assert frozen_prompt(["a b", picture], tokens) == [start + words, picture]
    assert frozen_prompt([picture, ""], tokens) == frozen_prompt([picture], tokens) == [picture, start]


def test_a_picture_that_comes_several_times_is_encoded_once(build):
    model = build()
    red, blue = tiny_frozen.pictures(2)
    shots = [Demonstration(red, " dax"), Demonstration(blue, " blicket")]
    batches = []
    model.encoder.register_forward_hook(lambda module, given, maps: batches.append(len(maps)))
    prompt = model.prompt(few_shot_parts([red, " a"], shots, repeats=3))
    assert sum(isinstance(part, Picture) for part in prompt) == 7
    model.embed_prompts([prompt])
    assert batches == [2]


def test_a_blind_prompt_says_the_same_with_black_pictures(build):
    model = build()
    red, blue = tiny_frozen.pictures(2)
    parts = few_shot_parts([red, " It is"], [Demonstration(blue, " a dax")])
    blind = model.prompt(parts, blind=True)
    pictures = [part.features for part in blind if isinstance(part, Picture)]
    black = model.encoder.blank(torch.zeros(1, 3, 32, 32))[0]
    assert [torch.equal(pixels, black) for pixels in pictures] == [True, True]
    texts = [[part for part in prompt if isinstance(part, list)] for prompt in (blind, model.prompt(parts))]
    assert texts[0] == texts[1]


def test_what_can_not_be_answered_is_refused(build):
    model = build()
    prompt = model.prompt([tiny_frozen.pictures(1)[0], "a"])
    assert model.generate([]) == []
    with pytest.raises(InvalidInput, match="empty"):
        model.generate([prompt, model.prompt([""])])
    with pytest.raises(InvalidInput, match="expected choices that each have a token"):
        model.score_choices(prompt, ["a", ""])
    with pytest.raises(InvalidInput, match="expected choices"):
        model.score_choices(prompt, [])
    with pytest.raises(PromptTooLong, match="the LM has 256"):
        model.generate([prompt], sampling=Sampling(max_new_tokens=254))
    with pytest.raises(PromptTooLong, match="the LM has 256"):
        model.score_choices(prompt, ["a b" * 150])
