"""The config goes to JSON and back unchanged, and refuses what can't work by the field's name."""

import json

import pytest

from fromage_model.config import FromageConfig
from fromage_model.errors import ConfigError


def test_json_and_back_is_the_same_config():
    config = FromageConfig(visual_tokens=2, text_layers=(-1, 3), two_ret_rows=True, caption_prompt="Ein Bild von 👗")
    assert FromageConfig.from_json(config.to_json()) == config


def test_a_list_of_layers_from_json_is_a_tuple_again():
    assert FromageConfig.from_dict({"text_layers": [-1, 2]}).text_layers == (-1, 2)


@pytest.mark.parametrize(
    "field",
    [
        {"visual_tokens": 0},
        {"visual_tokens": 65},
        {"shared_width": 0},
        {"picture_weight": -1.0},
        {"text_layers": ()},
        {"text_layers": (1, 1)},
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(field):
    (name,) = field
    with pytest.raises(ConfigError, match=f"{name} is .*for example"):
        FromageConfig(**field)


def test_an_unknown_field_is_named_beside_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown fields colour; known are .*visual_tokens"):
        FromageConfig.from_json(json.dumps({"colour": "red"}))
