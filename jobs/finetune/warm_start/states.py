"""Texts read once through the frozen LM: what the warm start trains on. Knows no losses.

While [RET] stands where it started, the LM's states never change for a given text, so reading them once is enough.

Shapes: M texts, P positions, D LM width.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.model.reading import alike, read_prompts
from fromage_model.prompts.segments import Picture, Prompt
from jobs.common.reporting.report import Progress
from jobs.common.showing.positions import Positions
from jobs.finetune.examples.examples import Shown, Talk
from jobs.finetune.kept import KeptStates, State
from jobs.finetune.not_finite import StatesNotFinite
from jobs.finetune.step import FinetuneStep
from jobs.finetune.workers import from_first_worker, gather_objects, rank, world_size

log = logging.getLogger(__name__)
PROMPTS_AT_ONCE = 16
CAPTION, CHAT, END = "caption", "chat", "end"
"""What is read of a text, beside its tokens in the key of what is kept."""


@dataclass(frozen=True)
class Texts:
    """`at_ret`: for each layer the states at [RET], (M, D) float32, in the order of the texts.

    `begins` are the positions at which a reply to a wish begins, where [RET] belongs; `within` those inside of
    captions, where none does. A caption's end is neither: it looks like any full stop in mid-reply.
    """

    at_ret: list[Tensor]
    begins: Positions
    within: Positions

    def __len__(self) -> int:
        return len(self.at_ret[0])


@dataclass(frozen=True)
class SmallTalk:
    """Positions of small talk at which no [RET] belongs: `starts` of replies, and what comes `within` them."""

    starts: Positions
    within: Positions


@torch.no_grad()
def read_texts(step: FinetuneStep, shown: Sequence[Shown], *, what: str, kept: KeptStates | None = None) -> Texts:
    """Each text, and [RET] after it. `what` names them in the log; what is `kept` is not read again.

    Several workers share the texts out, and every one gets the states of all. Raises StatesNotFinite where the LM's
    states overflow its dtype: the statistics fitted to them would be spoilt.
    """
    keyed = [(CHAT if one.caption is None else CAPTION, step.prompt_of(one)) for one in shown]
    states = _states(step, keyed, lambda rows: _read(step, shown, rows, what=what), what=what, kept=kept)
    return _joined(step, states, [one.caption is not None for one in shown])


def _states(
    step: FinetuneStep,
    texts: Sequence[tuple[str, Prompt]],
    read: Callable[[Sequence[int]], Iterator[list[tuple[int, State]]]],
    *,
    what: str,
    kept: KeptStates | None,
) -> list[State]:
    """What is kept of `texts`, each with what is read of it, and what `read` makes of the rows that are not; several
    workers share these out. A text that stands there twice is read once.
    """
    keys = _keys(step, texts)
    known = from_first_worker(kept.of(keys) if kept and rank() == 0 else {})
    if known:
        log.info(
            "warm start, reading %s: %d of %d are kept from earlier runs",
            what,
            sum(key in known for key in keys),
            len(keys),
        )
    missing = list({key: row for row, key in enumerate(keys) if key not in known}.values())
    progress = Progress(f"warm start, reading {what}", total=len(missing[rank() :: world_size()]), of="texts")
    own: dict[str, State] = {}
    for some in read(missing[rank() :: world_size()]):
        made = {keys[row]: state for row, state in some}
        own |= kept.keep(made) if kept else made
        progress.add(len(some))
    known |= dict(gather_objects(list(own.items())))
    return [known[key] for key in keys]


def _read(
    step: FinetuneStep, shown: Sequence[Shown], rows: Sequence[int], *, what: str
) -> Iterator[list[tuple[int, State]]]:
    """Some of `shown` in batches: for each its row, `at_ret_0` and so on, (D), for each layer, and `last`, (P, D), both
    in the LM's dtype, and `log_sum`, (P), where a token is chosen: at a caption's positions but its last one, and at
    the last one of a chat.
    """
    for places, asked in step.asked([shown[row] for row in rows]):
        mask, last = asked.batch.mask, asked.batch.lengths - 1
        place = torch.arange(mask.shape[1], device=mask.device)
        captions = torch.tensor([shown[rows[one]].caption is not None for one in places], device=mask.device)
        chosen = torch.where(captions[:, None], place < last[:, None], place == last[:, None])
        states = _split(step, asked.last[chosen], chosen.sum(dim=1).tolist())
        layers = [layer.cpu() for layer in asked.at_ret[: len(step.model.config.text_layers)]]
        read = [
            (rows[one], state | {f"at_ret_{n}": layer[k] for n, layer in enumerate(layers)})
            for k, (one, state) in enumerate(zip(places, states, strict=True))
        ]
        _check_finite(step, read, of=len(shown), what=what)
        yield read


def _split(
    step: FinetuneStep, last: Tensor, counts: Sequence[int], *, layers: Sequence[Tensor] | None = None
) -> list[State]:
    """States (P, D) of several texts, so many of each, on the CPU; with the `layers`, (P, .) each, what the decision
    reads of them, in the LM's dtype.
    """
    positions = Positions.of(step.model, last, layers)
    parts = {"last": last, "log_sum": positions.log_sum}
    if positions.read is not None:
        parts["read"] = positions.read.to(last.dtype)
    split = {name: values.cpu().split(counts) for name, values in parts.items()}
    return [{name: values[place] for name, values in split.items()} for place in range(len(counts))]


def _joined(step: FinetuneStep, states: Sequence[State], captions: Sequence[bool]) -> Texts:
    device = step.model.lm.device

    def positions(of_captions: bool) -> Positions:
        chosen = [one for one, caption in zip(states, captions, strict=True) if caption == of_captions]
        width = step.model.lm.head_width
        return Positions(
            torch.cat([torch.empty(0, width), *(one["last"].float() for one in chosen)]).to(device),
            torch.cat([torch.empty(0), *(one["log_sum"] for one in chosen)]).to(device),
        )

    layers = range(len(step.model.config.text_layers))
    at_ret = [torch.stack([one[f"at_ret_{layer}"] for one in states]).float().to(device) for layer in layers]
    return Texts(at_ret=at_ret, begins=positions(of_captions=False), within=positions(of_captions=True))


def _check_finite(step: FinetuneStep, read: Sequence[tuple[int, State]], *, of: int, what: str) -> None:
    layers = range(len(step.model.config.text_layers))
    broken = sum(not all(bool(state[f"at_ret_{n}"].isfinite().all()) for n in layers) for _, state in read)
    if broken:
        raise StatesNotFinite(
            f"the LM's states after {broken} of the first {len(read)} of {of} {what} are not finite in "
            f"{str(step.model.lm.dtype).removeprefix('torch.')}; try dtype bfloat16 or float32"
        )


def _keys(step: FinetuneStep, texts: Sequence[tuple[str, Prompt]]) -> list[str]:
    """A hash of all that the states of a text depend on, but the LM: tokens, pictures' prefixes, [RET]'s row where that
    is read, and which layers they are of.
    """
    model = step.model
    parts = model.trained
    layers = {END: model.config.ret_layers if model.config.ret_hidden else ()}
    ret = _bytes(parts.ret.input_row)
    keys = []
    for kind, prompt in texts:
        digest = hashlib.sha256(
            repr((kind, layers.get(kind.partition(" ")[0], model.config.text_layers), str(model.lm.dtype))).encode()
        )
        for segment in prompt:
            if isinstance(segment, Picture):
                features = segment.features[None].to(model.lm.device)
                digest.update(_bytes(parts.prefix(parts.standardise(features))))
            else:
                digest.update(repr(segment).encode())
        if kind in (CAPTION, CHAT) or any(model.tokens.ret_id in ids for ids in prompt if isinstance(ids, list)):
            digest.update(ret)
        keys.append(digest.hexdigest())
    return keys


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().float().cpu().numpy().tobytes()


def read_small_talk(step: FinetuneStep, talks: Sequence[Talk], *, kept: KeptStates | None = None) -> SmallTalk:
    """Every position at which a token of these replies is chosen; see `read_texts`."""
    replies = [step.model.tokens.encode(talk.reply) for talk in talks]
    prompts = [[*step.opening_of(talk), reply] for talk, reply in zip(talks, replies, strict=True)]
    ends = read_ends(step, prompts, [len(reply) + 1 for reply in replies], what="small talk", kept=kept)
    return SmallTalk(
        starts=Positions.join([one.part(slice(1)) for one in ends]),
        within=Positions.join([one.part(slice(1, None)) for one in ends]),
    )


@torch.no_grad()
def read_ends(
    step: FinetuneStep, prompts: Sequence[Prompt], counts: Sequence[int], *, what: str, kept: KeptStates | None = None
) -> list[Positions]:
    """So many of each prompt's last positions, on the LM's device; see `read_texts`."""

    def read(rows: Sequence[int]) -> Iterator[list[tuple[int, State]]]:
        for places in alike(step.model, [prompts[row] for row in rows], at_once=PROMPTS_AT_ONCE):
            some = [rows[place] for place in places]
            states = _read_ends(step, [prompts[row] for row in some], [counts[row] for row in some])
            yield list(zip(some, states, strict=True))

    keyed = [(f"{END} {count}", prompt) for count, prompt in zip(counts, prompts, strict=True)]
    device = step.model.lm.device
    return [
        Positions(
            state["last"].float().to(device),
            state["log_sum"].to(device),
            state["read"].float().to(device) if "read" in state else None,
        )
        for state in _states(step, keyed, read, what=what, kept=kept)
    ]


def _read_ends(step: FinetuneStep, prompts: Sequence[Prompt], counts: Sequence[int]) -> list[State]:
    read = read_prompts(step.model, prompts)
    lengths = read.batch.lengths
    place = torch.arange(read.batch.mask.shape[1], device=lengths.device)
    first = lengths - torch.tensor(list(counts), device=lengths.device)
    chosen = (place >= first[:, None]) & (read.batch.mask == 1)
    layers = [layer[chosen] for layer in read.states.layers]
    return _split(step, read.states.last[chosen], counts, layers=layers)
