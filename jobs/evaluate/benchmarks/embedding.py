"""What retrieval is measured on: pictures and contexts of a benchmark -> features and embeddings of a bundle.

Shapes: N contexts, F feature width, S shared width.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from fromage_model.errors import ImageError, PromptTooLong
from fromage_model.fromage import Fromage
from fromage_model.prompts.original import original_prompt
from fromage_model.prompts.segments import token_count
from jobs.common.reporting.progress import Progress
from jobs.evaluate.benchmarks.models import BATCH
from jobs.evaluate.benchmarks.task import ASKING, PICTURE, Failures, PictureFile, Task

Context = Sequence[str | np.ndarray]
"""Texts and features (F,) in order."""


def embed_pictures(model: Fromage, pictures: Mapping[str, PictureFile], failures: Failures) -> dict[str, np.ndarray]:
    """Features (F,) and then embeddings (S,) by id; pictures that can't be decoded go to the failures."""
    return project(model, picture_features(model, pictures, failures))


@torch.inference_mode()
def project(model: Fromage, features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Features (F,) by id -> retrieval embeddings (S,)."""
    if not features:
        return {}
    vectors = model.image_embeddings(torch.from_numpy(np.stack(list(features.values()))))
    return dict(zip(features, vectors.float().cpu().numpy(), strict=True))


def picture_features(model: Fromage, pictures: Mapping[str, PictureFile], failures: Failures) -> dict[str, np.ndarray]:
    """Features (F,) by id."""
    progress = Progress("pictures", total=len(pictures), of="pictures")
    found: dict[str, np.ndarray] = {}
    listed = list(pictures.items())
    for start in range(0, len(listed), BATCH):
        ids, images = [], []
        for row, (id, picture) in enumerate(listed[start : start + BATCH], start=start + 1):
            try:
                images.append(picture.open())
                ids.append(id)
            except ImageError as error:
                failures.add(row, id, error, stage=PICTURE, image=picture.place)
        if images:
            found |= zip(ids, model.encode(images).numpy(), strict=True)
        progress.add(len(ids))
    return found


def readable_contexts(model: Fromage, contexts: Mapping[str, Sequence[Context]], task: Task) -> list[str]:
    """Those of the ids all of whose contexts, each followed by [RET], the LM has room for; the others are failures."""
    row_of = {example.id: row for row, example in enumerate(task.examples, start=1)}
    readable = []
    for id, own in contexts.items():
        try:
            for context in own:
                count = token_count(original_prompt(context, model.tokens), visual_tokens=model.config.visual_tokens)
                model.check_room(count, more=1)
            readable.append(id)
        except PromptTooLong as error:
            task.failures.add(row_of[id], id, error, stage=ASKING)
    return readable


@torch.inference_mode()
def context_embeddings(model: Fromage, contexts: Sequence[Context]) -> np.ndarray:
    """Contexts of text and features (F,), each followed by [RET] -> retrieval embeddings (N, S) float32.

    They are laid out as the original lays out a prompt. Raises InvalidInput for an empty one, PromptTooLong.
    """
    embedded = [
        model.ask([original_prompt(context, model.tokens) for context in contexts[start : start + BATCH]]).embeddings
        for start in range(0, len(contexts), BATCH)
    ]
    return torch.cat(embedded).float().cpu().numpy()
