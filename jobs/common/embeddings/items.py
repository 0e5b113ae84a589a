"""What an item is found by: its picture's embedding, that of its texts, or their weighted sum. Knows no indexes.

Shapes: N items, S shared width.
"""

from typing import Literal, get_args

import numpy as np
import pyarrow as pa

from fromage_model.catalogue.words import item_words
from fromage_model.prompts.segments import item_texts

VectorKind = Literal["image", "caption", "both"]
VECTOR_KINDS: tuple[VectorKind, ...] = get_args(VectorKind)


def texts_of(items: pa.Table, *, prompt: str, words: int) -> list[list[str]]:
    """For each row of a catalogue what it is read by; nothing for one without a caption."""
    captions = items.column("caption").to_pylist()
    attributes = [dict(pairs or ()) for pairs in items.column("attributes").to_pylist()]
    return [
        item_texts(caption, item_words(own)[:words], prompt=prompt) if caption and caption.strip() else []
        for caption, own in zip(captions, attributes, strict=True)
    ]


def item_vectors(pictures: np.ndarray, told: np.ndarray, *, kind: VectorKind, picture_share: float) -> np.ndarray:
    """Embeddings of pictures (N, S) and of texts (N, S) -> what items are found by, of length 1.

    `told` is zero in the row of an item without texts, which is found by its picture in any case. `picture_share` is
    what the picture counts in `both`.
    """
    if kind == "image":
        return pictures
    share = picture_share if kind == "both" else 0.0
    joined = np.where(told.any(axis=1, keepdims=True), share * pictures + (1 - share) * told, pictures)
    return joined / np.linalg.norm(joined, axis=1, keepdims=True)
