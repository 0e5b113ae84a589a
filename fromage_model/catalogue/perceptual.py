"""Pictures that are nearly the same: re-encoded, scaled, slightly retouched. Knows nothing of files or of items.

A signature is a difference hash of the brightness, 16 x 16 bits (N. Krawetz, "Kind of Like That", hackerfactor.com,
2013), here with a margin so that the noise of flat parts counts for nothing, and 8 x 8 mean colours: two colours of one
dress have the same hash and are two items. Measured on OpenMoji and Open Clip Art, a copy as JPEG of quality 60 has the
hash of its picture for 99 % of the pictures, a copy of half the width for 88 to 99 %.

Shapes: N pictures.
"""

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
BLOCK_ROWS = 1024


def signature(image: Image.Image) -> bytes:
    """An RGB picture -> SIGNATURE_BYTES bytes."""
    box = Image.Resampling.BOX
    grey = np.asarray(image.convert("L").resize((HASH_PX + 1, HASH_PX), box), dtype=np.int16)
    bits = np.packbits((grey[:, 1:] - grey[:, :-1]) > MARGIN)
    colours = np.asarray(image.resize((COLOURS_PX, COLOURS_PX), box), dtype=np.uint8)
    return bits.tobytes() + colours.tobytes()


def near_pairs(signatures: np.ndarray, *, bits: int = NEAR_BITS) -> list[tuple[int, int, int]]:
    """(N, SIGNATURE_BYTES) uint8 -> (row, later row, bits that differ) of every pair that is near, in order.

    Of `bits` + 1 bands of the hash, two near pictures share one whole (the pigeonhole principle), so only pictures that
    share a band are compared. Bands take their bits from everywhere: white margins alone make no band alike.
    """
    hashes = np.ascontiguousarray(signatures[:, :HASH_BYTES])
    words = hashes.view(np.uint64)
    colours = signatures[:, HASH_BYTES:]
    order = np.random.default_rng(0).permutation(HASH_BYTES * 8)
    shuffled = np.unpackbits(hashes, axis=1)[:, order]
    found: dict[tuple[int, int], int] = {}
    for band in np.array_split(shuffled, bits + 1, axis=1):
        for bucket in _buckets(band):
            found |= _near_in(bucket, words, colours, bits)
    return [(row, other, found[row, other]) for row, other in sorted(found)]


def _buckets(band: np.ndarray) -> list[np.ndarray]:
    """Rows that have the same bits, where there are several."""
    keys = np.packbits(band, axis=1)
    _, place, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    by_key = np.argsort(place.reshape(-1), kind="stable")
    return [rows for rows in np.split(by_key, np.cumsum(counts)[:-1]) if len(rows) > 1]


def _near_in(bucket: np.ndarray, words: np.ndarray, colours: np.ndarray, bits: int) -> dict[tuple[int, int], int]:
    found = {}
    for start in range(0, len(bucket), BLOCK_ROWS):
        block = bucket[start : start + BLOCK_ROWS]
        differing = np.zeros((len(block), len(bucket)), dtype=np.uint16)
        for word in range(words.shape[1]):
            differing += np.bitwise_count(words[block, word, None] ^ words[bucket, word])
        rows, others = np.nonzero((differing <= bits) & (block[:, None] < bucket))
        pairs = colours[block[rows]].astype(np.float32) - colours[bucket[others]]
        alike = np.sqrt(np.square(pairs).mean(axis=1)) <= NEAR_COLOURS * 255
        for row, other in zip(rows[alike], others[alike], strict=True):
            found[int(block[row]), int(bucket[other])] = int(differing[row, other])
    return found
