"""What rows have read, kept for those that will begin alike: the earlier turns of a chat are not read again.

Positions are kept in blocks of BLOCK, each of which knows the block before it, so that one is found only behind the
very positions that it was read behind. Blocks are compared by what stands in them, token ids and the digests of
pictures, and not by a short hash: no chat can be made to continue another's.

Shapes: L layers, K key heads, N positions, E width of a head.
"""

import hashlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch
from cachetools import LRUCache
from torch import Tensor

from fromage_model.prompts.segments import Picture, Prompt

BLOCK = 8
"""Positions that are kept, found and given up together."""

Content = Sequence[Hashable]
"""What stands at each position: a token's id, or which of its visual tokens of which picture."""


def content_of(prompt: Prompt, *, visual_tokens: int) -> list[Hashable]:
    """A prompt -> what stands at each of its positions."""
    content: list[Hashable] = []
    for segment in prompt:
        if isinstance(segment, Picture):
            digest = hashlib.sha256(segment.features.detach().cpu().numpy().tobytes()).digest()
            content += [(digest, place) for place in range(visual_tokens)]
        else:
            content += segment
    return content


@dataclass(frozen=True)
class Counts:
    """Positions of prompts that were found or had to be read, and the bytes that are kept."""

    hits: int = 0
    misses: int = 0
    size_bytes: int = 0


@dataclass(frozen=True)
class _Block:
    states: Tensor
    number: int


class PrefixCache:
    """At most `most_bytes` of keys and values; what was least recently used goes first. 0 keeps nothing."""

    def __init__(self, most_bytes: int):
        self._blocks: LRUCache[Hashable, _Block] = LRUCache(most_bytes, getsizeof=lambda block: block.states.nbytes)
        self._next_number = 0
        self._hits = self._misses = 0

    @property
    def counts(self) -> Counts:
        return Counts(self._hits, self._misses, int(self._blocks.currsize))

    def count(self, *, hits: int, misses: int) -> None:
        """A prompt has begun: so many of its positions need not be read, so many must."""
        self._hits += hits
        self._misses += misses

    def find(self, content: Content, *, behind: Hashable) -> Tensor | None:
        """The longest beginning of `content` that is kept, (L, K, 2, N, E); None where nothing is.

        `behind` is what stands before it and is kept elsewhere. At least one position is left to be read.
        """
        known = list(self._keys(content[:-1], behind))
        found = [self._blocks[key].states for key in known]
        self._use(known)
        return torch.cat(found, dim=3) if found else None

    def keep(self, content: Content, *, behind: Hashable, export: Callable[[int, int], Tensor]) -> None:
        """Remember what a row has read; `export` gives its keys and values from one position up to another."""
        if not self._blocks.maxsize:
            return
        known = list(self._keys(content, behind))
        self._use(known)
        before: Hashable = self._blocks[known[-1]].number if known else behind
        for start in range(BLOCK * len(known), len(content) - BLOCK + 1, BLOCK):
            states = export(start, start + BLOCK)
            if (len(known) + 1) * states.nbytes > self._blocks.maxsize:
                break  # of what is too long the beginning is kept, without which the rest is worth nothing
            key = (before, tuple(content[start : start + BLOCK]))
            self._next_number += 1
            self._blocks[key] = _Block(states, self._next_number)
            before = self._next_number
            known.append(key)
        self._use(known)

    def _keys(self, content: Content, behind: Hashable) -> Iterator[Hashable]:
        """Of the blocks that are kept, one behind the other."""
        before = behind
        for start in range(0, len(content) - BLOCK + 1, BLOCK):
            key = (before, tuple(content[start : start + BLOCK]))
            if key not in self._blocks:
                return
            yield key
            before = self._blocks[key].number

    def _use(self, chain: Sequence[Hashable]) -> None:
        """The end of a chain is worth nothing without its beginning, which so is used last and goes last."""
        for key in reversed(chain):
            self._blocks.get(key)
