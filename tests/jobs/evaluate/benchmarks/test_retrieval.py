"""Recall and median rank both ways, against ranks worked out by hand and a slow computation."""

import numpy as np
import pytest

from fromage_model.bundle import load_bundle
from fromage_model.catalogue import Catalogue
from fromage_model.errors import ConfigError
from jobs.common.embeddings.pictures import image_embeddings
from jobs.evaluate import recall
from jobs.evaluate.benchmarks.captioned import Captioned
from jobs.evaluate.benchmarks.retrieval import measured_retrieval
from jobs.evaluate.benchmarks.task import PictureFile
from jobs.evaluate.job import main
from tests.jobs.evaluate.benchmarks import worlds
from tests.jobs.evaluate.shelf import items

COCO = {"red": ["a red square", "red"], "green": ["a green square"], "blue": ["a blue square", "a square, in blue"]}


def captioned(*counts, found=None):
    return [
        Captioned(str(row), PictureFile("no"), ("caption",) * count, found[row] if found else None)
        for row, count in enumerate(counts)
    ]


def test_ranks_by_hand_of_three_pictures_with_two_captions_each():
    """Captions find their pictures as number 1, 2, 3, 3, 1, 1. Picture 0's best caption is met by another's, which
    stands before it, picture 1's is beaten by one, picture 2's by none: numbers 2, 2, 1."""
    texts = np.array([[3, 1, 0], [2, 3, 1], [2, 1, 3], [3, 2, 4], [0, 1, 2], [1, 0, 5.0]])
    found = measured_retrieval(captioned(2, 2, 2), texts, np.eye(3)).scores
    values = {name: scores.value for name, scores in found.items()}
    assert values["text_to_image_r_at_1"] == pytest.approx(50)
    assert values["text_to_image_r_at_5"] == values["image_to_text_r_at_5"] == 100
    assert values["text_to_image_median_rank"] == 1.5
    assert values["image_to_text_r_at_1"] == pytest.approx(100 / 3)
    assert values["image_to_text_median_rank"] == 2
    assert found["text_to_image_r_at_1"].groups == ["0", "0", "1", "1", "2", "2"]


def test_a_median_rank_counts_from_one_and_is_no_percentage():
    pictures = np.eye(4)
    texts = np.array([[0, 3, 2, 1.0]] * 4)
    found = measured_retrieval(captioned(1, 1, 1, 1), texts, pictures).scores["text_to_image_median_rank"]
    assert found.value == (2 + 3) / 2


def test_a_caption_that_two_garments_fit_finds_either():
    look = {"kind": "cap", "colour": "red", "pattern": "plain"}
    row = {"source": "wardrobe", "caption": "a red cap", "attributes": look}
    garments = list(items({"id": "a", **row}, {"id": "b", **row}).values())
    found = measured_retrieval(captioned(1, 1, found=garments), np.eye(2)[[1, 0]], np.eye(2)).scores
    assert found["text_to_image_r_at_1"].value == found["image_to_text_r_at_1"].value == 100


def test_a_catalogues_split_is_measured_by_its_features_as_recall_is(benchmark_args, tiny_world):
    figures = main(benchmark_args("retrieval", data=None, features=str(tiny_world.features))).as_dict()["figures"]
    catalogue = Catalogue.open(tiny_world.catalogue)
    pictures = image_embeddings(catalogue, bundle=str(tiny_world.bundle), features=str(tiny_world.features))
    rows = recall.split_rows(catalogue, "held-out", embedded=pictures.ids)
    asked = [recall.name_query(catalogue.item(pictures.ids[row])) for row in rows]
    texts = load_bundle(str(tiny_world.bundle), vision=False).text_embeddings(asked).numpy()
    expected = recall.recall_on(texts, pictures.vectors, rows).to_json()
    for way in ("text_to_image", "image_to_text"):
        assert {f"r_at_{k}": figures[f"{way}_r_at_{k}"]["value"] for k in (1, 5, 10)} == expected[way]
    assert figures["text_to_image_r_at_1"]["n"] == 4


def test_without_features_a_catalogues_pictures_are_encoded(benchmark_args):
    figures = main(benchmark_args("retrieval", data=None, limit=3)).as_dict()
    assert figures["figures"]["image_to_text_r_at_1"]["n"] == figures["rows_out"] == 3
    assert figures["data"] == "squares"


def test_a_bundle_is_measured_on_cocos_pictures_as_a_slow_computation_has_it(benchmark_args, tiny_world, tmp_path):
    worlds.write_coco(tmp_path / "data", COCO)
    figures = main(benchmark_args("retrieval")).as_dict()["figures"]
    model = load_bundle(str(tiny_world.bundle))
    folder = tmp_path / "data" / "val2014"
    images = [PictureFile(str(path)).open() for path in sorted(folder.iterdir())]
    pictures = model.image_embeddings(model.encode(images)).numpy()
    ranks = []
    for row, captions in enumerate(COCO.values()):
        for caption in captions:
            scores = pictures @ model.text_embeddings([f"A picture of {caption}."])[0].numpy()
            ranks.append(int((scores > scores[row]).sum()))
    assert figures["text_to_image_r_at_1"] == {
        **figures["text_to_image_r_at_1"],
        "value": round(100 * np.mean(np.array(ranks) < 1), 2),
        "n": 5,
    }
    assert figures["text_to_image_median_rank"]["value"] == np.median(ranks) + 1


@pytest.mark.usefixtures("no_model")
def test_a_frozen_model_is_refused_for_what_it_can_not_do(benchmark_args, frozen_model):
    for benchmark in ("retrieval", "vist"):
        with pytest.raises(ConfigError, match=f"FROZEN model, which retrieves no pictures; {benchmark}"):
            main(benchmark_args(benchmark, bundle=frozen_model))
