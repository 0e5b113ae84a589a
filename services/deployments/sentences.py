"""The sentence encoder of an index that was made for hybrid search, opened where it is served. Knows no HTTP.

Two indexes of the same encoder share one: at a swap both pairs are held for a while.
"""

from functools import lru_cache

from fromage_model.errors import FingerprintMismatch, MissingArtefact
from fromage_model.index import IndexInfo
from fromage_model.language.sentences import SentenceEncoder
from fromage_model.storage.pretrained import Weights, locate_sentence_encoder


def sentences_of(info: IndexInfo, *, text_weight: float) -> SentenceEncoder | None:
    """None for an index without, or where words are to weigh nothing. Raises as `located`, and CheckpointError."""
    weights = located(info, text_weight=text_weight)
    return None if weights is None else _opened(weights)


def located(info: IndexInfo, *, text_weight: float) -> Weights | None:
    """Where the encoder lies. Raises MissingArtefact, which says what to install or how to do without, and
    FingerprintMismatch where it is another than the index was made with.
    """
    told = info.sentences
    if told is None or not text_weight:
        return None
    try:
        weights = locate_sentence_encoder(told.encoder)
    except MissingArtefact as error:
        raise MissingArtefact(
            f"the index of {info.catalogue} is for hybrid search: {error}; or serve it without, by "
            "--retrieval-text-weight 0"
        ) from error
    if weights.fingerprint != told.fingerprint:
        message = (
            f"the sentence encoder {told.encoder} is not the one that the index of {info.catalogue} was made with; "
            f"`python -m jobs.index --hybrid {told.encoder}` embeds the items' texts again"
        )
        raise FingerprintMismatch(message, expected=told.fingerprint, found=weights.fingerprint)
    return weights


@lru_cache(maxsize=1)
def _opened(weights: Weights) -> SentenceEncoder:
    return SentenceEncoder(weights)
