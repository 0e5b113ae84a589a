"""Texts that are longer than training reads: how many, and the longest, told before it starts. Knows no model."""

import logging
from collections.abc import Iterable
from pathlib import Path

from fromage_model.language.tokens import load_tokens
from fromage_model.storage.pretrained import locate_language_model

log = logging.getLogger(__name__)


def count_cut(texts: Iterable[tuple[str, str]], *, language_model: str, most: int, option: str) -> int:
    """How many of the texts, each with its item's id, have more than `most` tokens; the log names the longest.

    `option` is what sets `most`. Raises MissingArtefact without the LM.
    """
    tokens = load_tokens(Path(locate_language_model(language_model).path))
    count, cut, longest = 0, 0, (0, "")
    for id, text in texts:
        count += 1
        # No token is shorter than a byte.
        length = len(tokens.encode(text)) if len(text.encode()) > most else 0
        if length > most:
            cut, longest = cut + 1, max(longest, (length, id))
    if cut:
        log.warning(
            "%d of %d texts are longer than the %d tokens of %s, and learned up to there; that of %s has %d",
            cut, count, most, option, longest[1], longest[0],
        )  # fmt: skip
    return cut
