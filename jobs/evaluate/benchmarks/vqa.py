"""Visual question answering on VQAv2 (Goyal et al. 2017) with a few solved questions in the prompt (FROZEN section 4).

    *OpenEnded_mscoco_{split}_questions.json     {"questions": [{"question_id", "image_id", "question"}]}
    *mscoco_{split}_annotations.json             {"annotations": [{"question_id", "answers": [{"answer"}] * 10}]}

Of each number of shots: open-ended (what is written up to a line's end) and among a closed choice (the likeliest
of the question's own `multiple_choices`, or of the most frequent training answers); each beside its blind control, for
which all pictures are black. Solved questions are drawn from the training files, whose pictures are needed too. Without
a folder of files it is a catalogue's split, as `jobs.ingest --source vqav2:FOLDER` makes one.
"""

import logging
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fromage_model.catalogue import Catalogue
from fromage_model.errors import CatalogueError, ConfigError, ImageError, InvalidInput, MissingArtefact, PromptTooLong
from fromage_model.frozen.vqa_answers import normalise_answer
from jobs.common.reporting.progress import Progress
from jobs.evaluate.benchmarks.models import BATCH, Answering, Part, fingerprint_of, open_answering
from jobs.evaluate.benchmarks.task import ASKING, PICTURE, Measured, Shown, Task, some_left
from jobs.evaluate.benchmarks.vqa_files import Asked, most_frequent, questions_of_catalogue, read_questions
from jobs.evaluate.metrics.resampling import Scores
from jobs.evaluate.metrics.vqa import vqa_accuracy
from jobs.evaluate.options import EvaluateArgs

log = logging.getLogger(__name__)
DEFAULT_SPLIT, TRAINING = "val2014", "train2014"
MAX_NEW_TOKENS = 12
UNTIL = ("\n",)
SAME_PICTURE = 64
"""Solved questions drawn more than are needed, some of which may be about the question's own picture."""


@dataclass(frozen=True)
class Query:
    """One question in one draw, with the solved questions before it, as many as any number of shots asks for."""

    id: str
    asked: Asked
    solved: tuple[Asked, ...]


@dataclass(frozen=True)
class Setting:
    """How the questions are asked; `name` is that of its figure."""

    shots: int
    blind: bool
    closed: bool

    @property
    def label(self) -> str:
        return f"{'closed_choice' if self.closed else 'open_ended'}{'_blind' if self.blind else ''}"

    @property
    def name(self) -> str:
        return f"{self.label}_{self.shots}_shots"


def fingerprint(model: str) -> str:
    return fingerprint_of(model)


def read(args: EvaluateArgs) -> Task:
    """Questions, and in `more` the `training` questions and the closed `choices`."""
    if args.data is None:
        catalogue = Catalogue.open(args.catalogue)
        questions = partial(questions_of_catalogue, catalogue)
        split, train = args.split or "held-out", "train"
    else:
        questions = partial(read_questions, Path(args.data).expanduser())
        split, train = args.split or DEFAULT_SPLIT, TRAINING
    task = questions(split)
    training: Sequence[Asked] = ()
    told = ""
    if max(args.shots) or args.choices:
        try:
            found = questions(train, pictures=max(args.shots) > 0)
        except (MissingArtefact, CatalogueError) as error:
            raise MissingArtefact(f"{error}; --shots 0 --choices 0 does without training questions") from error
        training = found.examples
        if lost := found.failures.rows:
            told = f"; {len(lost)} of {found.total} can't be used, the first: {lost[0].message}"
            log.warning("training questions of %s%s", found.source, told)
    if max(args.shots) and len(training) <= max(args.shots):
        raise ConfigError(
            f"shots is {args.shots}, and only {len(training)} training questions beside {task.source} have their "
            f"picture there{told}; expected more than the most shots, or --shots 0"
        )
    choices = most_frequent(training, args.choices)
    if args.choices and not choices and not all(one.choices for one in task.examples):
        raise InvalidInput(
            f"none of {len(training)} training questions beside {task.source} has an answer that is a word{told}; "
            "--choices 0 leaves out the choice among them"
        )
    return Task(
        task.examples,
        task.total,
        task.failures,
        task.source,
        task.fingerprint,
        {"training": training, "choices": choices},
    )


def measure(task: Task, model: str, args: EvaluateArgs) -> Measured:
    answering = open_answering(model)
    settings = settings_of(args)
    queries = list(_queries(task, args))
    progress = Progress("questions", total=len(queries) * len(settings), of="answers")
    answers: dict[Setting, dict[str, str]] = {setting: {} for setting in settings}
    for setting in settings:
        for start in range(0, len(queries), BATCH):
            some = queries[start : start + BATCH]
            answers[setting] |= _answered(answering, task, some, setting, args.repeats)
            progress.add(len(some))
    some_left([given for given in answers.values() if given], task)
    return measured_answers(queries, answers)


def settings_of(args: EvaluateArgs) -> list[Setting]:
    """Open-ended before closed, seeing before blind, the most shots first: the first setting's figure leads."""
    return [
        Setting(shots, blind, closed)
        for closed in ((False, True) if args.choices else (False,))
        for blind in (False, True)
        for shots in sorted(args.shots, reverse=True)
    ]


def _queries(task: Task, args: EvaluateArgs) -> Iterator[Query]:
    """Solved questions are drawn by the seed, the question and the draw, and are about other pictures."""
    training, most = task.more["training"], max(args.shots)
    for asked in task.examples:
        for draw in range(args.draws if most else 1):
            rng = random.Random(f"{args.seed} {asked.id} {draw}")
            drawn = rng.sample(training, min(len(training), most + SAME_PICTURE)) if most else []
            solved = [one for one in drawn if one.image_id != asked.image_id][:most]
            yield Query(f"{asked.id}#{draw}", asked, tuple(solved))


def prompt_of(query: Query, setting: Setting, repeats: int) -> list[Part]:
    """Solved questions, each on a line of its own under its picture, then the question up to `Answer:`."""
    shots: list[Part] = []
    for one in query.solved[: setting.shots]:
        shots += [_seen(one, setting), f"{_worded(one)} {one.answer}\n"]
    return [*shots * repeats, _seen(query.asked, setting), _worded(query.asked)]


def _seen(asked: Asked, setting: Setting) -> Part:
    return None if setting.blind else asked.picture


def _worded(asked: Asked) -> str:
    return f"Question: {asked.question} Answer:"


def _answered(
    answering: Answering, task: Task, queries: Sequence[Query], setting: Setting, repeats: int
) -> dict[str, str]:
    """Answers by the query's id; questions that can't be asked go to the failures, one by one."""
    try:
        return _answered_together(answering, task, queries, setting, repeats)
    except (ImageError, PromptTooLong) as error:
        if len(queries) > 1:
            each = (_answered(answering, task, [query], setting, repeats) for query in queries)
            return {id: answer for one in each for id, answer in one.items()}
        stage = PICTURE if isinstance(error, ImageError) else ASKING
        task.failures.add(1 + task.examples.index(queries[0].asked), queries[0].asked.id, error, stage=stage)
        return {}


def _answered_together(
    answering: Answering, task: Task, queries: Sequence[Query], setting: Setting, repeats: int
) -> dict[str, str]:
    prompts = [prompt_of(query, setting, repeats) for query in queries]
    if not setting.closed:
        written = answering.write(prompts, max_new_tokens=MAX_NEW_TOKENS, until=UNTIL)
        return {query.id: text.strip() for query, text in zip(queries, written, strict=True)}
    found: dict[str, str] = {}
    for query, prompt in zip(queries, prompts, strict=True):
        choices = query.asked.choices or task.more["choices"]
        scores = answering.score(prompt, [f" {choice}" for choice in choices])
        found[query.id] = choices[int(scores.argmax())]
    return found


def measured_answers(queries: Sequence[Query], answers: dict[Setting, dict[str, str]]) -> Measured:
    """VQA accuracy of each setting, of the first by answer type too; a picture's questions depend on each other."""
    accuracy = {
        setting: {
            query.id: vqa_accuracy(normalise_answer(given[query.id]), query.asked.answers)
            for query in queries
            if query.id in given
        }
        for setting, given in answers.items()
    }
    image_of = {query.id: query.asked.image_id for query in queries}

    def scores(found: dict[str, float]) -> Scores:
        return Scores(list(found), np.array(list(found.values())), groups=[image_of[id] for id in found])

    told = {setting.name: scores(found) for setting, found in accuracy.items() if found}
    first = next(setting for setting, given in answers.items() if given)
    kinds = Counter(query.asked.answer_type for query in queries if query.asked.answer_type)
    for kind in sorted(kinds):
        own = {q.id: accuracy[first][q.id] for q in queries if q.asked.answer_type == kind and q.id in accuracy[first]}
        if own and len(kinds) > 1:
            told[f"{first.name}_{kind.replace('/', '_')}"] = scores(own)
    curves: dict[str, list[tuple[float, str]]] = {}
    for setting in sorted(answers, key=lambda setting: setting.shots):
        if setting.name in told:
            curves.setdefault(setting.label.replace("_", " "), []).append((setting.shots, setting.name))
    shown = [
        Shown(
            query.id,
            query.asked.question,
            ", ".join(f"{text} ({count})" for text, count in Counter(query.asked.answers).most_common()),
            answers[first][query.id],
            accuracy[first][query.id],
            query.asked.picture,
        )
        for query in queries
        if query.id in accuracy[first]
    ]
    return Measured(told, shown, curves=curves, x_label="shots")
