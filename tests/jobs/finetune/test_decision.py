"""States read once are those of the whole sequence, and the fitted output row parts wishes from small talk."""

import logging
from dataclasses import replace

import pytest
import torch

from fromage_model.model.batching import embed_tokens
from fromage_model.prompts.messages import Message
from fromage_model.prompts.segments import token_ids
from jobs.finetune.examples.examples import Shown
from jobs.finetune.kept import KeptStates
from jobs.finetune.warm_start.decision import fit_decision
from jobs.finetune.warm_start.states import Positions, SmallTalk, Texts, read_small_talk, read_texts
from jobs.finetune.worker import Worker
from tests.jobs.finetune.test_step import tiny_args


@pytest.fixture
def worker(tiny_world) -> Worker:
    torch.manual_seed(0)
    return Worker(tiny_args(tiny_world), rank=0, world_size=1)


def states_of(model, ids: list[int]) -> torch.Tensor:
    """(T, D): the slow way, one sequence without padding or cache."""
    with torch.no_grad():
        embedded = embed_tokens(torch.tensor([ids]), lm=model.lm, ret=model.trained.ret)
        return model.lm.backbone.base_model(inputs_embeds=embedded).last_hidden_state[0]


def log_sum_of(model, states: torch.Tensor) -> torch.Tensor:
    return (states @ model.lm.backbone.get_output_embeddings().weight[: model.lm.vocabulary].T).logsumexp(dim=-1)


def test_texts_are_read_as_one_by_one_in_their_own_order(worker):
    shown = [
        *worker.sampler.phrasings(2, further=1),
        Shown(-1, caption="A picture of a very, very, very long red square."),
    ]
    texts = read_texts(worker.step, shown, what="texts")
    assert len(texts) == len(shown)
    inside = 0
    begins = []
    for row, one in enumerate(shown):
        ids = token_ids(worker.step.prompt_of(one))
        states = states_of(worker.model, [*ids, worker.model.tokens.ret_id])
        torch.testing.assert_close(texts.at_ret[0][row], states[-1], atol=1e-4, rtol=1e-4)
        if one.caption is None:
            begins.append(states[-2])
        else:
            inside += len(ids) - 1
    assert len(texts.within) == inside
    assert 0 < len(begins) == len(texts.begins)
    expected = log_sum_of(worker.model, torch.stack(begins)).sort().values
    torch.testing.assert_close(texts.begins.log_sum.sort().values, expected, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(texts.begins.last.mean(dim=0), torch.stack(begins).mean(dim=0), atol=1e-4, rtol=1e-4)


def test_small_talk_is_read_at_every_position_of_its_replies(worker):
    talks = worker.sampler.small_talk()
    read = read_small_talk(worker.step, talks)
    starts, within = [], []
    for talk in talks:
        opening = token_ids(worker.step.opening_of(talk))
        states = states_of(worker.model, [*opening, *worker.model.tokens.encode(talk.reply)])[len(opening) - 1 :]
        starts.append(states[0])
        within += list(states[1:])
    torch.testing.assert_close(read.starts.last, torch.stack(starts), atol=1e-4, rtol=1e-4)
    assert len(read.within) == len(within)
    expected = log_sum_of(worker.model, torch.stack(within)).sort().values
    torch.testing.assert_close(read.within.log_sum.sort().values, expected, atol=1e-3, rtol=1e-4)


def clouds(width: int) -> tuple[Texts, SmallTalk]:
    """Positions around two centres, at which the LM's own logits are worth nothing."""
    generator = torch.Generator().manual_seed(0)
    centre = 3 * torch.randn(width, generator=generator)

    def around(sign: float) -> Positions:
        return Positions(sign * centre + torch.randn(50, width, generator=generator), torch.zeros(50))

    return Texts([], begins=around(1.0), within=around(-1.0)), SmallTalk(starts=around(-1.0), within=around(-1.0))


def test_the_fitted_row_leads_after_wishes_and_nowhere_else_and_keeps_its_length(worker):
    texts, talk = clouds(worker.model.lm.width)
    length = float(worker.model.trained.ret.output_row.detach().norm())
    fit_decision(worker.model, texts, talk)
    row = worker.model.trained.ret.output_row.detach()
    assert float(row.norm()) == pytest.approx(length, rel=1e-4)
    assert bool((texts.begins.last @ row > 0).all())
    assert not bool((torch.cat([talk.starts.last, talk.within.last, texts.within.last]) @ row > 0).any())


def test_captions_alone_say_nothing_of_when_to_ask(worker):
    """Their ends look like any full stop in mid-reply."""
    captions = [Shown(-1, caption=f"A picture of a {colour} square.") for colour in ("red", "green")]
    texts = read_texts(worker.step, captions, what="texts")
    assert len(texts.begins) == 0
    before = worker.model.trained.ret.output_row.detach().clone()
    fit_decision(worker.model, texts, clouds(worker.model.lm.width)[1])
    assert torch.equal(worker.model.trained.ret.output_row, before)


def test_a_row_that_serves_as_input_too_is_left_to_the_joint_steps(tiny_world):
    worker = Worker(tiny_args(tiny_world, two_ret_rows=False), rank=0, world_size=1)
    before = worker.model.trained.ret.input_row.detach().clone()
    fit_decision(worker.model, *clouds(worker.model.lm.width))
    assert torch.equal(worker.model.trained.ret.input_row, before)


def test_small_talk_without_replies_is_read_where_they_would_begin(worker):
    talks = [replace(talk, reply="", ends=False) for talk in worker.sampler.small_talk()]
    read = read_small_talk(worker.step, talks)
    assert (len(read.starts), len(read.within)) == (len(talks), 0)


def test_texts_that_are_kept_are_not_read_again_and_come_to_the_same(worker, tmp_path, monkeypatch, caplog):
    shown = worker.sampler.phrasings(1, further=1)
    kept = KeptStates(tmp_path / "states" / "lm.sqlite")
    first = read_texts(worker.step, shown[:2], what="texts", kept=kept)
    read: list[int] = []
    asked = worker.step.asked
    monkeypatch.setattr(worker.step, "asked", lambda some: read.append(len(some)) or asked(some))
    with caplog.at_level(logging.INFO):
        texts = read_texts(worker.step, shown, what="texts", kept=kept)
    assert read == [len(shown) - 2]
    assert f"2 of {len(shown)} are kept" in caplog.text
    torch.testing.assert_close(texts.at_ret[0][:2], first.at_ret[0], atol=0, rtol=0)
    alone = read_texts(worker.step, shown, what="texts")
    torch.testing.assert_close(texts.at_ret, alone.at_ret, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(texts.within.log_sum, alone.within.log_sum, atol=1e-3, rtol=1e-4)


def test_another_row_for_ret_or_another_prefix_is_another_state(worker, tmp_path):
    kept = KeptStates(tmp_path / "lm.sqlite")
    caption = Shown(-1, caption="A picture of a red square.")
    pictured = Shown(-1, messages=(Message("user", [worker.sampler.features[0], "something like this"]),))
    read_texts(worker.step, [caption, pictured], what="texts", kept=kept)
    with torch.no_grad():
        worker.model.trained.prefix.project.bias.add_(1.0)
    found = read_texts(worker.step, [caption, pictured], what="texts", kept=kept)
    alone = read_texts(worker.step, [caption, pictured], what="texts")
    torch.testing.assert_close(found.at_ret, alone.at_ret, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        worker.model.trained.ret.input_row.mul_(2.0)
    found = read_texts(worker.step, [caption], what="texts", kept=kept)
    torch.testing.assert_close(
        found.at_ret, read_texts(worker.step, [caption], what="texts").at_ret, atol=1e-4, rtol=1e-4
    )


def test_a_broken_file_of_states_is_told_and_nothing_is_lost(worker, tmp_path, caplog):
    path = tmp_path / "lm.sqlite"
    path.write_bytes(b"no database at all, but long enough to be taken for one" * 20)
    caption = Shown(-1, caption="A picture of a red square.")
    texts = read_texts(worker.step, [caption], what="texts", kept=KeptStates(path))
    assert "can't be read" in caplog.text
    assert "can't be kept" in caplog.text
    assert len(texts) == 1
