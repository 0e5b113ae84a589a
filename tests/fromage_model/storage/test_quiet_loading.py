"""A folder is opened without a word where it holds what is wanted; what has no place in the model is named."""

import logging
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ResNetConfig, ResNetForImageClassification

from fromage_model.errors import CheckpointError
from fromage_model.language.model import load_language_model
from tests.fromage_model import tiny
from tests.fromage_model.vision.test_encoders import write_clip

OPEN = """
from fromage_model.llama_adapter.loading import _load_clip
from fromage_model.vision.encoders import load_squares, load_vision_encoder
from fromage_model.vision.feature_map_weights import load_feature_map_encoder

for folder in (CLIP, RESNET):
    load_vision_encoder(folder)
    load_squares(folder)
load_feature_map_encoder(RESNET)
_load_clip(CLIP)
"""


@pytest.fixture
def own_lm(tmp_path, own_home):
    return tiny.write_llama(tmp_path / "lm")


def test_the_text_tower_of_a_clip_and_the_classifier_of_a_resnet_are_not_worth_a_word(tmp_path, own_home):
    clip = write_clip(tmp_path / "clip", patch=32, width=24, whole=True)
    sizes = {"embedding_size": 8, "hidden_sizes": [16, 24], "depths": [1, 2], "layer_type": "bottleneck"}
    ResNetForImageClassification(ResNetConfig(**sizes)).save_pretrained(tmp_path / "resnet")
    (tmp_path / "resnet" / "preprocessor_config.json").write_text('{"size": 32}')
    program = f"CLIP, RESNET = {str(clip)!r}, {str(tmp_path / 'resnet')!r}{OPEN}"
    opened = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (opened.returncode, opened.stdout, opened.stderr) == (0, "", "")


def test_weights_that_have_no_place_in_the_model_are_named_in_a_line(own_lm, caplog):
    tensors = load_file(own_lm / "model.safetensors")
    surplus = {"model.colour.weight": torch.ones(2)}
    save_file(tensors | surplus, own_lm / "model.safetensors", metadata={"format": "pt"})
    with caplog.at_level(logging.WARNING, logger="fromage_model"):
        load_language_model(own_lm, vocabulary=200)
    (line,) = caplog.messages
    assert line == f"{own_lm}: LlamaForCausalLM has no place for 1 weights: model.colour.weight"


def test_a_weight_of_another_shape_is_refused_with_both_shapes(own_lm):
    tensors = load_file(own_lm / "model.safetensors")
    changed = tensors | {"model.norm.weight": torch.ones(7)}
    save_file(changed, own_lm / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight is \(7,\) and should be \(\d+,\)"):
        load_language_model(own_lm, vocabulary=200)
