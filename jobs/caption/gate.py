"""Which captions of a run their pictures bear out, and which are no likelier than a caption of another picture.

Knows nothing of models or catalogues: it is given vectors, and judges all captions of a run at once, so that neither
shards nor their order change what it says.

Shapes: N pictures, each with its caption; M pictures of the sample, T their different captions; S shared width.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jobs.caption.captioned import Caption, Key

# Below so many pictures, or samples of the null, a quantile of it says nothing.
FEWEST_PICTURES = 16
FEWEST_OTHERS = 100
# The null grows with the square of the pictures; so many give a million samples.
MOST_SAMPLED = 1024
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Rejected:
    """A caption that did not pass, and the share of the null (captions of other pictures) that it stands above."""

    caption: Caption
    above: float


@dataclass(frozen=True)
class Judged:
    """The captions of a run by what they are of. `judged` tells whether there was enough to judge them by."""

    passed: dict[Key, Caption]
    rejected: dict[Key, Rejected] = field(default_factory=dict)
    judged: bool = False


def judge(captions: Mapping[Key, Caption], *, quantile: float) -> Judged:
    """A caption passes where its score is above this quantile of the scores of captions of other pictures.

    So a share of 1 - `quantile` passes of captions that have nothing to do with their pictures. Where no caption was
    weighed, or there are fewer than FEWEST_PICTURES, all pass unjudged.
    """
    found = {key: caption.vectors for key, caption in captions.items() if caption.vectors is not None}
    weighed = sorted(found)
    if len(weighed) < FEWEST_PICTURES:
        return Judged(dict(captions))
    vectors = np.stack([found[key] for key in weighed])
    texts = [captions[key].text for key in weighed]
    above = shares_above(vectors[:, 0], vectors[:, 1], texts, order=[_drawn(key) for key in weighed])
    rejected = {
        key: Rejected(captions[key], float(share))
        for key, share in zip(weighed, above, strict=True)
        if share <= quantile
    }
    return Judged({key: caption for key, caption in captions.items() if key not in rejected}, rejected, judged=True)


def shares_above(
    pictures: np.ndarray, captions: np.ndarray, texts: Sequence[str], *, order: Sequence[str]
) -> np.ndarray:
    """The share (N,) of the null that each picture's own caption stands above; (N, S) unit vectors, N texts.

    A score is the cosine of a picture and a caption, less what this picture has with any caption and what this caption
    has with any picture: one that is near to everything, as "the universe" may be, gains nothing by it. The null are
    the scores of pictures with captions of others. The same words on several pictures are one caption, and no null for
    each other; where there are hardly other words, nothing speaks for any caption, and all shares are 0. Of more than
    MOST_SAMPLED pictures, those first in `order` are the sample.
    """
    sample = np.sort(np.argsort(np.array(order), kind="stable")[:MOST_SAMPLED])
    words = np.array([" ".join(text.casefold().split()).rstrip(".") for text in texts])
    others, first = np.unique(words[sample], return_index=True)
    different, shown = captions[sample[first]], pictures[sample]
    by_caption = (different @ shown.T).mean(axis=1)

    def others_scores(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores (rows, T) of pictures with the sample's captions, and what these have with any caption (rows, 1)."""
        cosines = pictures[rows] @ different.T
        by_picture = cosines.mean(axis=1, keepdims=True)
        return cosines - by_picture - by_caption, by_picture

    scores, _ = others_scores(sample)
    null = np.sort(scores[words[sample][:, None] != others[None, :]])
    if len(null) < FEWEST_OTHERS:
        return np.zeros(len(texts))
    shares = []
    for start in range(0, len(texts), ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, len(texts)))
        _, by_picture = others_scores(rows)
        own = np.einsum("ns,ns->n", pictures[rows], captions[rows])
        score = own - by_picture[:, 0] - (captions[rows] @ shown.T).mean(axis=1)
        shares.append(np.searchsorted(null, score, side="left") / len(null))
    return np.concatenate(shares)


def _drawn(key: Key) -> str:
    """What puts keys into an order that has nothing to do with where their items stand."""
    return hashlib.sha256(" ".join(key).encode()).hexdigest()
