"""What depends on the frozen LM alone is computed in a first run, and found by those after it."""

import pytest
import torch

from jobs.finetune.examples import replies
from jobs.finetune.examples.replies import small_talk_exchanges
from jobs.finetune.kept import KeptStates
from jobs.finetune.showing import read_sides
from jobs.finetune.warm_start import states
from jobs.finetune.warm_start.states import read_ends, read_small_talk
from jobs.finetune.worker import Worker
from tests.jobs.finetune.test_step import tiny_args


@pytest.fixture
def worker(tiny_world) -> Worker:
    torch.manual_seed(0)
    return Worker(tiny_args(tiny_world, keep_states=False), rank=0, world_size=1)


@pytest.fixture
def kept(tmp_path) -> KeptStates:
    return KeptStates(tmp_path / "states" / "lm.sqlite")


def forbid(monkeypatch, module, name: str) -> None:
    def called(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"{name} was called")

    monkeypatch.setattr(module, name, called)


def test_replies_to_small_talk_are_written_once(worker, kept, monkeypatch):
    written = small_talk_exchanges(worker.model, max_new_tokens=3, kept=kept)
    assert written == small_talk_exchanges(worker.model, max_new_tokens=3)
    forbid(monkeypatch, replies, "_generate")
    assert small_talk_exchanges(worker.model, max_new_tokens=3, kept=kept) == written


def test_replies_of_another_length_are_others(worker, kept):
    small_talk_exchanges(worker.model, max_new_tokens=3, kept=kept)
    longer = small_talk_exchanges(worker.model, max_new_tokens=5, kept=kept)
    assert longer == small_talk_exchanges(worker.model, max_new_tokens=5)


def test_small_talk_is_read_once(worker, kept, monkeypatch):
    talks = worker.sampler.quiet()
    read = read_small_talk(worker.step, talks, kept=kept)
    forbid(monkeypatch, states, "read_prompts")
    again = read_small_talk(worker.step, talks, kept=kept)
    for one, other in ((read.starts, again.starts), (read.within, again.within)):
        torch.testing.assert_close(one.last, other.last, atol=0.0, rtol=0.0)
        torch.testing.assert_close(one.log_sum, other.log_sum, atol=0.0, rtol=0.0)


def test_what_was_kept_first_counts_for_a_run_that_reads_it_at_the_same_time(worker, kept):
    """Else it would come to other weights than the runs after it: a text in another batch differs in its last bits."""
    talks = worker.sampler.quiet()

    class Overtaken(KeptStates):
        def keep(self, made):
            kept.keep({key: {name: tensor + 1e-6 for name, tensor in one.items()} for key, one in made.items()})
            return super().keep(made)

    read = read_small_talk(worker.step, talks, kept=Overtaken(kept.path))
    later = read_small_talk(worker.step, talks, kept=kept)
    torch.testing.assert_close(read.within.last, later.within.last, atol=0.0, rtol=0.0)
    torch.testing.assert_close(read.starts.log_sum, later.starts.log_sum, atol=0.0, rtol=0.0)


def test_a_text_that_stands_there_twice_is_read_once(worker, kept, monkeypatch):
    tokens = worker.model.tokens
    red, blue = ([[*tokens.start_ids, *tokens.encode(colour)]] for colour in ("red", "blue"))
    asked: list[int] = []
    read_prompts = states.read_prompts
    monkeypatch.setattr(
        states, "read_prompts", lambda model, some: asked.append(len(some)) or read_prompts(model, some)
    )
    first, _, third = read_ends(worker.step, [red, blue, red], [1, 1, 1], what="texts")
    assert sum(asked) == 2
    assert torch.equal(first.last, third.last)


def test_people_s_messages_are_read_once_however_ret_was_trained(worker, kept, monkeypatch):
    read = read_sides(worker.step, worker.sampler, kept=kept)
    with torch.no_grad():
        worker.model.trained.ret.input_row.mul_(2.0)
    again = read_sides(worker.step, worker.sampler, kept=kept)
    asked: list[int] = []
    read_prompts = states.read_prompts
    monkeypatch.setattr(
        states, "read_prompts", lambda model, some: asked.append(len(some)) or read_prompts(model, some)
    )
    forbid(monkeypatch, states.KeptStates, "keep")
    read_sides(worker.step, worker.sampler, kept=kept)
    assert asked == []
    alone = read_sides(worker.step, worker.sampler)
    assert sum(asked) == len(alone.wishes) + len(alone.others)
    for found in (read, again):
        torch.testing.assert_close(found.others.last[:1], alone.others.last[:1], atol=1e-4, rtol=1e-4)


def test_a_prompt_with_ret_in_it_depends_on_its_row(worker, kept):
    tokens = worker.model.tokens
    prompt = [[*tokens.start_ids, *tokens.encode("red"), tokens.ret_id, *tokens.encode("blue")]]
    read_ends(worker.step, [prompt], [2], what="texts", kept=kept)
    with torch.no_grad():
        worker.model.trained.ret.input_row.mul_(-3.0)
    (found,) = read_ends(worker.step, [prompt], [2], what="texts", kept=kept)
    (alone,) = read_ends(worker.step, [prompt], [2], what="texts")
    torch.testing.assert_close(found.last, alone.last)
