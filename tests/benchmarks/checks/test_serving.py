"""The benchmark of serving runs, says what it promises to, and asks every side for the same."""

import pytest
import torch

from fromage_model.prompts.segments import token_count
from tests.benchmarks.serving import __main__ as serving
from tests.benchmarks.serving import http, llama_cpp
from tests.benchmarks.serving.engine import served_model
from tests.benchmarks.serving.sides import MAKERS, Args
from tests.benchmarks.serving.workload import PROMPT_TOKENS, WISH, Span, decode_rate, prompt_of, whole_rate


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield 1
    torch.set_num_threads(before)


def test_serving_says_what_it_promises(threads, served_url, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(http, "OTHERS", 2)
    monkeypatch.setattr(http, "OTHERS_TOKENS", 16)
    figures = serving.main(Args(counts=(1, 2), new_tokens=4, rounds=1, threads=threads, url=served_url))
    for name in ("engine", "http", "generate", "share_of_products"):
        assert list(figures[name]) == ["1", "2"]
        assert min(figures[name].values()) > 0
    assert {"first_token_ratio", "memory_mb", "load"} < figures.keys()
    assert "llama_cpp" not in figures
    assert "llama_cpp is left out: npm is not installed" in capsys.readouterr().out


def test_the_wish_makes_the_prompt_that_all_sides_have():
    model = served_model()
    assert token_count(prompt_of(model, WISH), visual_tokens=model.config.visual_tokens) == PROMPT_TOKENS


def test_rates_are_those_of_all_replies_together():
    spans = [Span(asked_s=0.0, first_s=1.0, last_s=3.0, tokens=5), Span(asked_s=0.0, first_s=2.0, last_s=4.0, tokens=3)]
    assert decode_rate(spans) == 4 / 2 + 2 / 2
    assert whole_rate(spans) == 8 / 4


def test_every_side_can_be_asked_for():
    assert set(MAKERS) == set(Args().sides)


def test_a_machine_without_binaries_leaves_llama_cpp_out(monkeypatch, tmp_path):
    monkeypatch.setattr(llama_cpp.platform, "machine", lambda: "riscv64")
    with pytest.raises(llama_cpp.LeftOut, match="riscv64"):
        llama_cpp.LlamaCpp(tmp_path, threads=1)
