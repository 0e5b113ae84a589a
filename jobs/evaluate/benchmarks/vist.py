"""Contextual image retrieval on Visual Storytelling (FROMAGe section 4.1): which picture ends this story?

    {split}.story-in-sequence.json     {"annotations": [[{"story_id", "photo_flickr_id", "text",
                                        "worker_arranged_photo_order"}]]}

Asked by the last picture's caption; by all captions in order; and by captions and pictures in turn, whose pictures are
then no candidates. Candidates are all pictures of the split's stories. As in the original's script, a story of which a
picture is gone is left out; unlike there, pictures stand in the order that the file tells.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fromage_model.errors import InvalidInput
from fromage_model.storage.artefacts import file_sha256
from jobs.common.metrics import KS, target_ranks
from jobs.evaluate.benchmarks.embedding import Context, context_embeddings, picture_features, project, readable_contexts
from jobs.evaluate.benchmarks.inputs import PictureFolder, counted, field, find_file, id_of, read_object
from jobs.evaluate.benchmarks.models import fromage_fingerprint, open_fromage
from jobs.evaluate.benchmarks.task import Failures, Measured, PictureFile, Shown, Task, some_left
from jobs.evaluate.metrics.resampling import Scores
from jobs.evaluate.options import EvaluateArgs

DEFAULT_SPLIT = "val"
LENGTH = 5
SETTINGS = ("1_caption", "5_captions", "5_captions_4_images")
SEEN = SETTINGS[-1]


@dataclass(frozen=True)
class Story:
    """Captions and the ids of their pictures, in the story's order."""

    id: str
    captions: tuple[str, ...]
    pictures: tuple[str, ...]


def fingerprint(model: str) -> str:
    return fromage_fingerprint(model, benchmark="vist")


def read(args: EvaluateArgs) -> Task:
    """Stories, and in `more` the `pictures` by id that any of them has."""
    folder = Path(str(args.data)).expanduser()
    pattern = f"{args.split or DEFAULT_SPLIT}.story-in-sequence.json"
    file = find_file(folder, [pattern], what="stories of VIST (story-in-sequence)")
    failures = Failures()
    parts: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
    for row, told in enumerate(read_object(file, ["annotations"])["annotations"], start=1):
        where = f"annotations.{row - 1}"
        with counted(failures, row, None):
            if not isinstance(told, list) or len(told) != 1:
                raise InvalidInput(f"{where}: expected a list of one object, got {told!r:.40}", field=where)
            id, place = id_of(told[0], "story_id", where), id_of(told[0], "worker_arranged_photo_order", where)
            if not place.isdecimal():
                raise InvalidInput(
                    f"{where}.worker_arranged_photo_order: expected a number from 0, got {place!r:.40}", field=where
                )
            text = field(told[0], "text", str, where).strip()
            parts[id][int(place)] = (text, id_of(told[0], "photo_flickr_id", where))
    folder_of_pictures = PictureFolder(folder)
    stories: list[Story] = []
    pictures: dict[str, PictureFile] = {}
    for row, (id, told) in enumerate(parts.items(), start=1):
        with counted(failures, row, id):
            if len(told) != LENGTH:
                raise InvalidInput(f"story {id}: expected {LENGTH} captioned pictures, got {len(told)}", field=id)
            ordered = [told[place] for place in sorted(told)]
            found = {picture: folder_of_pictures.find(picture) for _, picture in ordered}
            pictures |= found
            stories.append(Story(id, tuple(text for text, _ in ordered), tuple(picture for _, picture in ordered)))
    total = len(parts) + sum(failure.id is None for failure in failures.rows)
    return Task(stories, total, failures, str(file), file_sha256(file)[:32], {"pictures": pictures})


def measure(task: Task, model: str, args: EvaluateArgs) -> Measured:
    opened = open_fromage(model, benchmark="vist")
    features = picture_features(opened, task.more["pictures"], task.failures)
    whole = [story for story in task.examples if all(picture in features for picture in story.pictures)]
    contexts = {story.id: _contexts(story, features) for story in whole}
    readable = set(readable_contexts(opened, {id: list(own.values()) for id, own in contexts.items()}, task))
    stories = some_left([story for story in whole if story.id in readable], task)
    asked = {
        setting: context_embeddings(opened, [contexts[story.id][setting] for story in stories]) for setting in SETTINGS
    }
    return measured_stories(stories, asked, project(opened, features), task.more["pictures"])


def _contexts(story: Story, features: dict[str, np.ndarray]) -> dict[str, Context]:
    """By setting; in the last one caption, picture, caption, ..., and the last caption without its picture."""
    pairs = zip(story.captions, story.pictures, strict=True)
    interleaved = [part for caption, picture in pairs for part in (caption, features[picture])][:-1]
    return dict(zip(SETTINGS, ([story.captions[-1]], [" ".join(story.captions)], interleaved), strict=True))


def measured_stories(
    stories: list[Story],
    asked: dict[str, np.ndarray],
    vectors: dict[str, np.ndarray],
    pictures: dict[str, PictureFile],
) -> Measured:
    """Embeddings of the contexts, (N, S) by setting, against all pictures (S,) by id."""
    ids = list(vectors)
    row_of = {id: row for row, id in enumerate(ids)}
    candidates = np.stack(list(vectors.values()))
    targets = np.array([row_of[story.pictures[-1]] for story in stories])
    names = [story.id for story in stories]
    scores: dict[str, Scores] = {}
    shown: list[Shown] = []
    for setting, embedded in asked.items():
        likeness = embedded @ candidates.T
        if setting == SEEN:
            for row, story in enumerate(stories):
                others = [row_of[id] for id in story.pictures[:-1] if id != story.pictures[-1]]
                likeness[row, others] = likeness.min() - 1
        ranks = target_ranks(likeness, targets)
        scores |= {f"{setting}_r_at_{k}": Scores(names, ranks < k) for k in KS}
        best = likeness.argmax(axis=1)
    for row, story in enumerate(stories):
        came = ids[best[row]]
        got = f"rank {ranks[row] + 1}" + ("" if came == story.pictures[-1] else f"; first came {came}")
        other = None if came == story.pictures[-1] else pictures[came]
        score = 1 / (1 + float(ranks[row]))
        shown.append(
            Shown(story.id, "\n".join(story.captions), "this picture", got, score, pictures[story.pictures[-1]], other)
        )
    return Measured(scores, shown, notes={"candidates": len(ids)})
