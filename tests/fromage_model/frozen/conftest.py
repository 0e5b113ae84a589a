"""FROZEN models over three small LMs: GPT-2, OPT and an untied LLaMA, each behind a small ResNet."""

import pytest

from tests.fromage_model import tiny_frozen


@pytest.fixture(scope="session")
def folders(lms, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    gpt2, resnet = tiny_frozen.write_gpt2(folder / "gpt2"), tiny_frozen.write_resnet(folder / "resnet")
    return {"gpt2": gpt2, "opt": lms.opt, "llama": lms.untied, "resnet": resnet}


@pytest.fixture
def build(folders, own_home):
    """`build("opt", visual_map="grid")` -> an untrained model in float32; settings as FrozenConfig has them."""
    return lambda lm="gpt2", **settings: tiny_frozen.build(folders[lm], folders["resnet"], **settings)
