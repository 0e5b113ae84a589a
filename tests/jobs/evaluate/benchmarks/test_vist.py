"""Contextual image retrieval on stories of VIST, against ranks worked out by hand."""

import functools
import operator

import numpy as np
import pytest

from fromage_model.bundle import load_bundle
from fromage_model.errors import InvalidInput
from jobs.evaluate.benchmarks.task import PictureFile
from jobs.evaluate.benchmarks.vist import SETTINGS, Story, measured_stories, read
from jobs.evaluate.job import main
from tests.jobs.evaluate.benchmarks import worlds

STORIES = {
    "s1": ["red", "green", "blue", "white", "black"],
    "s2": ["navy", "teal", "olive", "gray", "pink"],
}


def test_pictures_of_the_context_are_no_candidates_where_they_are_seen():
    """The second picture scores highest, the last comes next: rank 2, or 1 where the context's pictures are out."""
    story = Story("s", ("c",) * 5, ("a", "b", "c", "d", "e"))
    vectors = {id: np.array([score]) for id, score in zip("abcdef", (1.0, 5.0, 2.0, 3.0, 4.0, 3.5), strict=True)}
    asked = {setting: np.ones((1, 1)) for setting in SETTINGS}
    found = measured_stories([story], asked, vectors, {id: PictureFile(id) for id in vectors})
    values = {name: scores.value for name, scores in found.scores.items()}
    assert values["1_caption_r_at_1"] == values["5_captions_r_at_1"] == 0
    assert values["1_caption_r_at_5"] == 100
    assert values["5_captions_4_images_r_at_1"] == 100
    assert found.shown[0].got == "rank 1"
    assert found.notes == {"candidates": 6}


def test_stories_are_read_in_their_own_order_whatever_the_files(benchmark_args, tmp_path):
    worlds.write_vist(tmp_path / "data", STORIES)
    task = read(benchmark_args("vist"))
    assert [story.pictures for story in task.examples] == [tuple(own) for own in STORIES.values()]
    assert task.examples[0].captions[2] == "caption 2 of s1, blue"
    assert len(task.more["pictures"]) == 10


def test_a_bundle_is_asked_as_by_hand(benchmark_args, tiny_world, tmp_path):
    worlds.write_vist(tmp_path / "data", STORIES)
    figures = main(benchmark_args("vist")).as_dict()
    assert figures["candidates"] == 10
    model = load_bundle(str(tiny_world.bundle))
    opened = {
        colour: PictureFile(str(tmp_path / "data" / "images" / f"{colour}.jpg")).open()
        for colour in functools.reduce(operator.iadd, STORIES.values(), [])
    }
    features = {colour: model.encode([image])[0] for colour, image in opened.items()}
    vectors = {colour: model.image_embeddings(own[None])[0].numpy() for colour, own in features.items()}
    ranks = {"1_caption": [], "5_captions": []}
    for story, colours in STORIES.items():
        captions = [f"caption {place} of {story}, {colour}" for place, colour in enumerate(colours)]
        for setting, text in (("1_caption", captions[-1]), ("5_captions", " ".join(captions))):
            asked = model.text_embeddings([text])[0].numpy()
            scores = {colour: vector @ asked for colour, vector in vectors.items()}
            ranks[setting].append(sum(score > scores[colours[-1]] for score in scores.values()))
    for setting, own in ranks.items():
        for k in (1, 5, 10):
            assert figures["figures"][f"{setting}_r_at_{k}"]["value"] == 100 * sum(rank < k for rank in own) / 2
    assert figures["figures"]["5_captions_4_images_r_at_10"]["value"] == 100


def test_a_story_with_a_picture_gone_or_a_wrong_field_is_left_out_and_told(benchmark_args, tmp_path):
    more = STORIES | {"s3": ["gold", "lime", "red", "green", "pink"], "s4": ["red", "green", "blue", "white", "gray"]}
    file = worlds.write_vist(tmp_path / "data", more)
    (tmp_path / "data" / "images" / "lime.jpg").unlink()

    def edit(content):
        (first,) = next(row for row in content["annotations"] if row[0]["story_id"] == "s1")
        first["worker_arranged_photo_order"] = None

    worlds.change(file, edit)
    task = read(benchmark_args("vist"))
    assert [story.id for story in task.examples] == ["s2", "s4"]
    told = {failure.id: failure for failure in task.failures.rows}
    assert (told["s3"].error, told["s1"].error, told[None].error) == ("missing_picture", "wrong_field", "wrong_field")
    assert "worker_arranged_photo_order: expected int or str, got NoneType" in told[None].message
    assert "expected 5 captioned pictures, got 4" in told["s1"].message


@pytest.mark.usefixtures("no_model")
def test_a_file_without_stories_is_refused(benchmark_args, tmp_path):
    worlds.write(tmp_path / "data" / "val.story-in-sequence.json", {"images": [{}]})
    with pytest.raises(InvalidInput, match=r"expected annotations with something in it; found images"):
        main(benchmark_args("vist"))
