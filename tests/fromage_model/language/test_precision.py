"""Every precision computes float32's losses up to its rounding, trains in float32, and leaves what is frozen alone."""

import pytest
import torch

from fromage_model.errors import ConfigError
from fromage_model.fromage import Fromage
from fromage_model.language.precision import Precision
from tests.fromage_model import tiny

CAPTIONS = ["a red dress", "shoes", "something warm"]
DTYPES = ("float32", "bfloat16", "float16")


def losses(model: Fromage) -> list[torch.Tensor]:
    """Contrast, next token, caption, and a reply after [RET]."""
    features = tiny.features(3)
    contrast = model.contrastive_loss(features, CAPTIONS)
    prompts = [[model.tokens.encode(text), [model.tokens.ret_id]] for text in CAPTIONS]
    reply = model.reply_loss(prompts, [model.tokens.encode("Here.")] * 3, through_lm=True)
    return [contrast.info_nce, contrast.next_token, model.caption_loss(features, CAPTIONS).loss, reply]


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("lm", ["chat", "opt"])
def test_losses_and_gradients_are_float32_s_up_to_rounding(lms, own_home, lm, name):
    exact, rounded = (tiny.build(getattr(lms, lm), dtype=dtype) for dtype in ("float32", name))
    assert rounded.lm.dtype == getattr(torch, name)
    frozen = {key: value.clone() for key, value in rounded.lm.state_dict().items()}
    for found, expected in zip(losses(rounded), losses(exact), strict=True):
        assert found.dtype == torch.float32
        assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=0.05)
    for model in (exact, rounded):
        scaler = torch.amp.GradScaler("cpu", init_scale=256.0, enabled=Precision(model.lm.dtype).loss_scaling)
        optimizer = torch.optim.SGD(model.trained.parameters(), lr=0.1)
        scaler.scale(torch.stack(losses(model)).sum()).backward()
        scaler.unscale_(optimizer)
    for (key, found), (_, expected) in zip(
        rounded.trained.named_parameters(), exact.trained.named_parameters(), strict=True
    ):
        assert found.dtype == found.grad.dtype == torch.float32
        similarity = torch.cosine_similarity(found.grad.flatten(), expected.grad.flatten(), dim=0)
        assert similarity > 0.98, key
    assert all(torch.equal(value, frozen[key]) for key, value in rounded.lm.state_dict().items())


@pytest.mark.parametrize("name", DTYPES)
def test_a_name_and_its_dtype_are_the_same_choice(name):
    precision = Precision.choose(name, "cpu")
    assert precision == Precision.choose(getattr(torch, name), "cpu")
    assert (precision.lm, precision.trained) == (getattr(torch, name), torch.float32)
    assert precision.loss_scaling == (name == "float16")


def test_auto_is_what_the_hardware_multiplies(monkeypatch):
    for multiplies, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda multiplies=multiplies: multiplies)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        assert Precision.choose("auto", "cpu").lm == Precision.choose(None, "cpu").lm == expected
    for supported, expected in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda supported=supported, **_: supported)
        assert Precision.choose("auto", "cuda").lm == expected


@pytest.mark.parametrize("name", ["int8", "half", torch.int8])
def test_another_dtype_is_refused_with_those_that_there_are(name):
    with pytest.raises(ConfigError, match="expected one of auto, float32, bfloat16, float16"):
        Precision.choose(name, "cpu")
