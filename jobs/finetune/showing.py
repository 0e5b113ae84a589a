"""When a bundle shows products: messages of both sides teach [RET]'s row, others of other kinds fit the threshold.

Knows no loop. Which messages are for what, `jobs/common/showing` says.
"""

import dataclasses
import logging
import random
from collections.abc import Iterator, Sequence

import torch

from fromage_model.errors import ConfigError
from jobs.common.showing.calibration import Calibration, calibrated
from jobs.common.showing.positions import Positions
from jobs.common.showing.reading import prompts_of, readable
from jobs.common.showing.sayings import RET, Saying, remarks, sayings
from jobs.finetune.examples.examples import Sampler
from jobs.finetune.examples.people import Told, people
from jobs.finetune.kept import KeptStates
from jobs.finetune.step import FinetuneStep
from jobs.finetune.warm_start.decision import Sides, fit_decision, fit_hidden, refine_decision
from jobs.finetune.warm_start.states import read_ends, read_small_talk, read_texts

log = logging.getLogger(__name__)
SHOWN = f"{RET} Here are some."
"""A reply that showed products."""
DRAWN_TEXTS = 1500
"""Texts drawn from the catalogue beside the messages, where the decision alone is fitted."""


def read_sides(step: FinetuneStep, sampler: Sampler, *, kept: KeptStates | None = None) -> Sides | None:
    """Where replies to the training kinds and in later turns begin; None where the LM has no room for either side."""
    said = [*sayings("training"), *later_turns(), *later_remarks()]
    read = _read(step, sampler, said, what="the training messages", kept=kept)
    if read is None:
        return None
    positions, wanted = read
    return Sides(positions.part(wanted), positions.part(~wanted))


def later_turns() -> list[Saying]:
    """What people say after products were shown, in the conversations that retrieval learns from: wishes all of them,
    and most name no thing.
    """
    return [
        Saying((*_told(told, end), told.messages[end]), "later turns", "training", wanted=True)
        for told in people("turns")
        for end in range(1, len(told.messages))
    ]


def later_remarks() -> list[Saying]:
    """What calls for nothing, after products were shown in the same conversations: remarks on them, and what people say
    in training who want none, one of each behind every conversation, broken off anywhere.
    """
    draw = random.Random(0)
    said = [one for one in sayings("training") if not one.wanted and len(one.turns) == 1 and not one.pictured]
    found = []
    for among in filter(None, (remarks(), said)):
        some = draw.sample(among, len(among))
        for place, told in enumerate(people("turns")):
            one = some[place % len(some)]
            before = _told(told, draw.randint(1, len(told.messages) - 1))
            found.append(Saying((*before, one.text), one.kind, "training", wanted=False))
    return found


def _told(told: Told, end: int) -> Iterator[str]:
    """A conversation's first messages, each with the reply that it got."""
    return (part for message in told.messages[:end] for part in (message, SHOWN))


def fit_decision_alone(step: FinetuneStep, sampler: Sampler, *, seed: int, kept: KeptStates | None = None) -> None:
    """Fit [RET]'s output row to some texts of the catalogue, and draw it towards what people say; all else that is
    trained stays as it is, bit for bit.

    The texts are read anew because the row may be of another prefix: what stands under a picture would be read wrongly.
    """
    said = None if step.model.trained.ret.output_row is None else read_sides(step, sampler, kept=kept)
    if said is None:
        raise ConfigError(
            "decision_alone needs an output row of [RET]'s own, and an LM with room for a chat's messages"
        )
    shown = sampler.phrasings(1, further=0)
    shown = random.Random(seed).sample(shown, min(DRAWN_TEXTS, len(shown)))
    quiet = sampler.quiet()
    shown += sampler.pictured(sum(not talk.small_talk for talk in quiet))
    texts = read_texts(step, shown, what="texts for the decision", kept=kept)
    fit_decision(step.model, texts, read_small_talk(step, quiet, kept=kept))
    refine_decision(step.model, said)


def fit_hidden_layer(step: FinetuneStep, sampler: Sampler, *, seed: int, kept: KeptStates | None = None) -> None:
    """Fit the decision, where the model has one, to the training kinds and to later turns; an LM without room for
    these is left to [RET]'s row, because unfitted it would show products always.
    """
    model = step.model
    if model.trained.decision is None:
        return
    said = read_sides(step, sampler, kept=kept)
    if said is None:
        log.warning("[RET]'s row decides, and not ret_hidden: the LM has no room for a chat's messages")
        model.config = dataclasses.replace(model.config, ret_hidden=0)
        model.trained.decision = None
        model.lm.give_states_of(model.config.state_layers)
        return
    fit_hidden(model, said, seed=seed)


def fit_threshold(
    step: FinetuneStep,
    sampler: Sampler,
    *,
    others_shown: float | None,
    others_shown_pictured: float | None = None,
    kept: KeptStates | None = None,
) -> Calibration | None:
    """Lay the threshold that the validation kinds give over the model's config -> what it holds from now on.

    `others_shown_pictured` is the share of those with a picture, which have a threshold of their own, or none. None
    where no share of `others_shown` is given, or a reply may ask for products later than at its beginning.
    """
    model = step.model
    if others_shown is None or model.config.max_tokens_before_ret != 0:
        return None
    model.eval()
    said = sayings("validation")
    found = _calibrated(step, sampler, [one for one in said if not one.under_picture], others_shown, kept=kept)
    if found is None:
        return None
    under = None
    if others_shown_pictured is not None:
        pictured = [one for one in said if one.under_picture]
        under = _calibrated(step, sampler, pictured, others_shown_pictured, kept=kept)
    model.config = dataclasses.replace(
        model.config,
        show_calibration=(found.scale, found.offset),
        show_threshold=found.threshold,
        show_log_odds_pictured=under.least_log_odds if under else None,
    )
    return found


def _calibrated(
    step: FinetuneStep, sampler: Sampler, said: Sequence[Saying], others_shown: float, *, kept: KeptStates | None
) -> Calibration | None:
    """None where a side is missing."""
    read = _read(step, sampler, said, what="the validation messages", kept=kept)
    if read is None:
        return None
    positions, wanted = read
    log_odds = positions.ret_log_odds(step.model.trained).cpu().numpy()
    found = calibrated(log_odds, wanted.cpu().numpy(), others_shown=others_shown)
    shown = torch.from_numpy(found.probabilities(log_odds) >= found.threshold)
    log.info(
        "%sproducts are shown from a probability of %.3f: after %.1f %% of %d wishes and %.1f %% of %d other messages",
        "under a picture " if said[0].under_picture else "",
        found.threshold,
        *(value for rows in (wanted.cpu(), ~wanted.cpu()) for value in (100 * shown[rows].float().mean(), rows.sum())),
    )
    return found


def _read(
    step: FinetuneStep, sampler: Sampler, said: Sequence[Saying], *, what: str, kept: KeptStates | None
) -> tuple[Positions, torch.Tensor] | None:
    """Where replies begin, and (M,) whether products are wanted; None where a side is missing."""
    model, pictures = step.model, sampler.features
    said = readable(model, said, pictures=len(pictures))
    wanted = torch.tensor([saying.wanted for saying in said], dtype=torch.bool)
    if not wanted.any() or wanted.all():
        return None
    prompts = prompts_of(model, said, pictures)
    ends = read_ends(step, prompts, [1] * len(prompts), what=what, kept=kept)
    return Positions.join(ends), wanted.to(model.lm.device)
