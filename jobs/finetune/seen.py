"""What a trained model says of some pictures, and which it finds by their names: for people to look at.

Knows no page. Shapes: N items, F feature width, S shared width.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from fromage_model.captioning.captioner import BundleCaptioner
from fromage_model.errors import FromageError
from fromage_model.fromage import Fromage
from jobs.common.reporting.page import spread
from jobs.finetune.data import TrainingItems

SEEN, NEAREST, SEARCHED = 8, 4, 2000


@dataclass(frozen=True)
class Seen:
    """An item, what the model says of its picture, and the items whose pictures are nearest to its name, best first."""

    id: str
    caption: str
    held_out: bool
    says: str
    nearest: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Seen":
        return cls(**told)


@torch.inference_mode()
def look(model: Fromage, data: TrainingItems) -> list[Seen]:
    """Some items that validation holds out, or else some that are trained on; a few thousand pictures are searched."""
    model.eval()
    held_out = len(data.validation_items) > 0
    own = spread(data.own, most=SEARCHED)
    items = [*data.validation_items, *(data.items[place] for place in own)][:SEARCHED]
    features = torch.from_numpy(np.concatenate([data.validation_features, data.vectors[own]])[:SEARCHED])
    shown = spread(len(data.validation_items) if held_out else len(items), most=SEEN)
    pictures = model.image_embeddings(features).cpu()
    names = [f"{model.config.caption_prompt} {items[place].caption}.".lstrip() for place in shown]
    texts = model.text_embeddings([model.readable(name) for name in names]).cpu()
    nearest = (texts @ pictures.T).topk(min(NEAREST, len(items)), dim=1).indices.tolist()
    return [
        Seen(
            id=items[place].id,
            caption=items[place].caption or "",
            held_out=held_out,
            says=said,
            nearest=[(items[other].id, items[other].caption or "") for other in others],
        )
        for place, said, others in zip(shown, _says(model, features[shown]), nearest, strict=True)
    ]


def _says(model: Fromage, features: torch.Tensor) -> list[str]:
    """A caption for each of (N, F); a model with no room for one after its prompt says why."""
    try:
        return BundleCaptioner(model).captions_of(features)
    except FromageError as error:
        return [f"(nothing: {error})"] * len(features)
