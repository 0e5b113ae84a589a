"""The LM's replica is healthy as long as a reply can be expected of it."""

import asyncio

import pytest

from fromage_model.bundle import save_bundle
from fromage_model.language.lean.decoder import LeanDecoder
from services.deployments.bundles import find_bundle
from services.deployments.llm import LlmDeployment
from services.deployments.writer import HOPELESS_STEPS
from services.swapping.pairs import Pair
from tests.fromage_model import tiny
from tests.services.deployments.test_writer import read


def test_a_replica_is_unhealthy_when_step_after_step_fails_and_well_when_one_succeeds(model, tmp_path, monkeypatch):
    folder = tmp_path / "bundle"
    save_bundle(model, folder, feature_width=tiny.FEATURE_WIDTH, encoder_fingerprint="none", lineage={})
    options = {"concurrency": 1, "queue": 16, "least_rate": 5.0, "gather_s": 0.0, "quantize": "none", "prefix_bytes": 0}
    fingerprint, encoder = find_bundle(str(folder))
    pair = Pair("p", str(folder), "an index", catalogue="a catalogue", fingerprint=fingerprint, encoder=encoder)
    replica = LlmDeployment.func_or_class(pair, device="cpu", threads=1, **options)

    def fail(*_) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as broken:
        broken.setattr(LeanDecoder, "prefill_many", fail)
        for _ in range(HOPELESS_STEPS):
            asyncio.run(replica.check_health())
            with pytest.raises(RuntimeError, match="out of memory"):
                asyncio.run(read(replica.writer))
        with pytest.raises(RuntimeError, match=f"last {HOPELESS_STEPS} steps"):
            asyncio.run(replica.check_health())
    asyncio.run(read(replica.writer))
    asyncio.run(replica.check_health())
