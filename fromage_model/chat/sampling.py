"""Which token comes next in each of several rows: pure functions over their logits. Knows no requests and no LM.

On a CPU torch compares, searches and sorts element by element, and does arithmetic and maxima many at a time: so a row
is looked at in blocks first, and element by element only in the block that matters. Nothing here waits for a device.

Shapes: R rows, V vocabulary (of logits that end in [RET]'s, V + 1), W ids already written, K candidates.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 256
"""Neighbouring ids that are looked at as one."""

DEPTH = 16
"""Ids of which only the likeliest is compared, where the likeliest of all are sought."""

LIKELIEST = 256
"""Tokens that top-p sorts at first; only where they hold too little of the mass does it look at more."""

COLDEST = 1e-6
"""Temperatures below are 0: the best alone has any mass, and a division by them would overflow float32."""

HALF = 15
"""Half of the bits that a float32 from 0 to 1 makes use of."""

UNDECIDED = -1
"""In place of an id: the candidates hold too little of the mass to tell."""


def best(logits: Tensor) -> Tensor:
    """(R, V) -> (R,) the id of each row's greatest logit, the first among equals."""
    block = _by_block(logits, lambda block: block.amax(dim=-1)).argmax(dim=-1, keepdim=True)
    ids = _ids_of_block(block).clamp_(max=logits.shape[1] - 1)
    return ids.gather(1, logits.gather(1, ids).argmax(dim=-1, keepdim=True)).squeeze(1)


def penalise_repetition(logits: Tensor, ids: Tensor, penalty: Tensor) -> None:
    """(R, V), in place: logits of `ids` (R, W) divided (or, below 0, multiplied) by `penalty`, (R, 1) float32, once
    however often an id is among them (CTRL, section 4.1).
    """
    chosen = logits.gather(1, ids)
    logits.scatter_(1, ids, torch.where(chosen > 0, chosen / penalty, chosen * penalty))


def penalise_presence(logits: Tensor, ids: Tensor, penalty: Tensor) -> None:
    """(R, V), in place: `penalty`, (R, 1) float32, taken once from the logits of each id that is among `ids` (R, W)."""
    logits.scatter_(1, ids, logits.gather(1, ids) - penalty)


def penalise_frequency(logits: Tensor, ids: Tensor, penalty: Tensor, *, counts: Tensor) -> None:
    """(R, V), in place: `penalty`, (R, 1) float32, taken from the logits of an id for each time that it is among the
    first `counts`, (R, 1), of `ids` (R, W).
    """
    written = torch.arange(ids.shape[1], device=ids.device) < counts
    logits.scatter_add_(1, ids, written * -penalty)


def penalise_words(logits: Tensor, penalise: Callable[[Tensor], None]) -> None:
    """(R, V + 1), in place: the same between words: [RET], the last, keeps its distance to the best of them, or it
    would come wherever the LM's first choice has been written before.
    """
    words, ret = logits[:, :-1], logits[:, -1].clone()
    before = words.amax(dim=-1)
    penalise(logits)
    logits[:, -1] = ret + (words.amax(dim=-1) - before)


def draw(weights: Tensor, numbers: Tensor) -> Tensor:
    """(R, V) and numbers (R, 1) float64 in [0, 1) -> (R,) one id in each row, by its weight; never one of weight 0.

    A row's number is sought in the mass summed up in the order of ids: rounding in the logits, which depends on who
    decodes in the same batch, then moves no token's share by more than itself.
    """
    last = weights.shape[1] - 1
    mass = _by_block(weights, lambda block: block.sum(dim=-1)).cumsum(dim=-1, dtype=torch.float64)
    sought = numbers * mass[:, -1:]
    block = _place(mass, sought)
    sought = sought - functional.pad(mass, (1, 0)).gather(1, block)
    ids = _ids_of_block(block)
    own = weights.gather(1, ids.clamp(max=last)).masked_fill_(ids > last, 0)
    mass = own.cumsum(dim=-1, dtype=torch.float64)
    # The two sums of a block may differ in their last bits, and what is sought must lie below the second.
    sought = torch.minimum(sought, mass[:, -1:].nextafter(mass.new_zeros(())))
    return ids.gather(1, _place(mass, sought)).squeeze(1).clamp_(max=last)


def draw_top_p(probabilities: Tensor, numbers: Tensor, top_p: Tensor) -> Tensor:
    """As `draw`, from the smallest set of likeliest tokens that holds `top_p`, (R, 1) float64, of a row's mass.

    UNDECIDED where the LIKELIEST hold less than that: then `draw_wide_top_p` can tell.
    """
    every = probabilities.shape[1]
    greatest, ids = likeliest(probabilities, min(LIKELIEST, every))
    inside = greatest.cumsum(dim=-1, dtype=torch.float64) - greatest < top_p
    ids, order = ids.sort(dim=-1)
    place = draw((greatest * inside).gather(1, order), numbers)
    chosen = ids.gather(1, place.unsqueeze(1)).squeeze(1)
    return chosen if every <= LIKELIEST else chosen.masked_fill_(inside[:, -1], UNDECIDED)


def draw_wide_top_p(probabilities: Tensor, numbers: Tensor, top_p: Tensor) -> Tensor:
    """The same, whatever it takes: never UNDECIDED, and slower.

    Tokens exactly as likely as the last one in the set are in it too.
    """
    least = _least_inside(probabilities, top_p)
    return draw((probabilities >= least).float().mul_(probabilities), numbers)


def row_numbers(seed: int | None, count: int) -> Tensor:
    """(count,) float64 in [0, 1): what one reply's tokens are drawn by, from `seed` or, without one, by chance.

    Made on the CPU, so that a seed says the same whatever the device.
    """
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return torch.rand(count, generator=generator, dtype=torch.float64)


def _least_inside(weights: Tensor, wanted: Tensor) -> Tensor:
    """(R, V) in [0, 1] -> (R, 1) how likely the last must be, for the mass `wanted`, (R, 1) float64, to be in the set.

    Nothing is sorted: as integers, the bits of such floats rise with them, so their masses are summed up by the leading
    half of the bits, and in the half that reaches what is wanted by the rest.
    """
    bits = weights.view(torch.int32)
    found = torch.zeros_like(wanted, dtype=torch.int32)
    reached = torch.zeros_like(wanted)
    for shift in (HALF, 0):
        leading = bits >> shift
        alike = weights if shift else (leading >> HALF == found).float().mul_(weights)
        digits = (leading & (1 << HALF) - 1).long()
        mass = weights.new_zeros(len(weights), 1 << HALF).scatter_add_(1, digits, alike)
        mass = reached + mass.flip(1).cumsum(dim=-1, dtype=torch.float64)
        place = torch.searchsorted(mass, wanted).clamp_(max=mass.shape[1] - 1)
        reached = torch.cat([reached, mass], dim=1).gather(1, place)
        found = (found << HALF) + ((1 << HALF) - 1 - place).int()
    return found.view(torch.float32)


def likeliest(weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(R, V) -> the `count` greatest weights of each row in falling order, and their ids.

    Ids are grouped by DEPTH; a group holds one of those only if its own greatest is among the `count` greatest of all
    groups.
    """
    groups = weights.shape[1] // DEPTH
    if groups <= count:
        return weights.topk(count)
    grouped = groups * DEPTH
    greatest = weights[:, :grouped].unflatten(1, (DEPTH, groups)).amax(dim=1)
    group = greatest.topk(count, sorted=False).indices
    members = torch.arange(0, grouped, groups, device=weights.device)[:, None] + group.unsqueeze(1)
    ungrouped = torch.arange(grouped, weights.shape[1], device=weights.device).expand(len(weights), -1)
    ids = torch.cat([members.flatten(1), ungrouped], dim=1)
    found, places = weights.gather(1, ids).topk(count)
    return found, ids.gather(1, places)


def _by_block(values: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """(R, V) -> (R, blocks): `reduce` takes (..., BLOCK) to (...)."""
    count = values.shape[1] // BLOCK
    reduced = reduce(values[:, : count * BLOCK].unflatten(1, (count, BLOCK)))
    rest = values[:, count * BLOCK :]
    return torch.cat([reduced, reduce(rest).unsqueeze(1)], dim=1) if rest.shape[1] else reduced


def _ids_of_block(block: Tensor) -> Tensor:
    """(R, 1) -> (R, BLOCK) the ids in a block; the last block may go on beyond the vocabulary."""
    return torch.arange(BLOCK, device=block.device).add(block, alpha=BLOCK)


def _place(mass: Tensor, sought: Tensor) -> Tensor:
    """Rising sums (R, N) and (R, 1) -> (R, 1) the first place whose sum is greater."""
    return torch.searchsorted(mass, sought, right=True).clamp_(max=mass.shape[1] - 1)
