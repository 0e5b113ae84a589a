"""Pictures that are nearly the same: re-encoded, scaled, slightly retouched. Knows nothing of files or of items.

A signature is a difference hash of the brightness, 16 x 16 bits (N. Krawetz, "Kind of Like That", hackerfactor.com,
2013), here with a margin so that the noise of flat parts counts for nothing, and 8 x 8 mean colours: two colours of one
dress have the same hash and are two items. Measured on OpenMoji and Open Clip Art, a copy as JPEG of quality 60 has the
hash of its picture for 99 % of the pictures, a copy of half the width for 88 to 99 %.

Shapes: N pictures.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

HASH_PX = 16
MARGIN = 4
COLOURS_PX = 8
HASH_BYTES = HASH_PX * HASH_PX // 8
SIGNATURE_BYTES = HASH_BYTES + COLOURS_PX * COLOURS_PX * 3

# Of 256 bits of the hash; and of the colours, the root of the mean square, 1 being white against black.
NEAR_BITS = 12
NEAR_COLOURS = 0.02
BLOCK_ROWS = 256


def signature(image: Image.Image) -> bytes:
    """An RGB picture -> SIGNATURE_BYTES bytes."""
    box = Image.Resampling.BOX
    grey = np.asarray(image.convert("L").resize((HASH_PX + 1, HASH_PX), box), dtype=np.int16)
    bits = np.packbits((grey[:, 1:] - grey[:, :-1]) > MARGIN)
    colours = np.asarray(image.resize((COLOURS_PX, COLOURS_PX), box), dtype=np.uint8)
    return bits.tobytes() + colours.tobytes()


def near_pairs(signatures: np.ndarray, *, bits: int = NEAR_BITS) -> list[tuple[int, int, int]]:
    """(N, SIGNATURE_BYTES) uint8 -> (row, later row, bits that differ) of pairs that are near, in order.

    Of rows with one and the same signature, the later ones are paired with the first alone, and only the first is
    compared with others: a placeholder that a feed shows N times makes N - 1 pairs.

    Of `bits` + 1 bands of the hash, two near pictures share one whole (the pigeonhole principle), so only pictures that
    share a band are compared. Bands take their bits from everywhere: white margins alone make no band alike.
    """
    first_of: dict[bytes, int] = {}
    found = []
    for row, known in enumerate(signatures):
        first = first_of.setdefault(known.tobytes(), row)
        if first != row:
            found.append((first, row, 0))
    distinct = np.array(list(first_of.values()), dtype=np.int64)
    for one, other, differing in _near_distinct(signatures[distinct], bits):
        found += zip(distinct[one].tolist(), distinct[other].tolist(), differing.tolist(), strict=True)
    return sorted(found)


def _near_distinct(signatures: np.ndarray, bits: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(row, later row, bits that differ) of every near pair, each pair once: in the first band that it shares."""
    hashes = np.ascontiguousarray(signatures[:, :HASH_BYTES])
    words = hashes.view(np.uint64)
    colours = signatures[:, HASH_BYTES:]
    order = np.random.default_rng(0).permutation(HASH_BYTES * 8)
    shuffled = np.unpackbits(hashes, axis=1)[:, order]
    bands = [_keys(band) for band in np.array_split(shuffled, bits + 1, axis=1)]
    for number, keys in enumerate(bands):
        for rows, others in _blocks(keys):
            differing = _differing(words, rows, others)
            one, other = np.nonzero((differing <= bits) & (rows[:, None] < others))
            differing, one, other = differing[one, other], rows[one], others[other]
            new = np.ones(len(one), dtype=bool)
            for earlier in bands[:number]:
                new &= earlier[one] != earlier[other]
            differing, one, other = differing[new], one[new], other[new]
            apart = colours[one].astype(np.float32) - colours[other]
            alike = np.sqrt(np.square(apart).mean(axis=1)) <= NEAR_COLOURS * 255
            yield one[alike], other[alike], differing[alike]


def _keys(band: np.ndarray) -> np.ndarray:
    """(N, bits of the band) -> (N,) numbers that are the same where the bits are."""
    _, place = np.unique(np.packbits(band, axis=1), axis=0, return_inverse=True)
    return place.reshape(-1)


def _blocks(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and rows to compare them with: all pairs that have the same key, at most BLOCK_ROWS squared at once."""
    by_key = np.argsort(keys, kind="stable")
    for bucket in np.split(by_key, np.flatnonzero(np.diff(keys[by_key])) + 1):
        if len(bucket) > 1:
            parts = [bucket[start : start + BLOCK_ROWS] for start in range(0, len(bucket), BLOCK_ROWS)]
            yield from ((part, later) for place, part in enumerate(parts) for later in parts[place:])


def _differing(words: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(rows, others) uint16: in how many bits the hashes differ."""
    differing = np.zeros((len(rows), len(others)), dtype=np.uint16)
    for word in range(words.shape[1]):
        differing += np.bitwise_count(words[rows, word, None] ^ words[others, word])
    return differing
