"""A tiny LM for what decodes."""

import pytest

from fromage_model.fromage import Fromage
from tests.fromage_model import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Fromage:
    """In float32, with a chat template; it goes on until its limit, so that a reply's length is known."""
    place = tmp_path_factory.mktemp("llm")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FROMAGE_HOME", str(place / "home"))
        model = tiny.build(tiny.write_llama(place / "lm"))
    model.tokens.stop_ids = frozenset()
    return model.requires_grad_(False)
