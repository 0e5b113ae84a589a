"""Fast binding as FROZEN measures it: names given to pictures in the prompt, then a further picture to be named.

Open-ended (Tsimpoukelli et al. 2021, section 4.3): what the LM writes must be the name. Beside it, the likelier one of
the two names. The blind control sees black pictures in the same prompts, and so can only guess.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.frozen.model import FrozenModel
from fromage_model.frozen.prompts import Demonstration, PromptPart, few_shot_parts
from fromage_model.prompts.messages import Sampling
from jobs.finetune.frozen.names import KEPT_BACK

AT_ONCE = 8


@dataclass(frozen=True)
class Form:
    """How a prompt reads: the induction, what stands after a picture with its name, and after the one that is asked."""

    name: str
    shown: str
    asked: str
    induction: str = ""


FORMS = {
    "bare": Form("bare", " {name}\n", ""),
    "sentence": Form("sentence", " This is a {name}.\n", " This is a"),
    "induced": Form(
        "induced",
        " This is a {name}.\n",
        " Question: What is this? Answer: This is a",
        "Answer with {one} or {other}.\n",
    ),
}


@dataclass(frozen=True)
class Trial:
    """Two kinds, `shots` pictures of each under its name, in order, and a further picture of the first or second."""

    kinds: tuple[str, str]
    names: tuple[str, str]
    shown: tuple[tuple[int, int], ...]
    """Each picture's place, and which of the two kinds it is."""
    asked: int
    right: int


@dataclass(frozen=True)
class Outcome:
    """Whether what was written is the name, and whether the right name is the likelier one of the two."""

    written: bool
    likelier: bool


def draw_trials(pictures_of: Mapping[str, Sequence[int]], *, count: int, shots: int, seed: int) -> list[Trial]:
    """`pictures_of`: places of each kind's pictures. Names are those that training never sees."""
    dice = random.Random(f"{seed} {shots}")
    kinds = sorted(kind for kind, places in pictures_of.items() if len(places) > shots)
    trials = []
    for _ in range(count):
        both, names = dice.sample(kinds, 2), dice.sample(KEPT_BACK, 2)
        drawn = [dice.sample(list(pictures_of[kind]), shots + 1) for kind in both]
        shown = [(place, which) for which, places in enumerate(drawn) for place in places[:-1]]
        dice.shuffle(shown)
        right = dice.randrange(2)
        trials.append(Trial((both[0], both[1]), (names[0], names[1]), tuple(shown), drawn[right][-1], right))
    return trials


def parts_of(trial: Trial, form: Form, picture: Callable[[int], Tensor], *, repeats: int) -> list[PromptPart]:
    """The prompt, up to where the name belongs."""
    shots = [Demonstration(picture(place), form.shown.format(name=trial.names[which])) for place, which in trial.shown]
    induction = form.induction.format(one=trial.names[0], other=trial.names[1])
    query = [picture(trial.asked), *([form.asked] if form.asked else [])]
    return few_shot_parts(query, shots, task_induction=induction, repeats=repeats)


def ask(
    model: FrozenModel, trials: Sequence[Trial], form: Form, picture: Callable[[int], Tensor], *, repeats: int
) -> list[Outcome]:
    """Each trial asked once. `picture` gives what `FrozenModel.begin` made of one, (K,)."""
    outcomes = []
    for start in range(0, len(trials), AT_ONCE):
        some = trials[start : start + AT_ONCE]
        prompts = [model.prompt(parts_of(trial, form, picture, repeats=repeats)) for trial in some]
        written = model.generate(prompts, sampling=Sampling(max_new_tokens=6), until=["\n", "."])
        for trial, prompt, reply in zip(some, prompts, written, strict=True):
            names = [f" {name}" for name in trial.names]
            best = model.score_choices(prompt, names).best()
            outcomes.append(Outcome(reply.text.strip() == trial.names[trial.right], best == trial.right))
    return outcomes


@torch.inference_mode()
def begun(model: FrozenModel, pictures: Sequence, *, blind: bool = False) -> list[Tensor]:
    """What the encoder's frozen stages make of each picture, or of a black one in its place: (K,) each."""
    made: list[Tensor] = []
    for start in range(0, len(pictures), AT_ONCE):
        pixels = model.pixels(pictures[start : start + AT_ONCE], blind=blind)
        made += list(model.begin(pixels))
    return made
