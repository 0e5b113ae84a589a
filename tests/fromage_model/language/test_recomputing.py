"""Layers that are computed again for the gradient give the same gradient, and hold less meanwhile."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from fromage_model.fromage import Fromage
from fromage_model.language.lora import add_lora
from fromage_model.language.lora_settings import LoraSettings
from fromage_model.language.recomputing import recompute_layers
from tests.fromage_model import tiny

CAPTIONS = ["a red dress for the long winter", "shoes"]


def losses_of(model: Fromage) -> tuple[float, dict[str, torch.Tensor], int]:
    """Both losses together, their gradients, and the bytes that are held for these."""
    held: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    features = tiny.features(2)
    own = {value.untyped_storage().data_ptr() for value in [*model.parameters(), *model.buffers()]}
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model.caption_loss(features, CAPTIONS).loss + model.contrastive_loss(features, CAPTIONS).loss
    size = sum(bytes for place, bytes in held.items() if place not in own)
    loss.backward()
    return float(loss.detach()), {name: value.grad for name, value in model.trained.named_parameters()}, size


@pytest.mark.parametrize("lora", [False, True], ids=["frozen", "lora"])
@pytest.mark.parametrize("write", [tiny.write_llama, tiny.write_opt], ids=["llama", "opt"])
def test_gradients_are_equal_and_less_is_held_for_them(tmp_path, write, lora):
    folder = write(tmp_path / "lm")
    plain, thrifty = tiny.build(folder), tiny.build(folder)
    if lora:
        for model in (plain, thrifty):
            model.trained.lora = add_lora(model.lm, LoraSettings(rank=2, dropout=0.0), seed=0)
    assert recompute_layers(thrifty.lm.backbone) == plain.lm.backbone.config.num_hidden_layers
    loss, gradients, size = losses_of(plain)
    same_loss, same_gradients, less = losses_of(thrifty)
    assert same_loss == pytest.approx(loss, abs=1e-6)
    assert same_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(same_gradients[name], gradient, atol=1e-6, rtol=1e-5, msg=name)
    assert less < 0.75 * size
