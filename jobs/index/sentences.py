"""What is said of items -> sentence embeddings for hybrid search, in this process: a thousand take some seconds.

Knows nothing of indexes but what they say of the encoder.

Shapes: N items, T the encoder's width.
"""

import logging
import time
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from fromage_model.catalogue.words import item_sentence
from fromage_model.index import Sentences
from fromage_model.language.sentences import SentenceEncoder
from fromage_model.storage.pretrained import locate_sentence_encoder

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 4096


class ItemSentences:
    """A sentence encoder by name, opened where something is to be embedded; its fingerprint is known before."""

    def __init__(self, name: str, *, threads: int = 0):
        """`threads` of torch, 0 for as many as it takes. Raises MissingArtefact, which says what to install."""
        folder = Path(name).expanduser()
        self._name = str(folder.resolve()) if folder.is_dir() else name
        self._weights = locate_sentence_encoder(name)
        self._threads = threads

    @property
    def info(self) -> Sentences:
        """What an index says of it. Raises CheckpointError."""
        return Sentences(self._name, self._weights.fingerprint, self._encoder.width)

    def made(self, sentences: Sentences | None) -> bool:
        """Whether an index has embeddings of this very encoder."""
        return sentences is not None and sentences.fingerprint == self._weights.fingerprint

    def of(self, items: pa.Table) -> np.ndarray:
        """(N, T) float32 of length 1, in the order of a catalogue's rows."""
        start_s, found = time.monotonic(), []
        for start in range(0, items.num_rows, ROWS_AT_ONCE):
            some = items.slice(start, ROWS_AT_ONCE).select(["caption", "brand", "attributes"]).to_pylist()
            texts = [item_sentence(row["caption"], row["brand"], dict(row["attributes"] or ())) for row in some]
            found.append(self._encoder(texts))
            done, seconds = start + len(some), max(time.monotonic() - start_s, 1e-3)
            log.info("sentences: %d of %d items, %.0f/s", done, items.num_rows, done / seconds)
        return np.concatenate(found) if found else np.empty((0, self._encoder.width), dtype=np.float32)

    @cached_property
    def _encoder(self) -> SentenceEncoder:
        if self._threads:
            import torch

            torch.set_num_threads(self._threads)
        return SentenceEncoder(self._weights)
