"""Captioning: BLEU-1 to BLEU-4, METEOR, ROUGE-L and CIDEr of greedy captions, as COCO's evaluation has them.

Any captioner may be measured: a bundle, a FROZEN model, one of transformers, LLaMA-Adapter V2.
"""

import numpy as np

from fromage_model.captioning.captioner import load_captioner
from fromage_model.captioning.fingerprint import captioner_fingerprint
from fromage_model.errors import ImageError, MissingArtefact
from fromage_model.header import FROZEN_HEADER, HEADER
from fromage_model.storage.artefacts import locate
from jobs.common.reporting.progress import Progress
from jobs.evaluate.benchmarks.captioned import Captioned, read_captioned
from jobs.evaluate.benchmarks.models import BATCH, fingerprint_of
from jobs.evaluate.benchmarks.task import PICTURE, Measured, Shown, Task, some_left
from jobs.evaluate.metrics.bleu import ORDERS, bleu, bleu_statistics
from jobs.evaluate.metrics.cider import cider_d
from jobs.evaluate.metrics.meteor import knows_synonyms, meteor
from jobs.evaluate.metrics.resampling import Scores
from jobs.evaluate.metrics.rouge import rouge_l
from jobs.evaluate.metrics.words import caption_words, check_installed
from jobs.evaluate.options import EvaluateArgs


def read(args: EvaluateArgs) -> Task:
    check_installed()
    return read_captioned(args, by_picture=True)


def fingerprint(model: str) -> str:
    """Of a model of ours as everywhere, of another captioner its files'."""
    try:
        folder = locate("bundle", model)
    except MissingArtefact:
        return captioner_fingerprint(model)
    is_ours = any((folder / header).is_file() for header in (HEADER, FROZEN_HEADER))
    return fingerprint_of(model) if is_ours else captioner_fingerprint(model)


def measure(task: Task, model: str, args: EvaluateArgs) -> Measured:
    written = captions_of(task, model)
    examples = some_left([example for example in task.examples if example.id in written], task)
    return measured_captions(examples, [written[example.id] for example in examples])


def captions_of(task: Task, model: str) -> dict[str, str]:
    """Captions by id; pictures that can't be decoded go to the task's failures."""
    captioner = load_captioner(model)
    progress = Progress("captions", total=len(task.examples), of="captions")
    written: dict[str, str] = {}
    for start in range(0, len(task.examples), BATCH):
        ids, images = [], []
        for row, example in enumerate(task.examples[start : start + BATCH], start=start + 1):
            try:
                images.append(example.picture.open())
                ids.append(example.id)
            except ImageError as error:
                task.failures.add(row, example.id, error, stage=PICTURE, image=example.picture.place)
        written |= zip(ids, captioner.captions(images), strict=True)
        progress.add(len(ids))
    return written


def measured_captions(examples: list[Captioned], captions: list[str]) -> Measured:
    """Captions against what people wrote, one for each picture; CIDEr leads, as in the papers."""
    candidates = [caption_words(caption) for caption in captions]
    references = [[caption_words(caption) for caption in example.captions] for example in examples]
    ids = [example.id for example in examples]
    pairs = list(zip(candidates, references, strict=True))
    statistics = np.stack([bleu_statistics(*pair) for pair in pairs])
    ciders = cider_d(candidates, references)
    scores = {"cider": Scores(ids, np.array(ciders))}
    scores |= {f"bleu_{order}": Scores(ids, statistics, combine=bleu(order)) for order in ORDERS}
    scores["rouge_l"] = Scores(ids, np.array([rouge_l(*pair) for pair in pairs]))
    scores["meteor"] = Scores(ids, np.array([meteor(*pair) for pair in pairs]))
    shown = [
        Shown(example.id, "", " / ".join(example.captions), caption, score, example.picture)
        for example, caption, score in zip(examples, captions, ciders, strict=True)
    ]
    return Measured(scores, shown, notes={"meteor_synonyms": knows_synonyms()})
