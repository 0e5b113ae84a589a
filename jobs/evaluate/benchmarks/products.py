"""When products are shown: to whom who wants some, and to whom who does not, by kinds of messages.

The messages are those of `jobs/common/showing`; the kinds for training and for validation are what a bundle of
`jobs.finetune` was fitted on, the held-out ones are nobody's. Shown is what the chat would show in `auto`: by the
bundle's threshold where it has one, else where [RET] leads all other tokens. AUC is of [RET]'s log-odds, whatever the
threshold: how often a wish has higher ones than another message (Hanley and McNeil 1982).

Shapes: M messages, R resamples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import read_features
from fromage_model.errors import CatalogueError
from fromage_model.fromage import Fromage
from jobs.common.showing.calibration import probabilities
from jobs.common.showing.reading import prompts_of, read_beginnings
from jobs.common.showing.sayings import USES, Saying, sayings
from jobs.evaluate.benchmarks.features import has_features
from jobs.evaluate.benchmarks.models import fromage_fingerprint, open_fromage
from jobs.evaluate.benchmarks.task import PICTURE, Failures, Measured, MissingPicture, Shown, Task
from jobs.evaluate.metrics.resampling import Scores
from jobs.evaluate.options import EvaluateArgs

BENCHMARK = "products"
BINS = 5
"""Of the reliability plot, equally wide."""
SPLIT = "held-out"
PICTURES = 64


@dataclass(frozen=True)
class Message:
    """A saying with the id under which it is scored."""

    id: str
    said: Saying

    @property
    def asked(self) -> str:
        return "\n".join(f"{'shop' if place % 2 else 'user'}: {turn}" for place, turn in enumerate(self.said.turns))


@dataclass(frozen=True)
class Decided:
    """Of (M,) messages: [RET]'s log-odds, the probability that products are wanted, and whether they are shown."""

    log_odds: np.ndarray
    probability: np.ndarray
    shown: np.ndarray


def read(args: EvaluateArgs) -> Task:
    """All messages; those under pictures fail where the catalogue has no features.

    Raises MissingArtefact where there is no such catalogue or none of the features that are named, CatalogueError for
    a split without any, and FingerprintMismatch where they don't fit.
    """
    catalogue = Catalogue.open(args.catalogue)
    numbered = [Message(f"{one.use}/{one.kind}/{number}", one) for number, one in enumerate(sayings())]
    failures = Failures()
    pictures = np.zeros((0, 0), dtype=np.float32)
    if has_features(catalogue, args):
        pictures = _pictures(catalogue, args)
    else:
        none = MissingPicture(f"the catalogue {catalogue.name} has no features; `python -m jobs.embed` makes them")
        for row, one in enumerate(numbered, start=1):
            if one.said.pictured:
                failures.add(row, one.id, none, stage=PICTURE)
        numbered = [one for one in numbered if not one.said.pictured]
    text = "\n".join("\n".join((one.id, *one.said.turns)) for one in numbered)
    total = len(numbered) + len(failures.rows)
    fingerprint = sha256(text.encode()).hexdigest()[:32]
    return Task(numbered, total, failures, "messages", fingerprint, more={"pictures": pictures})


def fingerprint(model: str) -> str:
    return fromage_fingerprint(model, benchmark=BENCHMARK)


def measure(task: Task, model: str, args: EvaluateArgs) -> Measured:
    opened = open_fromage(model, benchmark=BENCHMARK)
    decided = decide(opened, [one.said for one in task.examples], task.more["pictures"])
    return measured_products(task.examples, decided)


def decide(model: Fromage, said: Sequence[Saying], pictures: np.ndarray) -> Decided:
    """As a chat in `auto` decides at the beginning of its reply; `pictures` are features (N, F)."""
    positions = read_beginnings(model, prompts_of(model, said, pictures), what="messages")
    odds = positions.ret_log_odds(model.trained)
    best = model.lm.logits(positions.last.to(model.lm.dtype)).float().amax(dim=-1)
    leads = odds + positions.log_sum > best
    shown = leads.clone()
    for under_picture, least in ((False, model.config.show_log_odds), (True, model.config.show_log_odds_pictured)):
        if least is not None:
            rows = torch.tensor([one.under_picture == under_picture for one in said], device=odds.device)
            shown = torch.where(rows, odds >= least, shown)
    scale, offset = model.config.show_calibration
    log_odds = odds.cpu().numpy()
    return Decided(log_odds, probabilities(log_odds, scale=scale, offset=offset), shown.cpu().numpy())


def measured_products(messages: Sequence[Message], decided: Decided) -> Measured:
    """The figures of each use, its kinds, and how far the probabilities hold."""
    scores: dict[str, Scores] = {}
    for use in reversed(USES):
        rows = np.array([one.said.use == use for one in messages])
        if rows.any():
            scores |= dict(_of_use(use.replace("-", "_"), messages, decided, rows))
    held_out = np.array([one.said.use == SPLIT for one in messages])
    bins = dict(_bins(messages, decided, held_out))
    for use in reversed(USES):
        scores |= dict(_of_kinds(use, messages, decided))
    curves = {
        "products wanted": [(x, name) for x, (name, _, _) in bins.items()],
        "probability told": [(x, name) for x, (_, name, _) in bins.items()],
    }
    for wanted, told, (some, came) in bins.values():
        scores |= {wanted: some, told: came}
    shown = [
        Shown(
            one.id,
            one.asked,
            "products" if one.said.wanted else "words alone",
            f"{'products' if came else 'words alone'}, with a probability of {probability:.2f}",
            float(came == one.said.wanted),
        )
        for one, came, probability in zip(messages, decided.shown, decided.probability, strict=True)
    ]
    return Measured(scores, shown, curves=curves, x_label="probability that products are wanted, in percent")


def _of_use(name: str, messages: Sequence[Message], decided: Decided, rows: np.ndarray) -> Iterator[tuple[str, Scores]]:
    places = np.flatnonzero(rows).tolist()
    ids = [messages[row].id for row in places]
    wanted = np.array([messages[row].said.wanted for row in places], dtype=np.float64)
    came = decided.shown[places].astype(np.float64)
    for side, chosen in (("wishes_shown", wanted == 1), ("others_shown", wanted == 0)):
        if chosen.any():
            yield f"{name}_{side}", Scores([id for id, one in zip(ids, chosen, strict=True) if one], came[chosen])
    yield f"{name}_precision", Scores(ids, np.stack([wanted * came, came], axis=1), combine=_precision)
    yield f"{name}_auc", Scores(ids, np.stack([decided.log_odds[places], wanted], axis=1), combine=_auc)


def _of_kinds(use: str, messages: Sequence[Message], decided: Decided) -> Iterator[tuple[str, Scores]]:
    """The share of each kind's messages that bring products."""
    rows: dict[tuple[bool, str], list[int]] = {}
    for row, one in enumerate(messages):
        if one.said.use == use:
            rows.setdefault((one.said.wanted, one.said.kind), []).append(row)
    for (wanted, kind), some in sorted(rows.items(), key=lambda pair: not pair[0][0]):
        side = "wishes" if wanted else "others"
        yield f"{use}: {side}, {kind}", Scores([messages[row].id for row in some], decided.shown[some].astype(float))


def _bins(
    messages: Sequence[Message], decided: Decided, rows: np.ndarray
) -> Iterator[tuple[float, tuple[str, str, tuple[Scores, Scores]]]]:
    """By the middle of each bin: two figures' names and scores, the share that is wanted and the mean probability.

    Both sides count as they are in the messages, which calibration weighs alike.
    """
    place = np.minimum((decided.probability * BINS).astype(int), BINS - 1)
    for number in range(BINS):
        some = np.flatnonzero(rows & (place == number)).tolist()
        if some:
            ids = [messages[row].id for row in some]
            wanted = np.array([messages[row].said.wanted for row in some], dtype=np.float64)
            middle = 100 * (number + 0.5) / BINS
            pair = Scores(ids, wanted), Scores(ids, decided.probability[some])
            yield middle, (f"wanted_at_{middle:.0f}", f"probability_told_at_{middle:.0f}", pair)


def _precision(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Statistics (wanted and shown, shown); 1 where nothing is shown."""
    right, shown = (weights @ values).T
    return np.where(shown > 0, right / np.maximum(shown, 1), 1.0)


def _auc(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Statistics (log-odds, wanted) -> how often a wish has higher ones than another message; equal ones count half."""
    levels = np.unique(values[:, 0], return_inverse=True)[1]
    sums = np.zeros((2, len(weights), levels.max() + 1))
    for side in (0, 1):
        own = values[:, 1] == side
        np.add.at(sums[side].T, levels[own], weights[:, own].T)
    others, wishes = sums
    below = others.cumsum(axis=1) - others / 2
    pairs = others.sum(axis=1) * wishes.sum(axis=1)
    return np.where(pairs > 0, (wishes * below).sum(axis=1) / np.maximum(pairs, 1), 0.5)


def _pictures(catalogue: Catalogue, args: EvaluateArgs) -> np.ndarray:
    """(N, F) features of some items of the held-out split. Raises CatalogueError where none has any."""
    features = read_features(args.features or catalogue.name)
    known, split = set(features.ids), args.split or SPLIT
    ids = [item.id for item in catalogue.items(split) if item.id in known][:PICTURES]
    if not ids:
        splits = sorted({str(value) for value in catalogue.table.column("split").to_pylist()})
        raise CatalogueError(f"{catalogue.name} has no item with features in split {split!r}; its splits: {splits}")
    return features.of(ids)
