"""The config goes to JSON and back unchanged, and refuses what can't work by the field's name."""

import hashlib
import json
import math

import pytest

from fromage_model.config import FromageConfig
from fromage_model.errors import ConfigError
from fromage_model.header import HEADER, WEIGHTS, bundle_fingerprint
from fromage_model.storage.artefacts import file_sha256, locate

FIRST_FIELDS = {
    "language_model": "smollm2-135m-instruct",
    "vision_encoder": "efficientnet-lite0",
    "visual_tokens": 2,
    "shared_width": 256,
    "text_layers": [-1, 24],
    "two_ret_rows": True,
    "caption_prompt": "A picture of",
    "system_prompt": "You are a helpful fashion assistant.",
}


def test_json_and_back_is_the_same_config():
    for config in (
        FromageConfig(visual_tokens=2, text_layers=(-1, 3), two_ret_rows=True, caption_prompt="Ein Bild von 👗"),
        FromageConfig(shared_width=None, original_captions=True, image_dropout=0.1),
        FromageConfig(text_dropout=0.2),
    ):
        assert FromageConfig.from_dict(json.loads(config.to_json())) == config


def test_a_config_of_the_first_fields_is_written_as_it_always_was():
    config = FromageConfig.from_dict(FIRST_FIELDS)
    assert config.to_json() == json.dumps(FIRST_FIELDS, indent=2, sort_keys=True)
    assert config.to_dict() == FIRST_FIELDS | {"text_layers": (-1, 24)}


@pytest.mark.parametrize(
    "later",
    [
        {"image_dropout": 0.1},
        {"text_dropout": 0.1},
        {"original_captions": True},
        {"picture_weight": 1.0},
        {"max_tokens_before_ret": 0},
        {"show_calibration": (0.7, -1.0)},
        {"show_threshold": 0.4},
        {"show_log_odds_pictured": -1.5},
    ],
)
def test_a_later_field_is_written_where_it_says_something(later):
    (name,) = later
    assert FromageConfig(**later).to_dict()[name] == later[name]
    assert name not in FromageConfig().to_dict()


def test_the_shipped_bundle_s_fingerprint_is_over_its_config_as_it_stands_in_the_file():
    folder = locate("bundle", "default")
    header = json.loads((folder / HEADER).read_text())
    said = [json.dumps(header["config"], indent=2, sort_keys=True)]
    said += [header["encoder_fingerprint"], header["lm_fingerprint"], file_sha256(folder / WEIGHTS)]
    assert bundle_fingerprint("default") == hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


def test_a_list_of_layers_from_json_is_a_tuple_again():
    assert FromageConfig.from_dict({"text_layers": [-1, 2]}).text_layers == (-1, 2)


@pytest.mark.parametrize(
    "field",
    [
        {"visual_tokens": 0},
        {"visual_tokens": 65},
        {"shared_width": 0},
        {"picture_weight": -1.0},
        {"max_tokens_before_ret": -1},
        {"text_layers": ()},
        {"text_layers": (1, 1)},
        {"image_dropout": 1.0},
        {"text_dropout": -0.1},
        {"show_calibration": (0.0, 1.0)},
        {"show_calibration": (1.0, float("nan"))},
        {"show_threshold": 1.0},
        {"show_log_odds_pictured": float("nan")},
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(field):
    (name,) = field
    with pytest.raises(ConfigError, match=f"{name} is .*for example"):
        FromageConfig(**field)


def test_the_threshold_s_log_odds_are_those_of_which_calibration_makes_it():
    config = FromageConfig(show_calibration=(0.5, -1.0), show_threshold=0.8)
    assert 1 / (1 + math.exp(-(0.5 * config.show_log_odds - 1.0))) == pytest.approx(0.8)
    assert FromageConfig(show_calibration=(0.5, -1.0)).show_log_odds is None


def test_dropout_after_a_map_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"text_dropout is 0.1, .* shared_width, for example 256"):
        FromageConfig(shared_width=None, text_dropout=0.1)


def test_an_unknown_field_is_named_beside_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown fields colour; known are .*visual_tokens"):
        FromageConfig.from_dict({"colour": "red"})
