"""When to show products is learned from both sides, kept in the bundle, and fitted anew by itself."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from fromage_model.bundle import load_bundle
from fromage_model.catalogue.features import read_features
from fromage_model.errors import ConfigError
from jobs.common.showing.positions import Positions
from jobs.common.showing.reading import prompts_of, read_beginnings, readable
from jobs.common.showing.sayings import Saying, remarks, sayings
from jobs.finetune.examples.people import people
from jobs.finetune.showing import fit_hidden_layer, fit_threshold, later_remarks, later_turns, read_sides
from jobs.finetune.start import adopt_config
from jobs.finetune.warm_start import decision
from jobs.finetune.worker import BUNDLE_FOLDER, Worker
from tests.jobs.finetune.test_step import tiny_args


@pytest.fixture
def worker(tiny_world) -> Worker:
    torch.manual_seed(0)
    return Worker(tiny_args(tiny_world), rank=0, world_size=1)


def test_the_beginnings_of_replies_are_read_as_the_chat_reads_them(worker):
    pictures = np.random.default_rng(0).normal(size=(3, len(worker.data.vectors[0]))).astype(np.float32)
    said = [
        Saying(("a hat", "[RET] Here are hats.", "in red"), "k", "training", wanted=True),
        Saying(("[picture] like this",), "k", "training", wanted=True),
        Saying(("hi",), "k", "training", wanted=False),
    ]
    read = read_beginnings(worker.model, prompts_of(worker.model, said, pictures), what="messages")
    for row, saying in enumerate(said):
        config = worker.model.config
        (prompt,) = prompts_of(worker.model, [saying], pictures[row:])
        batch = worker.model.embed_prompts([prompt])
        with torch.no_grad():
            last = worker.model.lm(batch.embeddings, attention_mask=batch.mask).last[0, -1]
        assert config.examples
        torch.testing.assert_close(read.last[row], last, atol=1e-4, rtol=1e-4)


def test_what_the_lm_has_no_room_or_no_picture_for_is_left_out(worker, caplog):
    said = [
        Saying(("[picture]",), "k", "training", wanted=True),
        Saying(("word " * 600,), "k", "training", wanted=True),
        Saying(("a hat",), "k", "training", wanted=True),
    ]
    assert readable(worker.model, said, pictures=0) == said[2:]
    assert readable(worker.model, said, pictures=1) == [said[0], said[2]]
    assert "left out" in caplog.text


def test_both_sides_of_the_training_kinds_are_read(worker):
    sides = read_sides(worker.step, worker.sampler)
    expected = [sum(one.wanted == wanted for one in sayings("training")) for wanted in (True, False)]
    assert [len(sides.wishes), len(sides.others)] == [
        expected[0] + len(later_turns()),
        expected[1] + len(later_remarks()),
    ]


def test_every_later_message_of_a_conversation_is_a_wish_after_products():
    said = {one.turns: one for one in later_turns()}
    conversation = next(told.messages for told in people("turns") if len(told.messages) == 3)
    first, second, third = conversation
    shown = "[RET] Here are some."
    assert said[first, shown, second].wanted
    assert said[first, shown, second, shown, third].text == third
    assert (first,) not in said
    assert len(later_turns()) == sum(len(told.messages) - 1 for told in people("turns"))
    messages = said[first, shown, second].messages()
    assert [message.role for message in messages] == ["user", "assistant", "user"]
    assert tuple(messages[1].ret_offsets) == (0,)


def test_a_remark_after_products_is_behind_every_conversation_and_calls_for_none():
    found = later_remarks()
    assert found == later_remarks()
    assert len(found) == 2 * len(people("turns"))
    assert not any(one.wanted or one.pictured for one in found)
    said = {one.text for one in (*remarks(), *sayings("training")) if not one.wanted}
    for one, told in zip(found, people("turns") * 2, strict=True):
        before = one.turns[:-1:2]
        assert before == told.messages[: len(before)]
        assert 0 < len(before) < len(told.messages)
        assert set(one.turns[1::2]) == {"[RET] Here are some."}
        assert one.text in said
    # All remarks are among them.
    assert {one.text for one in remarks()} <= {one.text for one in found}


def test_what_is_said_turns_the_row_and_leaves_it_what_it_knew(worker):
    """It led on one axis; the messages lie on another."""
    width, row = worker.model.lm.width, worker.model.trained.ret.output_row
    generator = torch.Generator().manual_seed(1)

    def cloud(place: int, value: float) -> Positions:
        last = 0.3 * torch.randn(60, width, generator=generator)
        last[:, place] += value
        return Positions(last, torch.zeros(60))

    with torch.no_grad():
        row.zero_()[0] = 1.0
    said = decision.Sides(wishes=cloud(1, 4.0), others=cloud(1, -4.0))
    decision.refine_decision(worker.model, said)
    assert bool((said.wishes.log_odds(row.detach()) > 0).all())
    assert not bool((said.others.log_odds(row.detach()) > 0).any())
    assert bool((cloud(0, 4.0).log_odds(row.detach()) > 0).all())
    assert row.grad is None


def test_a_hidden_layer_parts_what_no_row_can(tiny_world):
    """Wishes lie on both ends of an axis, others between them."""
    worker = Worker(tiny_args(tiny_world, ret_hidden=16, ret_layers=(1,)), rank=0, world_size=1)
    model, generator = worker.model, torch.Generator().manual_seed(1)
    axis = torch.randn(model.lm.width, generator=generator)

    def cloud(*values: float) -> Positions:
        read = 0.3 * torch.randn(60 * len(values), model.lm.width, generator=generator)
        read += torch.tensor(values).repeat(60)[:, None] * axis
        return Positions(torch.zeros_like(read), torch.zeros(len(read)), read)

    before = model.trained.ret.output_row.detach().clone()
    decision.fit_hidden(model, decision.Sides(wishes=cloud(4.0, -4.0), others=cloud(0.0)), seed=0)
    assert torch.equal(model.trained.ret.output_row, before)
    again = decision.Sides(wishes=cloud(4.0, -4.0), others=cloud(0.0))
    assert bool((again.wishes.ret_log_odds(model.trained) > 0).all())
    assert not bool((again.others.ret_log_odds(model.trained) > 0).any())
    assert not any(one.requires_grad for one in model.trained.decision.parameters())


@pytest.mark.usefixtures("few_sayings")
def test_the_same_seed_fits_the_same_hidden_layer_and_random_numbers_go_on_as_before(tiny_world):
    fitted = []
    for _ in range(2):
        worker = Worker(tiny_args(tiny_world, ret_hidden=3), rank=0, world_size=1)
        torch.manual_seed(len(fitted))
        state = torch.get_rng_state()
        fit_hidden_layer(worker.step, worker.sampler, seed=5)
        assert torch.equal(torch.get_rng_state(), state)
        fitted.append(worker.model.trained.decision.state_dict())
    assert fitted[0]["of_hidden.weight"].abs().max() > 0
    torch.testing.assert_close(fitted[0], fitted[1])


def test_a_decision_that_can_t_be_fitted_is_left_out_of_the_bundle(tiny_world, monkeypatch, caplog):
    worker = Worker(tiny_args(tiny_world, ret_hidden=3, ret_layers=(1,)), rank=0, world_size=1)
    monkeypatch.setattr("jobs.finetune.showing.sayings", lambda *uses: [])
    monkeypatch.setattr("jobs.finetune.showing.later_turns", list)
    monkeypatch.setattr("jobs.finetune.showing.later_remarks", list)
    fit_hidden_layer(worker.step, worker.sampler, seed=0)
    assert "[RET]'s row decides" in caplog.text
    assert (worker.model.trained.decision, worker.model.config.ret_hidden) == (None, 0)
    assert worker.model.lm.state_layers == worker.model.config.text_layers == (-1,)


def test_a_decision_that_nothing_would_fit_is_refused(tiny_world):
    with pytest.raises(ConfigError, match=r"ret_hidden is 3.* others_shown, and that is None"):
        tiny_args(tiny_world, ret_hidden=3, others_shown=None)


def test_no_step_moves_the_hidden_layer(tiny_world):
    worker = Worker(tiny_args(tiny_world, ret_hidden=3), rank=0, world_size=1)
    before = {name: one.clone() for name, one in worker.model.trained.decision.state_dict().items()}
    worker.run_epoch(0, None)
    torch.testing.assert_close(worker.model.trained.decision.state_dict(), before, atol=0, rtol=0)


def test_the_threshold_stands_in_the_bundle_and_holds_for_the_validation_kinds(worker, tmp_path):
    found = fit_threshold(worker.step, worker.sampler, others_shown=0.1, others_shown_pictured=0.3)
    worker.save(tmp_path, epochs_done=0, lineage={})
    config = load_bundle(str(tmp_path / BUNDLE_FOLDER), vision=False).config
    assert config.show_threshold == found.threshold
    assert config.show_calibration == (found.scale, found.offset)
    row = worker.model.trained.ret.head_row.detach()
    assert found.least_log_odds == pytest.approx(config.show_log_odds)
    for under_picture, least, most in (
        (False, config.show_log_odds, 0.1),
        (True, config.show_log_odds_pictured, 0.3),
    ):
        said = [one for one in sayings("validation") if one.under_picture == under_picture]
        said = readable(worker.model, said, pictures=1)
        prompts = prompts_of(worker.model, said, worker.sampler.features)
        odds = read_beginnings(worker.model, prompts, what="messages").log_odds(row)
        others = torch.tensor([not one.wanted for one in said])
        assert 0 < int((odds >= least)[others].sum()) <= most * int(others.sum())


def test_no_threshold_is_fitted_where_none_is_wanted_or_products_may_come_late(worker):
    before = worker.model.config
    assert fit_threshold(worker.step, worker.sampler, others_shown=None) is None
    worker.model.config = dataclasses.replace(before, max_tokens_before_ret=None)
    assert fit_threshold(worker.step, worker.sampler, others_shown=0.05) is None
    assert worker.model.config.show_threshold is None


def test_the_decision_alone_leaves_every_other_weight_as_it_was_bit_for_bit(worker, tiny_world, tmp_path):
    worker.save(tmp_path, epochs_done=0, lineage={})
    first = tmp_path / BUNDLE_FOLDER
    args = tiny_args(tiny_world, start_from=str(first), decision_alone=True, epochs=0)
    again = Worker(adopt_config(args, features=read_features(args.features).info), rank=0, world_size=1)
    again.warm_start()
    fit_threshold(again.step, again.sampler, others_shown=0.05, others_shown_pictured=0.5)
    (tmp_path / "second").mkdir()
    again.save(tmp_path / "second", epochs_done=0, lineage={})
    old, new = (load_bundle(str(folder), vision=False) for folder in (first, tmp_path / "second" / BUNDLE_FOLDER))
    was, now = old.trained.state_dict(), new.trained.state_dict()
    assert [name for name in was if not torch.equal(was[name], now[name])] == ["ret.output_row"]
    told = [
        json.loads((folder / "bundle.json").read_text())["config"]
        for folder in (first, tmp_path / "second" / BUNDLE_FOLDER)
    ]
    assert {name for name in told[1] if told[0].get(name) != told[1][name]} == {
        "show_calibration",
        "show_threshold",
        "show_log_odds_pictured",
    }


@pytest.mark.parametrize(
    "settings",
    [{"epochs": 0}, {"start_from": "default"}, {"start_from": "default", "epochs": 0, "refit": True}],
)
def test_the_decision_alone_is_of_a_bundle_that_is_not_trained_otherwise(tiny_world, settings):
    with pytest.raises(ConfigError, match="give start_from and epochs 0"):
        tiny_args(tiny_world, decision_alone=True, **settings)


def test_a_share_of_others_that_cannot_be_is_refused(tiny_world):
    with pytest.raises(ConfigError, match=r"others_shown is 1.5; expected 0 to below 1"):
        tiny_args(tiny_world, others_shown=1.5)
