"""A step's rows and episodes are drawn by seed and step alone, and shared out among workers."""

import pytest

from fromage_model.errors import CatalogueError
from jobs.finetune.frozen.names import KEPT_BACK, episode_names
from jobs.finetune.frozen.rows import Row, Text
from jobs.finetune.frozen.sampler import FrozenSampler, StepRows, kinds_of


def rows(captions: dict[str, int]) -> list[Row]:
    texts = [caption for caption, count in captions.items() for _ in range(count)]
    return [Row(n, f"r{n}", f"{n}.png", f"g{n}", (Text(text),), bytes) for n, text in enumerate(texts)]


def sampler(batch_size: int = 4, *, episodes: int = 0, seed: int = 0) -> FrozenSampler:
    found = rows({" a": 5, " b": 5, " c": 2})
    return FrozenSampler(found, batch_size=batch_size, episodes=episodes, shots=(1, 3), repeats=2, seed=seed)


def test_an_epoch_sees_every_row_once_and_the_next_one_in_another_order():
    one = sampler()
    assert one.steps_per_epoch(1) == 3
    epochs = [
        [place for step in steps for place in one.draw(step, rank=0, world_size=1).places]
        for steps in (range(3), range(3, 6))
    ]
    assert [sorted(epoch) for epoch in epochs] == [list(range(12))] * 2
    assert epochs[0] != epochs[1]


def test_two_workers_draw_together_what_one_would():
    alone, shared = sampler(4, episodes=4), sampler(2, episodes=2)
    for step in (0, 4):
        whole = alone.draw(step, rank=0, world_size=1)
        parts = [shared.draw(step, rank=rank, world_size=2) for rank in (0, 1)]
        assert sorted(place for place, _ in whole.rows) == sorted(place for part in parts for place, _ in part.rows)
        assert set(whole.episodes) == {one for part in parts for one in part.episodes}


def test_an_episode_shows_two_kinds_and_asks_for_a_further_picture_of_one():
    for step in range(20):
        for one in sampler(episodes=2).draw(step, rank=0, world_size=1).episodes:
            named = dict(one.shown)
            assert len(set(named.values())) == 2
            assert one.asked not in named
            assert one.name in named.values()
            texts = {name: {place // 5 for place, own in one.shown if own == name} for name in named.values()}
            assert texts[one.name] == {one.asked // 5}
            assert all(len(kinds) == 1 for kinds in texts.values())
            assert not {name for _, name in one.shown} & set(KEPT_BACK)


def test_the_parts_of_a_step_hold_all_of_it():
    whole = sampler(episodes=3).draw(0, rank=0, world_size=1)
    parts = whole.parts(3)
    assert sorted(row for part in parts for row in part.rows) == sorted(whole.rows)
    assert {one for part in parts for one in part.episodes} == set(whole.episodes)
    assert StepRows(whole.rows[:1]).parts(3) == [StepRows(whole.rows[:1])]


def test_captions_that_stand_alone_make_no_episodes():
    with pytest.raises(CatalogueError, match="1 captions have 4 pictures or more"):
        kinds_of(rows({" a": 5, " b": 3}), at_least=4)


def test_no_made_up_name_is_one_of_those_that_are_kept_back():
    names = episode_names()
    assert len(set(names)) == len(names) > 2000
    assert not set(names) & set(KEPT_BACK)


def test_answers_are_drawn_by_their_weight():
    answers = (Text(" red", "Question: what? Answer:", 1.0), Text(" navy", "Question: what? Answer:", 0.3))
    one = FrozenSampler(
        [Row(1, "r", "r.png", "g", answers, bytes)], batch_size=1, episodes=0, shots=(1,), repeats=1, seed=0
    )
    drawn = [one.draw(step, rank=0, world_size=1).rows[0][1].text for step in range(200)]
    assert 20 < drawn.count(" navy") < 80
