"""Compiled layers have the losses and gradients of plain ones, for all batches by the same code; or are refused."""

from collections.abc import Iterator

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config as inductor
from torch._inductor.utils import fresh_cache

from fromage_model.errors import ConfigError
from fromage_model.fromage import Fromage
from fromage_model.language.compiling import compile_layers
from fromage_model.language.lora import add_lora
from fromage_model.language.lora_settings import LoraSettings
from fromage_model.language.recomputing import recompute_layers
from tests.fromage_model import tiny

BATCHES = (
    ["a red dress for the long winter", "shoes"],
    ["a hat", "two", "a scarf of wool", "x"],
    ["shoes for rain", "boots", "a belt"],
    ["a red dress for the longest winter of all", "a coat", "one", "gloves", "socks"],
)


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    """Whatever other tests let torch compile in this process. Scalar loops take the compiler a part of the time."""
    torch._dynamo.reset()
    with inductor.patch({"cpp.simdlen": 1}):
        yield
    torch._dynamo.reset()


def learned(model: Fromage) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Both losses of each batch, and all their gradients, by the same dropout each time."""
    torch.manual_seed(0)
    model.zero_grad()
    losses = []
    for captions in BATCHES:
        features = tiny.features(len(captions))
        loss = model.caption_loss(features, captions).loss + model.contrastive_loss(features, captions).loss
        loss.backward()
        losses.append(float(loss.detach()))
    return losses, {name: value.grad for name, value in model.trained.named_parameters()}


def assert_alike(found: Fromage, expected: Fromage) -> None:
    (losses, gradients), (plain_losses, plain_gradients) = learned(found), learned(expected)
    assert losses == pytest.approx(plain_losses, rel=1e-5)
    assert gradients.keys() == plain_gradients.keys()
    for name, gradient in plain_gradients.items():
        assert float((gradients[name] - gradient).norm()) <= 1e-5 * float(gradient.norm()) + 1e-7, name


def test_gradients_are_equal_with_dropout_and_recomputing_and_one_graph_serves_layers_and_batches(tmp_path):
    folder = tiny.write_llama(tmp_path / "lm")
    plain, compiled = tiny.build(folder).train(), tiny.build(folder).train()
    for model in (plain, compiled):
        model.trained.lora = add_lora(model.lm, LoraSettings(rank=2, dropout=0.3), seed=0).train()
    assert compile_layers(compiled.lm.backbone) == plain.lm.backbone.config.num_hidden_layers > 1
    before = counters["stats"]["unique_graphs"]
    assert_alike(compiled, plain)
    recompute_layers(compiled.lm.backbone)
    assert_alike(compiled, plain)
    with torch.no_grad():
        compiled.caption_loss(tiny.features(2), BATCHES[0])
    assert counters["stats"]["unique_graphs"] == before + 1
    assert counters["graph_break"] == {}


@pytest.mark.parametrize(
    ("compiler", "told"),
    [
        ("/nowhere/c++", "compile needs a C\\+\\+ compiler, and torch finds none; install one .* leave --compile out"),
        ("/bin/true", "compile does not work for cpu: .* leave --compile out"),
    ],
    ids=["none", "one that makes nothing"],
)
def test_without_a_compiler_that_works_it_is_refused_in_one_line(tmp_path, compiler, told):
    model = tiny.build(tiny.write_llama(tmp_path / "lm"))
    with fresh_cache(), inductor.patch({"cpp.cxx": (None, compiler)}), pytest.raises(ConfigError, match=told) as error:
        compile_layers(model.lm.backbone)
    assert "\n" not in str(error.value)
