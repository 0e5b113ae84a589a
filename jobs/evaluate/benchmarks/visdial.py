"""Visual Dialog v1.0 (Das et al. 2017; FROMAGe section 4.2): which of 100 answers fits, and which picture is meant?

    visdial_1.0_{split}.json                     {"data": {"questions": [], "answers": [], "dialogs": [{"image_id",
                                                 "dialog": [{"question", "answer", "answer_options", "gt_index"}]}]}}
    visdial_1.0_{split}_dense_annotations.json   [{"image_id", "round_id", "gt_relevance": [100 numbers]}], if there

Answers are ranked by their log-likelihood after the picture and the dialogue so far, in the original's wording: MRR and
recall by the answer that was given, NDCG by what people found right in one round of each dialogue (`round_id` counts
from 1, which the original's script overlooks). Pictures are ranked by the whole dialogue, among those of the split.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fromage_model.errors import ImageError, InvalidInput, MissingArtefact, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.storage.artefacts import file_sha256
from jobs.common.metrics import KS, matched_ranks, target_ranks
from jobs.common.reporting.progress import Progress
from jobs.evaluate.benchmarks.embedding import context_embeddings, embed_pictures, readable_contexts
from jobs.evaluate.benchmarks.inputs import (
    PictureFolder,
    counted,
    field,
    find_file,
    id_of,
    new_id,
    read_list,
    read_object,
)
from jobs.evaluate.benchmarks.models import Answering, FromageAnswering, fingerprint_of, open_answering
from jobs.evaluate.benchmarks.task import ASKING, PICTURE, Failures, Measured, PictureFile, Shown, Task, some_left
from jobs.evaluate.metrics.ranking import ndcg
from jobs.evaluate.metrics.resampling import Scores
from jobs.evaluate.options import EvaluateArgs

DEFAULT_SPLIT = "val"


@dataclass(frozen=True)
class Round:
    """A question, the answer that was given, and the options, of which that is the one at `target`.

    `relevance`: how many people found each option right, as a share; None where nobody was asked.
    """

    question: str
    answer: str
    options: tuple[str, ...]
    target: int
    relevance: tuple[float, ...] | None


@dataclass(frozen=True)
class Dialogue:
    """The rounds about a picture."""

    id: str
    picture: PictureFile
    rounds: tuple[Round, ...]


def fingerprint(model: str) -> str:
    return fingerprint_of(model)


def read(args: EvaluateArgs) -> Task:
    folder, split = Path(str(args.data)).expanduser(), args.split or DEFAULT_SPLIT
    file = find_file(folder, [f"visdial_1.0_{split}.json"], what="dialogues of VisDial v1.0")
    data = read_object(file, ["data"])["data"]
    texts = {name: _texts(data, name, file) for name in ("questions", "answers")}
    dialogs = data.get("dialogs")
    if not isinstance(dialogs, list) or not dialogs:
        raise InvalidInput(f"{file}: expected data.dialogs with something in it", field="data.dialogs")
    relevant = _dense(folder, split)
    pictures, failures = PictureFolder(folder), Failures()
    examples, known = [], set[str]()
    for row, told in enumerate(dialogs, start=1):
        where = f"data.dialogs.{row - 1}"
        id = str(told.get("image_id")) if isinstance(told, dict) else None
        with counted(failures, row, id):
            id = new_id(id_of(told, "image_id", where), known, f"{where}.image_id")
            rounds = field(told, "dialog", list, where)
            if not rounds:
                raise InvalidInput(f"{where}.dialog: expected at least one round, got none", field=f"{where}.dialog")
            dense = relevant.get(id, {})
            picture = pictures.find(f"VisualDialog_{split}2018_{id.zfill(12)}")
            made = [_round(one, f"{where}.dialog.{at}", texts, dense.get(at + 1)) for at, one in enumerate(rounds)]
            examples.append(Dialogue(id, picture, tuple(made)))
    return Task(examples, len(dialogs), failures, str(file), file_sha256(file)[:32])


def _texts(data: Any, name: str, file: Path) -> list[str]:
    found = data.get(name) if isinstance(data, dict) else None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise InvalidInput(f"{file}: expected data.{name}, a list of texts", field=f"data.{name}")
    return found


def _round(told: Any, where: str, texts: dict[str, list[str]], relevance: tuple[float, ...] | None) -> Round:
    def text_at(kind: str, number: int) -> str:
        if not 0 <= number < len(texts[kind]):
            raise InvalidInput(f"{where}: there are {len(texts[kind])} {kind}, and no {number}", field=where)
        return texts[kind][number]

    options = field(told, "answer_options", list, where)
    for at, option in enumerate(options):
        if not isinstance(option, int):
            raise InvalidInput(
                f"{where}.answer_options.{at}: expected the number of an answer, got {option!r:.40}", field=where
            )
    target = field(told, "gt_index", int, where)
    if not 0 <= target < len(options):
        raise InvalidInput(f"{where}.gt_index is {target}; expected one of {len(options)} options", field=where)
    if relevance is not None and (len(relevance) != len(options) or not any(relevance)):
        raise InvalidInput(f"{where}: expected a relevance for each of {len(options)} options", field=where)
    return Round(
        text_at("questions", field(told, "question", int, where)),
        text_at("answers", field(told, "answer", int, where)),
        tuple(text_at("answers", option) for option in options),
        target,
        relevance,
    )


def _dense(folder: Path, split: str) -> dict[str, dict[int, tuple[float, ...]]]:
    """Relevance of the options by picture and round; empty where the file is not there. Raises InvalidInput."""
    name = f"visdial_1.0_{split}_dense_annotations.json"
    try:
        file = find_file(folder if folder.is_dir() else folder.parent, [name], what="dense annotations")
    except MissingArtefact:
        return {}
    found: dict[str, dict[int, tuple[float, ...]]] = {}
    for row, told in enumerate(read_list(file)):
        where = f"{file}: {row}"
        rounds = found.setdefault(id_of(told, "image_id", where), {})
        name = "gt_relevance" if "gt_relevance" in told else "relevance"
        relevance = field(told, name, list, where)
        if not all(isinstance(value, int | float) for value in relevance):
            raise InvalidInput(f"{where}.{name}: expected numbers, got {relevance!r:.60}", field=f"{where}.{name}")
        rounds[field(told, "round_id", int, where)] = tuple(map(float, relevance))
    return found


def measure(task: Task, model: str, args: EvaluateArgs) -> Measured:
    answering = open_answering(model)
    ranked = some_left(list(_ranked(task, answering)), task)
    scores, shown = measured_answers(ranked)
    if isinstance(answering, FromageAnswering):
        scores |= _retrieval(task, answering.model)
    return Measured(scores, shown)


def _ranked(task: Task, answering: Answering) -> Iterator[tuple[Dialogue, int, np.ndarray]]:
    """(dialogue, number of the round from 1, log-likelihoods of its options); what can't be asked is a failure."""
    progress = Progress("dialogues", total=len(task.examples), of="dialogues")
    for row, dialogue in enumerate(task.examples, start=1):
        for number, round in enumerate(dialogue.rounds, start=1):
            id = f"{dialogue.id}#{number}"
            try:
                yield dialogue, number, answering.score([dialogue.picture, context(dialogue, number)], round.options)
            except ImageError as error:
                task.failures.add(row, dialogue.id, error, stage=PICTURE, image=dialogue.picture.place)
                break
            except PromptTooLong as error:
                task.failures.add(row, id, error, stage=ASKING)
                break
        progress.add(1)


def context(dialogue: Dialogue, number: int) -> str:
    """The dialogue up to the question of a round, counted from 1, as the original words it."""
    lines = []
    for round in dialogue.rounds[:number]:
        lines += [f"Q: {round.question}?", f"A: {round.answer}"]
    return "\n".join(lines[:-1]) + "\nA: "


def whole(dialogue: Dialogue) -> str:
    """All of it in one line, as the original asks for the picture."""
    return " ".join(f"Q: {round.question}? A: {round.answer}." for round in dialogue.rounds)


def measured_answers(
    ranked: Sequence[tuple[Dialogue, int, np.ndarray]],
) -> tuple[dict[str, Scores], list[Shown]]:
    """Scores of options -> NDCG where it is known, MRR, recall; rounds of one dialogue depend on each other."""
    rounds = [dialogue.rounds[number - 1] for dialogue, number, _ in ranked]
    ids = [f"{dialogue.id}#{number}" for dialogue, number, _ in ranked]
    groups = [dialogue.id for dialogue, _, _ in ranked]
    ranks = np.array(
        [
            target_ranks(likely[None, :], np.array([round.target]))[0]
            for round, (_, _, likely) in zip(rounds, ranked, strict=True)
        ]
    )
    scores = {"mrr": Scores(ids, 1 / (1 + ranks), groups=groups)}
    dense = [
        (id, ndcg(likely, np.array(round.relevance)))
        for id, round, (_, _, likely) in zip(ids, rounds, ranked, strict=True)
        if round.relevance is not None
    ]
    if dense:
        scores = {"ndcg": Scores([id for id, _ in dense], np.array([value for _, value in dense])), **scores}
    scores |= {f"r_at_{k}": Scores(ids, ranks < k, groups=groups) for k in KS}
    scores["mean_rank"] = Scores(ids, ranks + 1, groups=groups, scale=1)
    shown = []
    for row, (round, (dialogue, _, likely)) in enumerate(zip(rounds, ranked, strict=True)):
        got, score = round.options[int(likely.argmax())], 1 / (1 + float(ranks[row]))
        shown.append(Shown(ids[row], round.question, round.answer, got, score, dialogue.picture))
    return scores, shown


def _retrieval(task: Task, model: Fromage) -> dict[str, Scores]:
    """Recall of each dialogue's picture among all that could be read, by the dialogues that the LM can read."""
    vectors = embed_pictures(model, {dialogue.id: dialogue.picture for dialogue in task.examples}, Failures())
    contexts = {dialogue.id: [whole(dialogue)] for dialogue in task.examples if dialogue.id in vectors}
    ids = readable_contexts(model, {id: [context] for id, context in contexts.items()}, task)
    if not ids:
        return {}
    asked = context_embeddings(model, [contexts[id] for id in ids])
    place_of = {id: place for place, id in enumerate(vectors)}
    targets = np.array([place_of[id] for id in ids])
    ranks = matched_ranks(asked, np.stack(list(vectors.values())), targets=targets)
    return {f"dialogue_to_image_r_at_{k}": Scores(ids, ranks < k) for k in KS}
