"""Training changes the visual map and the stages that are asked for, and nothing else; a stop costs nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fromage_model.catalogue import Catalogue
from fromage_model.errors import ConfigError, PromptTooLong
from fromage_model.frozen.model import FrozenModel
from jobs.finetune.checkpoints import BUNDLE_FOLDER
from jobs.finetune.frozen.fit import folded, word_rows, words_of
from jobs.finetune.frozen.settings import FrozenArgs
from jobs.finetune.frozen.worker import FrozenWorker
from jobs.finetune.not_finite import NotFinite
from tests.jobs import tiny

MAPS = ("global", "local", "duel", "grid")


@pytest.fixture
def make(frozen_args) -> Callable[..., FrozenWorker]:
    def of(args: FrozenArgs | None = None, **changes) -> FrozenWorker:
        torch.manual_seed(0)
        return FrozenWorker(args or frozen_args(**changes), rank=0, world_size=1)

    return of


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def losses_of(worker: FrozenWorker, epochs: int) -> list[float]:
    return [worker.run_epoch(epoch, None)["loss"] for epoch in range(epochs)]


@pytest.mark.parametrize("visual_map", MAPS)
def test_the_loss_falls_and_the_lm_and_the_frozen_encoder_stay_bit_equal(make, visual_map):
    worker = make(visual_map=visual_map, epochs=15)
    lm, encoder = state_of(worker.model.lm), state_of(worker.model.encoder)
    losses = losses_of(worker, 15)
    assert losses[-1] < 0.8 * losses[0]
    assert changed(worker.model.lm, lm) == set()
    assert changed(worker.model.encoder, encoder) == set()


@pytest.mark.parametrize(("trained", "moved"), [(1, {"encoder.stages.1"}), (2, {"encoder.stages"}), (-1, {""})])
def test_the_encoder_s_last_stages_move_only_as_far_as_asked(make, trained, moved):
    worker = make(trained_stages=trained)
    encoder = state_of(worker.model.encoder.backbone)
    losses_of(worker, 1)
    found = {name for name in changed(worker.model.encoder.backbone, encoder) if name.endswith(".weight")}
    assert found
    assert all(any(name.startswith(prefix) for prefix in moved) for name in found)
    assert trained != -1 or any(name.startswith("embedder.") for name in found)


def test_more_stages_than_the_encoder_has_are_refused(make):
    with pytest.raises(ConfigError, match=r"trained_stages is 4; .* has 3, or -1 for all"):
        make(trained_stages=4)


def test_what_is_kept_of_pictures_changes_nothing(make):
    kept, again = make(trained_stages=1), make(trained_stages=1, kept_mib=0)
    assert losses_of(kept, 2) == losses_of(again, 2)
    assert len(kept.pictures._kept) == 8
    assert again.pictures._kept == {}


def test_a_step_in_parts_is_the_same_step(make):
    whole, parts = make(batch_size=8), make(batch_size=8, accumulate=3)
    assert losses_of(parts, 2) == pytest.approx(losses_of(whole, 2), rel=1e-5)


def test_a_run_that_goes_on_from_a_checkpoint_equals_an_undisturbed_one(make, tmp_path: Path):
    settings = {"trained_stages": 1, "visual_map": "duel", "episode_batch_size": 0}
    straight = make(**settings)
    expected = losses_of(straight, 2)
    first = make(**settings)
    first.run_epoch(0, None)
    first.save(tmp_path, epochs_done=1)
    second = make(**settings)
    assert second.load(tmp_path) == 1
    assert second.run_epoch(1, None)["loss"] == expected[1]
    assert changed(second.model.visual_map, state_of(straight.model.visual_map)) == set()
    assert changed(second.model.encoder, state_of(straight.model.encoder)) == set()


def test_a_map_that_learns_by_words_is_saved_as_the_map_that_it_is(make, tmp_path: Path):
    worker = make(fit_prefix=True, visual_map="duel")
    losses = losses_of(worker, 2)
    assert losses[1] < losses[0]
    worker.model.eval()
    picture = [worker.data.rows[0].picture()]
    prefix = worker.model.visual_prefix(picture)
    with folded(worker.model):
        torch.testing.assert_close(worker.model.visual_prefix(picture), prefix, atol=1e-4, rtol=1e-4)
    worker.save(tmp_path, epochs_done=2, lineage={"job": "test"})
    again = FrozenModel.from_pretrained(str(tmp_path / BUNDLE_FOLDER), dtype=torch.float32)
    torch.testing.assert_close(again.visual_prefix(picture), prefix, atol=1e-4, rtol=1e-4)


def test_what_all_pictures_share_learns_four_times_as_fast_as_what_stands_for_words(make):
    def rates(worker: FrozenWorker) -> dict[int, float]:
        groups = worker.optimisation.optimizer.param_groups
        return {one.ndim: group["initial_lr"] for group in groups for one in group["params"]}

    by_words, plain = rates(make(fit_prefix=True)), rates(make())
    assert by_words[1] == pytest.approx(4 * by_words[2])
    assert plain[1] == plain[2]


def test_a_fitted_map_stands_nearer_to_the_words_than_a_drawn_one(make, caplog):
    caplog.set_level("INFO")
    fitted, drawn = make(fit_prefix=True), make()
    assert "the visual map stands at 9 words" in caplog.text
    rows = fitted.data.rows
    words = torch.stack([word_rows(fitted.model, words_of(row), 2) for row in rows])
    assert words_of(rows[0]) == ["red", "square"]

    def nearness(worker: FrozenWorker) -> float:
        prefix = worker.model.eval().visual_prefix([row.picture() for row in rows])
        return float(torch.nn.functional.cosine_similarity(prefix, words, dim=-1).mean())

    assert nearness(fitted) > 0.9 > 0.5 > nearness(drawn)


def test_a_saved_model_is_gone_on_from_with_its_own_settings(make, frozen_args, tmp_path: Path):
    worker = make(visual_map="local", epochs=4)
    before = losses_of(worker, 4)
    worker.save(tmp_path, epochs_done=4, lineage={"job": "test"})
    usual = FrozenArgs()
    args = replace(
        frozen_args(start_from=str(tmp_path / BUNDLE_FOLDER), visual_map="local"), vision_encoder=usual.vision_encoder
    )
    again = make(args)
    assert again.model.config.visual_map == "local"
    assert changed(again.model.visual_map, state_of(worker.model.visual_map)) == set()
    assert losses_of(again, 1)[0] < before[0]


def test_a_loss_that_is_no_number_stops_with_the_step_s_rows(make):
    worker = make()
    rows = worker.sampler.draw(1, rank=0, world_size=1)
    with torch.no_grad():
        next(worker.model.visual_map.parameters()).fill_(float("nan"))
    with pytest.raises(NotFinite, match=r"epoch 1, step 2: .*--map-learning-rate") as caught:
        worker._step(1)
    assert {place for place, _ in caught.value.stop.items} == set(rows.places)


def test_episodes_are_learned_beside_captions(make, frozen_args, frozen_world):
    worker = make(episode_batch_size=2, episode_shots=(1,), catalogue=str(frozen_world.twice))
    found = worker._step(0)
    assert {"loss", "caption", "episode", "gradient_norm"} == set(found)
    assert found["loss"] == pytest.approx(found["caption"] + found["episode"], rel=1e-5)


def test_validation_measures_the_rows_that_are_held_out(make):
    worker = make(validation=0.3)
    assert 0 < len(worker.data.validation) < 8
    figures = worker.validate()
    assert set(figures) == {"validation_loss", "validation_exact"}
    assert [one.held_out for one in worker.look()] == [True] * len(worker.data.validation)


def test_the_average_of_two_workers_gradients_is_that_of_one_over_both_their_rows(make, monkeypatch):
    alone, shared = make(batch_size=4), make(batch_size=2)
    whole = alone.sampler.draw(0, rank=0, world_size=1)
    alone.step(whole, alone.step.scales(whole))["loss"].backward()
    expected = [one.grad for one in alone.model.visual_map.parameters()]
    both = [shared.sampler.draw(0, rank=rank, world_size=2) for rank in (0, 1)]
    tokens = 1 / alone.step.scales(whole)["caption"]
    monkeypatch.setattr("jobs.finetune.frozen.step.world_size", lambda: 2)
    monkeypatch.setattr("jobs.finetune.frozen.step.sum_of_all", lambda own: tokens)
    for rows in both:
        (shared.step(rows, shared.step.scales(rows))["loss"] / 2).backward()
    for ours, theirs in zip(expected, shared.model.visual_map.parameters(), strict=True):
        torch.testing.assert_close(theirs.grad, ours, atol=1e-5, rtol=1e-4)


def test_a_row_that_the_lm_has_no_room_for_is_refused_by_name_before_the_first_step(make, tmp_path):
    tiny.write_squares(tmp_path / "squares", held_out=0, captions={"blue": "xyz " * 300})
    blue = next(item.id for item in Catalogue.open(tmp_path / "squares").items() if len(item.caption) > 99)
    with pytest.raises(PromptTooLong, match=rf"the picture of {blue} and its text ' xyz .* take \d+ positions"):
        make(catalogue=str(tmp_path / "squares"), max_tokens=600)
    assert make(catalogue=str(tmp_path / "squares"), max_tokens=48)._step(0)["loss"] > 0
