"""The original's training options reach the model and the loss, and draw nothing that was drawn without them."""

import dataclasses

import pytest
import torch

from fromage_model.errors import ConfigError
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.worker import Worker
from tests.jobs.finetune.test_step import tiny_args


def worker(world, **settings) -> Worker:
    torch.manual_seed(0)
    return Worker(tiny_args(world, **settings), rank=0, world_size=1)


def test_options_of_the_model_stand_in_its_config(tiny_world):
    config = worker(tiny_world, image_dropout=0.1, shared_width=None, caption_prompt="A photo of").model.config
    assert (config.image_dropout, config.shared_width, config.caption_prompt) == (0.1, None, "A photo of")
    assert worker(tiny_world, text_dropout=0.2).model.trained.text_head.output_dropout.p == 0.2
    with pytest.raises(ConfigError, match="original_captions is True, but the tokenizer of"):
        worker(tiny_world, original_captions=True)


def test_a_model_without_a_shared_width_is_trained(tiny_world):
    trainee = worker(tiny_world, shared_width=None)
    before = {name: value.clone() for name, value in trainee.model.trained.named_parameters()}
    trainee.warm_start()
    trainee.run_epoch(0, None)
    assert [name for name, value in trainee.model.trained.named_parameters() if torch.equal(value, before[name])] == []


def test_loss_scales_weigh_captions_and_retrieval(tiny_world):
    trainee = worker(tiny_world, cap_loss_scale=2.0, ret_loss_scale=0.25)
    parts = {name: float(value.detach()) for name, value in trainee.step(trainee.sampler.draw(0)).items()}
    expected = 2.0 * parts["caption"] + 0.25 * (parts["info_nce"] + parts["next_token"]) + parts["talk"]
    assert parts["loss"] == pytest.approx(expected, rel=1e-4)


def test_captions_of_a_concatenated_step_stand_two_in_a_sequence(tiny_world):
    trainee = worker(tiny_world, concat_captions_prob=1.0, feature_noise=0.0)
    examples = trainee.sampler.draw(0)
    assert examples.concatenate
    found = float(trainee.step(examples)["caption"].detach())
    apart = float(trainee.step(dataclasses.replace(examples, concatenate=False))["caption"].detach())
    captions = [trainee.sampler.caption_of(item) for item in examples.captioned]
    features = torch.from_numpy(trainee.sampler.features[examples.captioned])
    limit = trainee.step.weights.caption_max_tokens
    expected = trainee.model.caption_loss(features, captions, max_tokens=limit, concatenate=True).loss
    assert len(captions) == 2
    assert found == pytest.approx(float(expected.detach()), rel=1e-4)
    assert abs(found - apart) > 1e-3


def test_the_share_of_concatenated_steps_changes_no_other_draw(tiny_world):
    never, half = (worker(tiny_world, concat_captions_prob=share).sampler for share in (0.0, 0.5))
    drawn = [(never.draw(step), half.draw(step), half.draw(step, rank=0)) for step in range(60)]
    assert all(repr(dataclasses.replace(other, concatenate=False)) == repr(plain) for plain, other, _ in drawn)
    assert all(repr(other) == repr(again) for _, other, again in drawn)
    assert not any(plain.concatenate for plain, _, _ in drawn)
    assert 15 < sum(other.concatenate for _, other, _ in drawn) < 45


@pytest.mark.parametrize(
    "setting", [{"concat_captions_prob": 1.5}, {"cap_loss_scale": -1.0}, {"ret_loss_scale": float("nan")}]
)
def test_a_setting_that_cannot_work_is_refused_by_name(setting):
    (name,) = setting
    with pytest.raises(ConfigError, match=f"{name} is .*for example"):
        FinetuneArgs(**setting)
