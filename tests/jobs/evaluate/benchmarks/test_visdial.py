"""VisDial's answers and pictures, against ranks and gains worked out by hand."""

from math import log2

import numpy as np
import pytest

from fromage_model.bundle import load_bundle
from jobs.evaluate.benchmarks.task import PictureFile
from jobs.evaluate.benchmarks.visdial import Dialogue, Round, context, measured_answers, read, whole
from jobs.evaluate.job import main
from tests.jobs.evaluate.benchmarks import worlds

OPTIONS = ("yes", "no", "a dog", "two")


def dialogue(id="7", *relevances):
    rounds = [Round(f"q{number}", f"a{number}", OPTIONS, 1, own) for number, own in enumerate(relevances or (None,))]
    return Dialogue(id, PictureFile("no"), tuple(rounds))


def test_figures_by_hand():
    """The given answer comes second, then first, then last of four; one round is judged by people too."""
    told = dialogue("7", None, (0.5, 1.0, 0.0, 0.0), None)
    likely = [np.array([-1, -2, -3, -4.0]), np.array([-2, -1, -9, -5.0]), np.array([-1, -9, -3, -4.0])]
    scores, shown = measured_answers([(told, number, own) for number, own in enumerate(likely, start=1)])
    values = {name: scores[name].value for name in scores}
    assert values["mrr"] == pytest.approx(100 * (1 / 2 + 1 + 1 / 4) / 3)
    assert values["r_at_1"] == pytest.approx(100 / 3)
    assert values["r_at_5"] == 100
    assert values["mean_rank"] == pytest.approx((2 + 1 + 4) / 3)
    assert values["ndcg"] == 100
    assert next(iter(values)) == "ndcg"
    assert scores["mrr"].groups == ["7"] * 3
    assert [one.got for one in shown] == ["yes", "no", "yes"]


def test_the_gain_is_discounted_over_as_many_places_as_answers_are_relevant():
    told = dialogue("7", (0.5, 1.0, 0.0, 0.0))
    scores, _ = measured_answers([(told, 1, np.array([-1, -3, -2, -4.0]))])
    assert scores["ndcg"].value == pytest.approx(100 * 0.5 / (1 + 0.5 / log2(3)))


def test_the_wording_is_the_originals():
    told = dialogue("7", None, None)
    assert context(told, 1) == "Q: q0?\nA: "
    assert context(told, 2) == "Q: q0?\nA: a0\nQ: q1?\nA: "
    assert whole(told) == "Q: q0? A: a0. Q: q1? A: a1."


def test_dense_annotations_count_rounds_from_one(benchmark_args, tmp_path):
    worlds.write_visdial(tmp_path / "data", dialogues=2)
    task = read(benchmark_args("visdial"))
    assert [round.relevance for round in task.examples[0].rounds] == [None, (0.0, 1.0, 0.5, 0.0)]
    assert task.examples[1].rounds[1].options == ("answer 1", "answer 2", "answer 3", "answer 4")
    assert task.examples[1].rounds[1].answer == "answer 2"


def test_a_bundle_ranks_answers_and_pictures_as_by_hand(benchmark_args, tiny_world, tmp_path):
    worlds.write_visdial(tmp_path / "data", dialogues=3)
    figures = main(benchmark_args("visdial")).as_dict()["figures"]
    assert (figures["ndcg"]["n"], figures["mrr"]["n"], figures["dialogue_to_image_r_at_1"]["n"]) == (3, 6, 3)
    task = read(benchmark_args("visdial"))
    model = load_bundle(str(tiny_world.bundle))
    features = [model.encode([told.picture.open()])[0].numpy() for told in task.examples]
    reciprocal, found = [], []
    for told, own in zip(task.examples, features, strict=True):
        for number, round in enumerate(told.rounds, start=1):
            likely = [score_alone(model, own, context(told, number), option) for option in round.options]
            reciprocal.append(1 / (1 + sum(other > likely[1] for other in likely)))
        found.append(model.text_embeddings([whole(told)])[0].numpy())
    assert figures["mrr"]["value"] == pytest.approx(100 * np.mean(reciprocal), abs=0.01)
    pictures = np.stack([model.image_embeddings(load(own))[0].numpy() for own in features])
    best = [int(np.argmax(pictures @ text)) for text in found]
    hits = [row == other for row, other in enumerate(best)]
    assert figures["dialogue_to_image_r_at_1"]["value"] == pytest.approx(100 * np.mean(hits), abs=0.01)


def load(features):
    import torch

    return torch.from_numpy(features)[None]


def score_alone(model, features, text, option):
    from fromage_model.model.scores import answer_log_likelihoods

    return answer_log_likelihoods(model, [features, text], [option])[0]


def test_a_frozen_model_ranks_answers_and_no_pictures(benchmark_args, frozen_model, tmp_path):
    worlds.write_visdial(tmp_path / "data", dialogues=2)
    figures = main(benchmark_args("visdial", bundle=frozen_model)).as_dict()["figures"]
    assert figures["mrr"]["n"] == 4
    assert not [name for name in figures if "image" in name]


def test_a_wrong_field_names_its_place_and_the_other_dialogues_are_measured(benchmark_args, tmp_path):
    file = worlds.write_visdial(tmp_path / "data", dialogues=4)

    def edit(content):
        dialogs = content["data"]["dialogs"]
        dialogs[0]["dialog"][1]["gt_index"] = 4
        dialogs[1]["dialog"][0]["answer_options"][3] = 99

    worlds.change(file, edit)
    (tmp_path / "data" / "VisualDialog_val2018" / "VisualDialog_val2018_000000000002.jpg").unlink()
    task = read(benchmark_args("visdial"))
    assert [told.id for told in task.examples] == ["3"]
    messages = [failure.message for failure in task.failures.rows]
    assert messages[0] == "data.dialogs.0.dialog.1.gt_index is 4; expected one of 4 options"
    assert messages[1] == "data.dialogs.1.dialog.0: there are 10 answers, and no 99"
    assert task.failures.rows[2].error == "missing_picture"
