"""How many replies are decoded at once follows from free memory and from how the step's time grows."""

import ctypes

import pytest
import torch
from transformers import DynamicCache

from services.deployments import capacity
from services.deployments.capacity import (
    FEWEST,
    MOST,
    chat_bytes,
    free_bytes,
    give_back_memory,
    measure_capacity,
    step_s,
)
from tests.benchmarks.common.memory import status_bytes
from tests.fromage_model import tiny

GIB = 2**30


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    place = tmp_path_factory.mktemp("capacity")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FROMAGE_HOME", str(place / "home"))
        model = tiny.build(tiny.write_llama(place / "lm"))
    return model.requires_grad_(False)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step takes 10 ms for each reply, and memory is no limit."""
    monkeypatch.setattr(capacity, "step_s", lambda model, rows: rows / 100)
    monkeypatch.setattr(capacity, "free_bytes", lambda device: 1000 * GIB)


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(("least_rate", "chosen"), [(5, 16), (12.5, 8), (49, 2), (1000, FEWEST), (0.001, MOST)])
def test_the_most_replies_are_chosen_that_each_get_the_rate(model, least_rate, chosen):
    assert measure_capacity(model, least_rate=least_rate).replies == chosen


@pytest.mark.usefixtures("steps")
def test_the_reason_names_what_would_be_too_slow(model):
    assert measure_capacity(model, least_rate=5).reason == "each of 32 would get 3.1 tokens/s, less than 5"


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(("chats", "chosen"), [(0, FEWEST), (9, 8), (10_000, MOST)])
def test_no_more_are_chosen_than_memory_holds(model, chats, chosen, monkeypatch):
    free = chats * chat_bytes(model.lm) / capacity.SHARE_OF_FREE_MEMORY
    monkeypatch.setattr(capacity, "free_bytes", lambda device: free)
    assert measure_capacity(model, least_rate=0.001).replies == chosen


def test_a_chat_is_counted_as_what_the_lm_keeps_of_it(model):
    cache = model.lm(torch.zeros(1, 3, model.lm.width), cache=DynamicCache()).cache
    kept = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert chat_bytes(model.lm) == kept // 3 * min(capacity.LONG_CHAT, model.lm.max_positions)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library gives nothing back")
def test_memory_that_was_freed_goes_back_to_the_system():
    freed = [torch.zeros(1000) for _ in range(50_000)]
    kept = freed[-1]
    del freed
    held = status_bytes("VmRSS")
    give_back_memory()
    assert kept.numel() == 1000
    assert held - status_bytes("VmRSS") > 100 * 2**20


def test_a_step_is_timed_with_all_replies_in_it(model):
    rows = []
    hook = model.lm.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    assert step_s(model, rows=3) > 0
    hook.remove()
    assert rows.count(3) > capacity.STEPS


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 1\ninactive_file 50"}, 350),
        ({"memory.max": "max", "memory.current": "700", "memory.stat": ""}, None),
        ({"memory/memory.limit_in_bytes": "90", "memory/memory.usage_in_bytes": "99", "memory/memory.stat": ""}, 0),
        ({}, None),
    ],
    ids=["limit", "no limit", "version 1", "no cgroup"],
)
def test_a_container_has_what_its_limit_leaves(files, free, tmp_path, monkeypatch):
    (tmp_path / "memory").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(capacity, "CGROUP", tmp_path)
    found = free_bytes(torch.device("cpu"))
    assert found == free if free is not None else found > 1000
