"""The benchmarks of the model library run, say what they promise to, and compare ways that compute one thing."""

import pytest
import torch
from transformers import OPTForCausalLM

from fromage_model.chat.decode import decode
from fromage_model.model import losses
from fromage_model.prompts.messages import Sampling, TextDelta
from fromage_model.prompts.segments import raw_prompt
from tests.benchmarks import bundle_loading, contrastive_step, decoding, sequence_packing
from tests.benchmarks.common import shapes
from tests.jobs import tiny


@pytest.fixture
def lm(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    return shapes.write_lm(tmp_path / "lm", shapes.SHAPES["tiny"])


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield 1
    torch.set_num_threads(before)


def test_decoding_says_what_it_promises(lm, threads, capsys):
    figures = decoding.main(decoding.Args(shape="tiny", new_tokens=3, rounds=1, threads=threads))
    assert list(figures) == ["speedup_batch_1", "speedup_batch_8", "speedup_batch_8_bf16", "share_of_matvec_rate"]
    assert min(figures.values()) > 0
    assert "ours, 8 requests, bf16" in capsys.readouterr().out


def test_reading_everything_again_writes_what_our_decoding_writes(lm):
    model = shapes.build(lm, shapes.SHAPES["tiny"])
    model.tokens.stop_ids = frozenset()
    prompt = raw_prompt([torch.randn(16).numpy(), decoding.QUESTION], model.tokens)
    ids = decoding.reread(model, OPTForCausalLM.from_pretrained(lm).eval(), prompt, new_tokens=12)
    stream = model.tokens.stream()
    events = decode(model, prompt, retrieval="never", sampling=Sampling(max_new_tokens=12))
    written = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert written == "".join(stream.push(token) for token in ids)
    assert len(ids) == 12


def test_sequence_packing_says_what_it_promises(lm, tmp_path, threads, capsys):
    catalogue = tiny.write_squares(tmp_path / "squares")
    args = sequence_packing.Args(
        catalogue=str(tmp_path / "squares"),
        features=str(tiny.write_random_features(tmp_path / "features", catalogue)),
        language_model=str(lm),
        batch_size=4,
        rounds=1,
        threads=threads,
    )
    figures = sequence_packing.main(args)
    assert list(figures) == ["speedup", "positions", "losses_apart"]
    assert figures["speedup"] > 0
    assert figures["positions"] < 1
    assert figures["losses_apart"] < 1e-3
    assert sequence_packing.PACKED in capsys.readouterr().out


def test_contrastive_step_says_what_it_promises(lm, threads, capsys):
    args = contrastive_step.Args(shape="tiny", batch_size=2, rounds=1, threads=threads)
    figures = contrastive_step.main(args)
    assert list(figures) == ["speedup", "memory_ratio"]
    assert contrastive_step.PLAIN in capsys.readouterr().out


def test_both_contrastive_steps_have_one_loss_and_one_gradient(lm, monkeypatch):
    captions = ["red", "a dress", "shoes for the winter", "a coat that keeps the rain out", "a hat", "socks", "gloves"]
    features = torch.randn(len(captions), 16, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(losses, "HEAD_POSITIONS", 64)
    assert sum(min(len(caption), 23) + 1 for caption in captions) > losses.HEAD_POSITIONS
    found = []
    for loss_of in (contrastive_step.plain_loss, contrastive_step.our_loss):
        model = shapes.build(lm, shapes.SHAPES["tiny"]).train()
        loss = loss_of(model, features, captions, max_tokens=24)
        loss.backward()
        found.append((loss.detach(), model.trained.ret.input_row.grad, model.trained.text_head.project[0].weight.grad))
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-4)


def test_bundle_loading_says_what_it_promises(lm, capsys):
    figures = bundle_loading.main(bundle_loading.Args(shape="tiny"))
    assert list(figures) == ["memory_ratio"]
    assert bundle_loading.FULL in capsys.readouterr().out
