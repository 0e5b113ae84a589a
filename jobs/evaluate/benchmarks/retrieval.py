"""Retrieval between captions and pictures, both ways: recall at 1, 5 and 10 and the median rank, from 1.

Candidates are the pictures, or the captions, of the same split. A picture with several captions is found by any of
them, as COCO and Flickr30k are measured. In a catalogue either will do of two garments that a caption fits
(`answers.py`), and of two items with the same picture, which nothing could tell apart.

Shapes: P pictures, Q captions, S shared width.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fromage_model.prompts.segments import caption_text
from jobs.common.embeddings.pictures import image_embeddings
from jobs.common.metrics import KS, matched_ranks
from jobs.evaluate.answers import answered_by
from jobs.evaluate.benchmarks.captioned import Captioned, read_captioned
from jobs.evaluate.benchmarks.embedding import embed_pictures
from jobs.evaluate.benchmarks.features import has_features
from jobs.evaluate.benchmarks.models import fromage_fingerprint, open_fromage
from jobs.evaluate.benchmarks.task import Measured, Shown, Task, some_left
from jobs.evaluate.metrics.resampling import Scores, median
from jobs.evaluate.options import EvaluateArgs

log = logging.getLogger(__name__)


def read(args: EvaluateArgs) -> Task:
    """The captioned pictures, and in `more` whether their catalogue has features. Raises as `checked_features` too."""
    task = read_captioned(args, by_picture=False)
    catalogue = task.more.get("catalogue")
    if catalogue is None:
        return task
    return replace(task, more={**task.more, "features": has_features(catalogue, args)})


def fingerprint(model: str) -> str:
    return fromage_fingerprint(model, benchmark="retrieval")


def measure(task: Task, model: str, args: EvaluateArgs) -> Measured:
    opened = open_fromage(model, benchmark="retrieval")
    vectors = _known_vectors(task, model, args)
    if vectors is None:
        places = {example.id: example.picture for example in task.examples}
        vectors = embed_pictures(opened, places, task.failures)
    examples = some_left([example for example in task.examples if example.id in vectors], task)
    whole = [
        caption_text(caption, prompt=opened.config.caption_prompt)
        for example in examples
        for caption in example.captions
    ]
    texts = [opened.readable(text) for text in whole]
    if cut := sum(text != kept for text, kept in zip(whole, texts, strict=True)):
        log.warning("%d of %d captions are longer than the LM reads; it reads their beginnings", cut, len(whole))
    told = opened.text_embeddings(texts).numpy()
    measured = measured_retrieval(examples, told, np.stack([vectors[example.id] for example in examples]))
    return replace(measured, notes={"captions_cut": cut})


def _known_vectors(task: Task, model: str, args: EvaluateArgs) -> dict[str, np.ndarray] | None:
    """By item, from the catalogue's features where there are some."""
    if not task.more.get("features"):
        return None
    ids = [example.id for example in task.examples]
    known = image_embeddings(task.more["catalogue"], bundle=model, features=args.features, ids=ids)
    return dict(zip(known.ids, known.vectors, strict=True)) if not known.missing else None


def measured_retrieval(examples: Sequence[Captioned], texts: np.ndarray, pictures: np.ndarray) -> Measured:
    """Captions (Q, S), in the order of the examples, against their pictures (P, S)."""
    own = np.repeat(np.arange(len(examples)), [len(example.captions) for example in examples])
    answers = _answers(examples)
    asked, found = None, own[None, :] == np.arange(len(examples))[:, None]
    if answers is not None:
        asked, found = answers[own], answers[:, own]
    to_image = matched_ranks(texts, pictures, targets=own, answers=asked)
    to_text = matched_ranks(pictures, texts, answers=found)
    ids = [example.id for example in examples]
    captions = [f"{ids[picture]}#{number}" for number, picture in enumerate(own)]
    groups = [ids[picture] for picture in own]
    scores: dict[str, Scores] = {}
    for way, ranks, names, depends in (
        ("text_to_image", to_image, captions, groups),
        ("image_to_text", to_text, ids, None),
    ):
        scores |= {f"{way}_r_at_{k}": Scores(names, ranks < k, groups=depends) for k in KS}
        scores[f"{way}_median_rank"] = Scores(names, ranks + 1, combine=median, groups=depends, scale=1)
    best = [int(np.argmax(pictures @ text)) for text in texts]
    said = [caption for example in examples for caption in example.captions]
    shown = [
        Shown(
            captions[row],
            said[row],
            "this picture",
            f"rank {to_image[row] + 1}; first came the other picture" if to_image[row] else "rank 1",
            1 / (1 + to_image[row]),
            examples[own[row]].picture,
            examples[best[row]].picture if best[row] != own[row] else None,
        )
        for row in range(len(said))
    ]
    return Measured(scores, shown)


def _answers(examples: Sequence[Captioned]) -> np.ndarray | None:
    """(P, P) whether picture c is what the caption of picture q asks for; None where its own is all that is."""
    items = [example.item for example in examples if example.item is not None]
    if len(items) != len(examples):
        return None
    pictures = np.array([item.image_sha256 for item in items], dtype=object)
    return answered_by(items, items) | (pictures[:, None] == pictures[None, :])
