"""FrozenModel against transformers' own forward over hand-made embeddings, on three LMs; who learns, who does not."""

import pytest
import torch
from torch.nn import functional as F

from fromage_model import FrozenModel
from fromage_model.errors import ConfigError, InvalidInput, PromptTooLong
from fromage_model.frozen.prompts import Demonstration, few_shot_parts
from tests.fromage_model import tiny_frozen
from tests.fromage_model.frozen.reference import read, read_prompt


def text_ids(model, text: str) -> list[int]:
    return [*model.tokens.start_ids, *model.tokens.encode(text)]


@pytest.mark.parametrize("kind", ["global", "local", "duel", "grid"])
@pytest.mark.parametrize("lm", ["gpt2", "opt", "llama"])
@torch.no_grad()
def test_logits_over_prefix_and_text_are_transformers_own(build, lm, kind):
    model = build(lm, visual_map=kind)
    images = tiny_frozen.pictures(2)
    ids = torch.randint(5, 250, (2, 6), generator=torch.Generator().manual_seed(1))
    maps = model.encoder(model.preprocess(images))
    prefix = model.visual_map(maps)
    assert prefix.shape[1] == {"global": 2, "local": 4, "duel": 6, "grid": 4}[kind]
    logits = model(images, ids)
    assert logits.shape == (2, prefix.shape[1] + 6, model.tokens.vocabulary)
    for row in range(2):
        torch.testing.assert_close(logits[row], read(model, [prefix[row], ids[row].tolist()]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model(model.preprocess(images), {"input_ids": ids}), logits)


@pytest.mark.parametrize("lm", ["gpt2", "opt", "llama"])
@torch.no_grad()
def test_padding_on_either_side_moves_nothing(build, lm):
    model = build(lm)
    images = tiny_frozen.pictures(2)
    short, long = text_ids(model, "a red"), text_ids(model, "something warm for the winter")
    gap = len(long) - len(short)
    mask = torch.tensor([[1] * len(short) + [0] * gap, [1] * len(long)])
    alone = model(images[:1], torch.tensor([short]))[0]
    right = model(images, {"input_ids": torch.tensor([short + [7] * gap, long]), "attention_mask": mask})
    left = model(images, {"input_ids": torch.tensor([[7] * gap + short, long]), "attention_mask": mask.flip(1)})
    torch.testing.assert_close(right[0, : 2 + len(short)], alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(left[0, 2 + gap :], alone[2:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("lm", ["gpt2", "opt", "llama"])
@torch.no_grad()
def test_the_loss_is_the_cross_entropy_of_caption_tokens_alone(build, lm):
    model = build(lm)
    images, captions = tiny_frozen.pictures(3), ["a red dress", "shoes", "something warm for the winter, please"]
    contexts = ["", "What is this?", "Q: A:"]
    total, count = 0.0, 0
    for image, caption, context in zip(images, captions, contexts, strict=True):
        given = text_ids(model, context)
        body = [*model.tokens.encode(caption), model.tokens.stop_id][:8]
        logits = read(model, [model.visual_prefix([image])[0], given, body])
        predicted = logits[-len(body) - 1 : -1]
        total += float(F.cross_entropy(predicted, torch.tensor(body), reduction="sum"))
        count += len(body)
    loss = model.caption_loss(images, captions, contexts=contexts, max_tokens=8)
    assert loss.tokens == count
    assert float(loss.loss) == pytest.approx(total / count, rel=1e-4)


@pytest.mark.parametrize("kind", ["duel", "grid"])
@pytest.mark.parametrize("lm", ["gpt2", "opt", "llama"])
def test_a_step_trains_encoder_and_map_and_leaves_the_lm_bit_equal(build, lm, kind):
    model = build(lm, visual_map=kind).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimiser = torch.optim.AdamW((one for one in model.parameters() if one.requires_grad), lr=1e-3)
    losses = []
    for _ in range(5):
        loss = model.caption_loss(tiny_frozen.pictures(4), ["red", "blue", "green", "a dress"]).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    assert all(parameter.grad is None for parameter in model.lm.parameters())
    after = model.state_dict()
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    assert not any(key.startswith("lm.") for key in changed)
    trained = {key for key, parameter in model.named_parameters() if not key.startswith("lm.")}
    assert trained <= changed
    assert not any(module.training for module in model.lm.modules())


def test_gradients_through_the_lm_are_those_of_the_plain_computation(build):
    model = build(visual_map="duel")
    images, captions = tiny_frozen.pictures(2), ["red", "a dress"]
    stem = model.encoder.backbone.embedder.embedder.convolution
    maps = model.visual_map
    weights = [maps.of_whole.prefix.project.weight, maps.of_cells.prefix.project.bias, stem.weight]
    losses = []
    for image, caption in zip(images, captions, strict=True):
        body = [*model.tokens.encode(caption), model.tokens.stop_id]
        predicted = read(model, [model.visual_prefix([image])[0], body])[-len(body) - 1 : -1]
        losses.append(F.cross_entropy(predicted, torch.tensor(body), reduction="none"))
    expected = torch.autograd.grad(torch.cat(losses).mean(), weights)
    gradients = torch.autograd.grad(model.caption_loss(images, captions).loss, weights)
    for gradient, plain in zip(gradients, expected, strict=True):
        assert float(plain.norm()) > 0
        torch.testing.assert_close(gradient, plain, atol=1e-4 * float(plain.abs().max()), rtol=1e-3)


def test_a_frozen_encoder_learns_nothing_and_its_first_stages_less(build):
    whole, stages = build(freeze_encoder=True).train(), build(frozen_stages=2).train()
    for model in (whole, stages):
        before = {key: value.clone() for key, value in model.encoder.state_dict().items()}
        model.caption_loss(tiny_frozen.pictures(2), ["red", "blue"]).loss.backward()
        with_gradient = {key for key, parameter in model.encoder.named_parameters() if parameter.grad is not None}
        moved = {key for key, value in model.encoder.state_dict().items() if not torch.equal(value, before[key])}
        assert model.visual_map.prefix.project.weight.grad.abs().sum() > 0
        touched = {".".join(key.split(".")[:4]) for key in with_gradient | moved}
        assert touched == (set() if model is whole else {"backbone.encoder.stages.1"})


@pytest.mark.parametrize("kind", ["global", "local", "duel", "grid"])
@torch.no_grad()
def test_each_picture_s_prefix_is_equal_alone_and_in_a_batch(build, kind):
    model = build(visual_map=kind)
    images = tiny_frozen.pictures(4)
    alone = torch.cat([model.visual_prefix([image]) for image in images])
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)
    torch.testing.assert_close(model.visual_prefix(images), alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("lm", ["gpt2", "opt", "llama"])
@torch.no_grad()
def test_prompts_of_one_and_of_six_pictures_read_together_as_alone(build, lm):
    model = build(lm)
    images = tiny_frozen.pictures(6)
    shots = [Demonstration(image, f" This is {index}.") for index, image in enumerate(images[:5])]
    many = model.prompt(few_shot_parts([images[5], " This is"], shots, task_induction="Answer."))
    one = model.prompt([images[5], "This is"])
    batch = model.embed_prompts([one, many])
    positions = (batch.mask.cumsum(1) - 1).clamp(min=0)
    last = model.lm(batch.embeddings, attention_mask=batch.mask, position_ids=positions).last
    for row, prompt in enumerate((one, many)):
        logits = model.lm.logits(last[row, : batch.lengths[row]])
        torch.testing.assert_close(logits, read_prompt(model, prompt), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        model(images[5:], torch.tensor([text_ids(model, "This is")]))[0], read_prompt(model, one), atol=1e-4, rtol=1e-4
    )


@torch.no_grad()
def test_a_blind_model_sees_one_constant_whatever_the_picture(build):
    model = build()
    first, second = tiny_frozen.pictures(2)
    ids = torch.tensor([[5, 6, 7]])
    assert not torch.equal(model([first], ids), model([second], ids))
    assert torch.equal(model([first], ids, blind=True), model([second], ids, blind=True))
    losses = [float(model.caption_loss([image], ["red"], blind=True).loss) for image in (first, second)]
    assert losses[0] == losses[1] != float(model.caption_loss([first], ["red"]).loss)


def test_what_does_not_fit_the_positions_is_refused_before_the_lm_reads(build):
    model = build("opt")
    image = tiny_frozen.pictures(1)
    with pytest.raises(PromptTooLong, match="take 257 positions, the LM has 256"):
        model(image, torch.full((1, 255), 7))
    with pytest.raises(PromptTooLong, match="the LM has 256"):
        model.embed_prompts([model.prompt([image[0], "a "] * 90)])


def test_inputs_that_do_not_fit_each_other_are_refused(build):
    model = build()
    images = tiny_frozen.pictures(2)
    with pytest.raises(InvalidInput, match="2 pictures and 1 texts"):
        model(images, torch.tensor([[5]]))
    with pytest.raises(InvalidInput, match=f"5 to 9999, the LM's vocabulary from 0 to {model.tokens.vocabulary - 1}"):
        model(images, torch.tensor([[5], [9999]]))
    with pytest.raises(InvalidInput, match="expected integer ids"):
        model(images, torch.zeros(2, 4))
    with pytest.raises(InvalidInput, match="2 pictures, 1 captions and 1 contexts"):
        model.caption_loss(images, ["one"])
    with pytest.raises(InvalidInput, match="max_tokens is 0"):
        model.caption_loss(images, ["one", "two"], max_tokens=0)
    with pytest.raises(InvalidInput, match=r"got a tensor \(3, 32\)"):
        model.prompt([torch.zeros(3, 32)])
    with pytest.raises(InvalidInput, match="what was made of them can't be made blind"):
        model.prompt([torch.zeros(3)], blind=True)
    prompt = model.prompt([torch.zeros(3, 32, 32), torch.zeros(3, 64, 64)])
    with pytest.raises(InvalidInput, match=r"one size, got \[\(3, 32, 32\), \(3, 64, 64\)\]"):
        model.embed_prompts([prompt])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"visual_map": "dual"}, "visual_map is 'dual'"),
        ({"global_tokens": 0}, "global_tokens is 0"),
        ({"local_cells": (4, 0)}, "local_cells is"),
        ({"grid_layers": 9}, "grid_layers is 9"),
        ({"frozen_stages": -1}, "frozen_stages is -1"),
        ({"frozen_stages": 4}, "frozen_stages is 4; resnet has 3"),
        ({"visual_tokens": 4}, "unknown fields visual_tokens; known are"),
    ],
)
def test_settings_that_can_not_work_are_refused_by_their_name(build, settings, message):
    with pytest.raises(ConfigError, match=message):
        build(**settings)


@torch.no_grad()
def test_the_embedded_defaults_work_and_see():
    model = FrozenModel.from_pretrained("smollm2-135m-instruct")
    images = tiny_frozen.pictures(2)
    logits = model(images, torch.tensor([model.tokens.encode("A picture of")] * 2))
    assert logits.shape == (2, 5, 49152)
    assert torch.isfinite(logits).all()
    assert not torch.allclose(logits[0], logits[1], atol=1e-2)
