"""VQA: prompts, draws, figures and files, and a model of each kind that is asked."""

import pytest

from fromage_model.errors import CatalogueError, ConfigError, MissingArtefact
from jobs.evaluate.benchmarks.models import FrozenAnswering, open_answering
from jobs.evaluate.benchmarks.task import PictureFile
from jobs.evaluate.benchmarks.vqa import Query, Setting, _queries, measured_answers, prompt_of, read, settings_of
from jobs.evaluate.benchmarks.vqa_files import Asked, most_frequent
from jobs.evaluate.job import main
from jobs.ingest import job as ingest
from tests.jobs.conftest import without_ray
from tests.jobs.evaluate.benchmarks import worlds

PEOPLE = ("red",) * 7 + ("blue",) * 2 + ("dark red",)


def asked(id="1", image="1", *, answers=PEOPLE, answer="red", choices=(), kind="other"):
    return Asked(id, image, f"What is {id}?", tuple(answers), answer, PictureFile(f"{image}.jpg"), choices, kind)


def test_accuracy_of_each_setting_by_hand_and_of_the_first_by_type():
    """Red was given by seven (1), blue by two: left out one of them 1 / 3, another 2 / 3: (2 / 3 + 16 / 3) / 10."""
    queries = [Query("1#0", asked("1"), ()), Query("2#0", asked("2", kind="number"), ())]
    seen, blind = Setting(0, blind=False, closed=False), Setting(0, blind=True, closed=False)
    found = measured_answers(
        queries, {seen: {"1#0": "Red.", "2#0": "blue"}, blind: {"1#0": "the hat", "2#0": "a blue"}}
    )
    values = {name: scores.value for name, scores in found.scores.items()}
    assert values == {
        "open_ended_0_shots": pytest.approx(100 * (1 + 0.6) / 2),
        "open_ended_blind_0_shots": pytest.approx(100 * 0.6 / 2),
        "open_ended_0_shots_number": pytest.approx(60),
        "open_ended_0_shots_other": pytest.approx(100),
    }
    assert found.scores["open_ended_0_shots"].groups == ["1", "1"]
    assert found.curves == {
        "open ended": [(0, "open_ended_0_shots")],
        "open ended blind": [(0, "open_ended_blind_0_shots")],
    }
    assert found.shown[1].expected == "red (7), blue (2), dark red (1)"


def test_shots_that_are_too_long_for_the_model_are_counted_and_fewer_are_measured(
    benchmark_args, frozen_model, tmp_path
):
    worlds.write_vqa(tmp_path / "data", split="train2014", count=12)
    worlds.write_vqa(tmp_path / "data", split="val2014", count=2)
    figures = main(benchmark_args("vqa", bundle=frozen_model, shots=(0, 8), repeats=4, choices=0)).as_dict()
    assert list(figures["figures"])[:2] == ["open_ended_0_shots", "open_ended_blind_0_shots"]
    assert figures["failed_by"] == {"too_long": 2}


def test_a_prompt_is_solved_questions_under_their_pictures_then_the_question():
    one, two, query = asked("1", "5"), asked("2", "6", answer="blue"), asked("3", "7")
    setting = Setting(2, blind=False, closed=False)
    parts = prompt_of(Query("3#0", query, (one, two)), setting, 1)
    shots = [one.picture, "Question: What is 1? Answer: red\n", two.picture, "Question: What is 2? Answer: blue\n"]
    assert parts == [*shots, query.picture, "Question: What is 3? Answer:"]
    assert prompt_of(Query("3#0", query, (one, two)), setting, 2) == [*shots, *shots, *parts[4:]]
    blind = prompt_of(Query("3#0", query, (one,)), Setting(1, blind=True, closed=False), 1)
    assert [part for part in blind if not isinstance(part, str)] == [None, None]


def test_solved_questions_are_the_same_for_fewer_shots_and_about_other_pictures(benchmark_args, tmp_path):
    worlds.write_vqa(tmp_path / "data", split="train2014", count=8)
    worlds.write_vqa(tmp_path / "data", split="val2014", count=8)
    task = read(benchmark_args("vqa", draws=2, shots=(0, 2)))
    queries = list(_queries(task, benchmark_args("vqa", draws=2, shots=(0, 2))))
    assert [query.id for query in queries[:3]] == ["0#0", "0#1", "10#0"]
    for query in queries:
        assert len(query.solved) == 2
        assert query.asked.image_id not in [one.image_id for one in query.solved]
    assert queries == list(_queries(task, benchmark_args("vqa", draws=2, shots=(0, 2))))
    assert queries != list(_queries(task, benchmark_args("vqa", draws=2, shots=(0, 2), seed=1)))


def test_every_number_of_shots_is_asked_open_and_closed_seeing_and_blind(benchmark_args):
    names = [setting.name for setting in settings_of(benchmark_args("vqa"))]
    assert len(names) == 5 * 2 * 2
    assert (names[0], names[-1]) == ("open_ended_8_shots", "closed_choice_blind_0_shots")
    assert len(settings_of(benchmark_args("vqa", shots=(0,), choices=0))) == 2


@pytest.mark.parametrize("kind", ["bundle", "frozen"])
def test_either_model_is_asked_in_every_setting(benchmark_args, frozen_model, tiny_world, tmp_path, kind):
    worlds.write_vqa(tmp_path / "data", split="train2014", count=4)
    worlds.write_vqa(tmp_path / "data", split="val2014", count=4)
    name = frozen_model if kind == "frozen" else str(tiny_world.bundle)
    figures = main(benchmark_args("vqa", bundle=name, shots=(0, 1), draws=2)).as_dict()
    told = figures["figures"]
    assert (told["open_ended_1_shots"]["n"], told["closed_choice_0_shots"]["n"]) == (8, 8)
    # There is one answer to choose, and six of ten gave it.
    assert told["closed_choice_blind_1_shots"] == {"value": 100.0, "interval": [100.0, 100.0], "n": 8}
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('<polyline class="curve"') == 4
    assert figures["fingerprint"]


def test_a_closed_choice_is_the_likeliest_of_the_questions_own(frozen_model, tmp_path):
    answering = open_answering(frozen_model)
    assert isinstance(answering, FrozenAnswering)
    picture = PictureFile(str(worlds.write_png(tmp_path / "p.png", "red")))
    prompt = [picture, "Question: What? Answer:"]
    scores = answering.score(prompt, [" red", " blue"])
    alone = [answering.score(prompt, [choice])[0] for choice in (" red", " blue")]
    assert scores.tolist() == pytest.approx(alone, abs=1e-4)
    assert answering.score([None, prompt[1]], [" red"])[0] != pytest.approx(alone[0], abs=1e-4)


def test_training_answers_are_counted_after_they_are_normalised():
    training = [asked(answer=answer) for answer in ("yes", "Yes.", "no", "two", "2")]
    assert most_frequent(training, 2) == ("yes", "2")


def test_answers_are_normalised_and_faults_are_told_by_place(benchmark_args, tmp_path):
    file = worlds.write_vqa(tmp_path / "data", split="val2014", count=8, people=["The Two."] * 10)

    def edit(content):
        content["annotations"][1]["answers"][3]["answer"] = None
        del content["annotations"][2]["question_id"]

    worlds.change(file, edit)
    (tmp_path / "data" / "val2014" / "COCO_val2014_000000000003.jpg").unlink()
    task = read(benchmark_args("vqa", shots=(0,), choices=0))
    assert [one.id for one in task.examples] == ["0", "30", "40", "50"]
    assert task.examples[0].answers == ("2",) * 10
    messages = [failure.message for failure in task.failures.rows]
    assert messages[0] == "annotations.1.answers.3.answer: expected str, got NoneType None"
    assert messages[1] == "annotations.2.question_id: expected int or str, got nothing"
    assert messages[2] == "questions.1: no annotation has answers of the question 10"
    assert [failure.error for failure in task.failures.rows[4:]] == ["missing_picture"] * 2


def test_a_catalogue_of_vqav2_is_asked_as_its_files_are(benchmark_args, tmp_path):
    for split in ("train2014", "val2014"):
        worlds.write_vqa(tmp_path / "data", split=split, count=4, people=("Two",) * 6 + ("red",) * 4)
    with without_ray():
        ingest.main(ingest.IngestArgs(source=f"vqav2:{tmp_path / 'data'}", out=str(tmp_path / "vqa")))
    settings = {"shots": (1,), "choices": 2}
    files = read(benchmark_args("vqa", **settings))
    items = read(benchmark_args("vqa", data=None, catalogue=str(tmp_path / "vqa"), **settings))
    told = [(one.id, one.question, one.answers, one.answer, one.answer_type) for one in files.examples]
    assert sorted(told) == sorted(
        (one.id, one.question, one.answers, one.answer, one.answer_type) for one in items.examples
    )
    assert len(items.more["training"]) == 4
    assert items.more["choices"] == files.more["choices"] == ("2",)
    with pytest.raises(CatalogueError, match="no answered question in split 'nowhere'"):
        read(benchmark_args("vqa", data=None, catalogue=str(tmp_path / "vqa"), split="nowhere"))


@pytest.mark.usefixtures("no_model")
def test_what_shots_need_is_said(benchmark_args, tmp_path):
    worlds.write_vqa(tmp_path / "data", split="val2014", count=2)
    with pytest.raises(MissingArtefact, match=r"questions of VQA train2014.*--shots 0 --choices 0 does without"):
        main(benchmark_args("vqa"))
    worlds.write_vqa(tmp_path / "data", split="train2014", count=2)
    with pytest.raises(ConfigError, match=r"only 2 training questions.*--shots 0"):
        main(benchmark_args("vqa"))
