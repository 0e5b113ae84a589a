"""A setting that can't work is refused by name before Ray starts; the layers fit any LM."""

import dataclasses

import pytest
import tyro

from fromage_model.errors import ConfigError
from fromage_model.storage.pretrained import DEFAULT_VISION_ENCODER
from jobs.finetune.job import main
from jobs.finetune.model_config import choose_layers, config_of
from jobs.finetune.settings import FinetuneArgs
from tests.jobs.finetune.test_step import tiny_args


@pytest.mark.parametrize(
    "wrong",
    [
        {"visual_tokens": 0},
        {"shared_width": 0},
        {"image_dropout": 1.5},
        {"dropout": 2.0},
        {"picture_weight": -1.0},
        {"phrasings": 0},
        {"text_layers": (-1, 24)},
        {"caption_max_tokens": 600},
        {"caption_max_tokens": 300, "concat_captions_prob": 0.5},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_setting_that_can_t_work_is_refused_by_name_before_anything_is_started_or_written(
    wrong, tiny_world, tmp_path, monkeypatch
):
    def start(**_):
        raise AssertionError("Ray is started")

    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path))
    monkeypatch.setattr("jobs.finetune.job.ray_session", start)
    with pytest.raises(ConfigError, match=f"^{next(iter(wrong))} "):
        main(tiny_args(tiny_world, **wrong))
    assert not (tmp_path / "runs").exists()


def test_without_layers_a_run_takes_the_last_and_one_that_the_lm_has(tiny_world):
    args = choose_layers(tiny_args(tiny_world, text_layers=None))
    assert args.text_layers == (-1, 1)
    assert config_of(args, encoder=DEFAULT_VISION_ENCODER).text_layers == (-1, 1)
    chosen = tiny_args(tiny_world, text_layers=(0, 2))
    assert choose_layers(chosen) == chosen


def test_a_decision_reads_the_middle_of_the_lm_and_its_last_layer_unless_others_are_given(tiny_world):
    args = choose_layers(tiny_args(tiny_world, ret_hidden=4))
    assert args.ret_layers == (1, -1)
    assert config_of(args, encoder=DEFAULT_VISION_ENCODER).ret_layers == (1, -1)
    assert choose_layers(FinetuneArgs(ret_hidden=4)).ret_layers == (15, 21, -1)
    assert choose_layers(tiny_args(tiny_world, ret_hidden=4, ret_layers=(0,))).ret_layers == (0,)
    with pytest.raises(ConfigError, match=r"ret_layers has 7, but the LM has layers 0 .* to 2"):
        choose_layers(tiny_args(tiny_world, ret_hidden=4, ret_layers=(7,)))
    with pytest.raises(ConfigError, match=r"ret_hidden is 4.* max_tokens_before_ret 0, and it is None"):
        tiny_args(tiny_world, ret_hidden=4, max_tokens_before_ret=None)


def test_the_embedded_lm_s_layers_are_those_of_the_shipped_bundle():
    assert choose_layers(FinetuneArgs()).text_layers == (-1, 24)


def test_layers_can_be_given_on_the_command_line_or_left_open():
    assert tyro.cli(FinetuneArgs, args=["--text-layers", "-1", "3"]).text_layers == (-1, 3)
    assert tyro.cli(FinetuneArgs, args=[]) == dataclasses.replace(FinetuneArgs(), text_layers=None)
