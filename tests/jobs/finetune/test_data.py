"""A run trains on the training split alone, and siblings never straddle training and validation."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import INFO_FILE, read_features, write_features
from fromage_model.errors import CatalogueError, ConfigError, FingerprintMismatch
from fromage_model.storage.artefacts import writing
from jobs.finetune.data import select_items, validation_groups
from jobs.finetune.settings import FinetuneArgs
from tests.jobs import tiny
from tests.jobs.finetune.test_step import tiny_args


def args(world, **settings) -> FinetuneArgs:
    return FinetuneArgs(**{"catalogue": str(world.catalogue), "features": str(world.features)} | settings)


def test_held_out_items_are_never_trained_on(tiny_world):
    data = select_items(args(tiny_world))
    held_out = {item.id for item in Catalogue.open(tiny_world.catalogue).items("held-out")}
    assert held_out
    assert not held_out & {item.id for item in data.items}
    assert {item.id for item in data.held_out_items} == held_out


def test_a_validation_share_takes_whole_groups_out_of_training(tiny_world):
    data = select_items(args(tiny_world, validation=0.3))
    assert data.validation_items
    assert not {item.group for item in data.items} & {item.group for item in data.validation_items}
    assert len(data.items) + len(data.validation_items) == len(select_items(args(tiny_world)).items)


def test_features_stand_in_the_order_of_their_items(tiny_world):
    data = select_items(args(tiny_world, validation=0.3))
    assert (data.vectors == data.features.of([item.id for item in data.items])).all()
    assert (data.validation_features == data.features.of([item.id for item in data.validation_items])).all()


@pytest.fixture
def circles(tmp_path):
    """A further catalogue, of another state and in a folder of another name, with its features."""
    catalogue = tiny.write_squares(tmp_path / "circles", colours=tiny.COLOURS[:6], held_out=2)
    features = tiny.write_random_features(tmp_path / "circles features", catalogue)
    return {"further_catalogues": (str(tmp_path / "circles"),), "further_features": (str(features),)}


def test_a_further_catalogue_lends_its_training_split_behind_the_own_items(tiny_world, circles):
    own, both = select_items(args(tiny_world)), select_items(args(tiny_world, **circles))
    assert [item.id for item in both.items[: both.own]] == [item.id for item in own.items]
    lent = both.items[both.own :]
    assert [item.split for item in lent] == ["train"] * 4
    assert len(both.vectors) == len(both.items)
    assert not {item.group for item in lent} & {item.group for item in own.items}
    assert set(both.catalogue_fingerprints) == {"squares", "circles"}


def test_a_further_catalogue_lends_few_items_of_one_group(tiny_world, circles):
    data = select_items(args(tiny_world, further_per_group=1, **circles))
    lent = [item.group for item in data.items[data.own :]]
    assert lent == ["circles/pair 1", "circles/pair 2"]


def test_a_further_catalogue_s_features_must_come_from_the_same_encoder(tiny_world, circles, tmp_path):
    catalogue = Catalogue.open(circles["further_catalogues"][0])
    other = tiny.write_random_features(tmp_path / "other", catalogue, encoder_fingerprint="of another encoder")
    with pytest.raises(FingerprintMismatch, match=r"circles were made by another vision encoder"):
        select_items(args(tiny_world, **circles | {"further_features": (str(other),)}))


def test_further_features_must_be_as_many_as_further_catalogues():
    with pytest.raises(ConfigError, match="1 for 2 further catalogues"):
        FinetuneArgs(further_catalogues=("a", "b"), further_features=("a",))


@given(groups=st.lists(st.sampled_from("abcdefgh"), max_size=40), share=st.floats(0, 0.99))
def test_validation_groups_hold_their_share_and_no_group_more(groups, share):
    chosen = validation_groups(groups, share=share)
    sizes = [groups.count(group) for group in chosen]
    assert sum(sizes) >= share * len(groups)
    assert sum(sizes) - max(sizes, default=0) < share * len(groups) or not chosen
    assert chosen == validation_groups(list(reversed(groups)), share=share)


def test_features_of_another_state_of_the_catalogue_are_refused(tiny_world, tmp_path):
    features = Path(shutil.copytree(tiny_world.features, tmp_path / "features"))
    said = json.loads((features / INFO_FILE).read_text())
    (features / INFO_FILE).write_text(json.dumps(said | {"catalogue_fingerprint": "another"}))
    with pytest.raises(CatalogueError, match=r"jobs\.embed"):
        select_items(args(tiny_world, features=str(features)))


def test_features_that_are_not_finite_are_refused_by_item(tiny_world, tmp_path):
    catalogue = Catalogue.open(tiny_world.catalogue)
    features = read_features(tiny_world.features)
    item = catalogue.items("train")[0].id
    vectors = features.vectors.copy()
    vectors[features.ids.index(item), 3] = np.inf
    with writing(tmp_path / "features") as scratch:
        write_features(scratch, ids=features.ids, vectors=vectors, info=features.info)
    with pytest.raises(CatalogueError, match=f"1 items of .* not finite, {item} among them"):
        select_items(args(tiny_world, features=str(tmp_path / "features")))


def test_a_catalogue_of_one_item_cannot_be_trained_on(tiny_world, tmp_path):
    catalogue = tiny.write_squares(tmp_path / "few", held_out=len(tiny.COLOURS) - 1)
    features = tiny.write_random_features(tmp_path / "features", catalogue)
    with pytest.raises(CatalogueError, match="1 items with a caption"):
        select_items(FinetuneArgs(catalogue=str(tmp_path / "few"), features=str(features)))


@pytest.mark.parametrize("field", [{"epochs": -1}, {"validation": 1.0}, {"dtype": "int8"}, {"batch_size": 0}])
def test_settings_that_cannot_work_are_refused_by_name(field):
    (name,) = field
    with pytest.raises(ConfigError, match=f"{name} is"):
        FinetuneArgs(**field)


def test_only_decisive_settings_name_a_run():
    assert FinetuneArgs().decisive() == FinetuneArgs(threads=7, out="other", force=True, max_failures=0).decisive()
    assert FinetuneArgs().decisive() != FinetuneArgs(seed=1).decisive()


def test_items_that_can_not_be_trained_on_are_left_out_and_named(tiny_world, tmp_path):
    captions = {"red": "", "green": "   ", "blue": "...", "black": "\u200b\u200b", "white": "你好", "navy": None}
    catalogue = tiny.write_squares(tmp_path / "odd", held_out=0, captions=captions)
    features = tiny.write_random_features(tmp_path / "features", catalogue, without=1)
    args = tiny_args(tiny_world, catalogue=str(tmp_path / "odd"), features=str(features))
    data = select_items(args)
    assert data.items[0].caption == "你好"
    assert len(data.items) == 6
    told = [(failure.row, failure.error) for failure in data.left_out]
    assert told == [
        (1, "no_caption"),
        (2, "no_caption"),
        (3, "no_words"),
        (5, "no_words"),
        (6, "no_caption"),
        (12, "no_features"),
    ]
    assert "a caption without a letter or a digit" in data.left_out[2].message


def test_what_is_left_out_is_said_where_nothing_can_be_trained_on(tiny_world, tmp_path):
    catalogue = tiny.write_squares(tmp_path / "odd", colours=["red", "blue"], held_out=0, captions={"red": "..."})
    features = tiny.write_random_features(tmp_path / "features", catalogue)
    with pytest.raises(CatalogueError, match=r"has 1 items .* 1 can't be, the first: \w+ has a caption without"):
        select_items(tiny_args(tiny_world, catalogue=str(tmp_path / "odd"), features=str(features)))


def test_a_split_without_an_item_is_refused_with_the_splits_that_there_are(tiny_world, circles, tmp_path):
    catalogue = tiny.write_squares(tmp_path / "held", held_out=len(tiny.COLOURS))
    features = tiny.write_random_features(tmp_path / "features", catalogue)
    told = "held has no item in its split train, of 12 in all; its splits: held-out"
    own = {"catalogue": str(tmp_path / "held"), "features": str(features)}
    further = {"further_catalogues": (own["catalogue"],), "further_features": (own["features"],)}
    for changes in (own, further):
        with pytest.raises(CatalogueError, match=told):
            select_items(args(tiny_world, **changes))


def test_validation_that_leaves_nothing_to_train_on_is_said(tiny_world):
    with pytest.raises(CatalogueError, match=r"has 0 items .*; --validation 0\.99 holds 8 out"):
        select_items(args(tiny_world, validation=0.99))


def test_what_a_further_catalogue_can_t_lend_is_named_too(tiny_world, tmp_path):
    catalogue = tiny.write_squares(tmp_path / "further", held_out=0, captions={"red": "...", "navy": None})
    features = tiny.write_random_features(tmp_path / "features", catalogue, without=1)
    further = {"further_catalogues": (str(tmp_path / "further"),), "further_features": (str(features),)}
    data = select_items(args(tiny_world, **further))
    assert [failure.error for failure in data.left_out] == ["no_words", "no_caption", "no_features"]
    assert " of further has a caption without a letter" in data.left_out[0].message
