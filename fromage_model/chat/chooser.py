"""Which tokens come next in a batch of requests, each by its own sampling: one choice over all their logits.

The host knows every row's settings and, once they are fetched, its ids; what a row has written and is to be drawn by
lies on the device, where it is needed. A row's tokens depend on the row: the numbers that it is drawn by are its own.

Shapes: R rows, V vocabulary, N rows of them that are chosen alike.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.chat.logprobs import Scored, Scoring
from fromage_model.chat.ret_rules import RetRules
from fromage_model.chat.row_groups import Group, Way, sent
from fromage_model.chat.sampling import (
    COLDEST,
    penalise_frequency,
    penalise_presence,
    penalise_repetition,
    penalise_words,
    row_numbers,
)
from fromage_model.chat.thresholds import Thresholds
from fromage_model.prompts.messages import RetrievalMode, Sampling

NO_PENALTIES = (1.0, 0.0, 0.0)


@dataclass
class _Row:
    """What the host knows of a row; `steps` is how many tokens have been chosen in it, or were there before.

    `penalties`: of repetition, presence and frequency.
    """

    way: Way
    temperature: float
    top_p: float
    penalties: tuple[float, float, float]
    ret_scale: float
    ret_log_odds: float | None
    rules: RetRules | None
    told: int | None
    steps: int = 0

    @property
    def penalised(self) -> bool:
        """Whether what it has written has a bearing on what comes next."""
        return self.penalties != NO_PENALTIES

    @property
    def remembers(self) -> bool:
        """Whether what it has written, or how much, has one."""
        return self.way != "best" or self.penalised


class Chooser:
    """At most `slots` rows. With `ret_id`, which is V, logits are V + 1 and the last of them is [RET]'s."""

    def __init__(self, *, slots: int, device: torch.device, ret_id: int | None = None, stop_ids: Collection[int] = ()):
        self._device = device
        self._ret_id = ret_id
        self._stop_ids = stop_ids
        self._rows: list[_Row] = []
        self._plan: _Plan | None = None
        self.scores: list[Scored | None] = []
        """Of what was last chosen, where a row asks for it; of [RET] it says nothing."""
        self._ids = torch.zeros(slots, dtype=torch.long, device=device)
        self._places = torch.zeros(slots, 1, dtype=torch.long, device=device)
        self._written = torch.zeros(slots, 1, dtype=torch.long, device=device)
        self._numbers = torch.zeros(slots, 1, dtype=torch.float64, device=device)

    @property
    def ids(self) -> Tensor:
        """(R,) what was last chosen, on the device."""
        return self._ids[: len(self._rows)]

    def admit(
        self,
        sampling: Sampling,
        mode: RetrievalMode = "auto",
        *,
        begun: Sequence[int] = (),
        after_ret: Sequence[int] = (),
        no_beginning: Sequence[int] = (),
    ) -> None:
        """One row more, after those in use, for at most `sampling.max_new_tokens` tokens; `mode` means nothing without
        [RET]. It goes on as if `begun` had been chosen in it; `after_ret` are the ids of the sampling's, and with
        `no_beginning` no reply begins that has no products. A setting that can't be used raises what it raises, and
        nothing has changed.
        """
        place, count = len(self._rows), sampling.max_new_tokens
        temperature, top_p = float(sampling.temperature), float(sampling.top_p)
        way: Way = "best" if temperature < COLDEST else "drawn" if top_p == 1 else "drawn by top-p"
        numbers = None if way == "best" else row_numbers(sampling.seed, count)
        rules = None
        if self._ret_id is not None:
            rules = RetRules(
                sampling,
                mode,
                ret_id=self._ret_id,
                stop_ids=self._stop_ids,
                begun=begun,
                after_ret=after_ret,
                no_beginning=no_beginning,
            )
        repetition, presence = float(sampling.repetition_penalty), float(sampling.presence_penalty)
        penalties = (repetition, presence, float(sampling.frequency_penalty))
        ret = (1.0 if sampling.ret_scale_factor is None else float(sampling.ret_scale_factor), sampling.ret_log_odds)
        words = [token for token in begun if token != self._ret_id]
        start = len(words)
        row = _Row(way, temperature, top_p, penalties, *ret, rules, sampling.top_logprobs, steps=start)
        self._widen(start + count)
        self._places[place] = start
        if words:
            self._written[place] = words[0]
            self._written[place, :start] = sent(words, self._device)
        if numbers is not None:
            self._numbers[place, start : start + count] = numbers.to(self._device)
        self._rows.append(row)
        self._plan = None

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, in this order."""
        order = torch.tensor(rows, dtype=torch.long, device=self._device)
        for kept in (self._ids, self._places, self._written, self._numbers):
            kept[: len(rows)] = kept.index_select(0, order)
        self._rows = [self._rows[row] for row in rows]
        self._plan = None

    def __call__(self, logits: Tensor) -> list[int]:
        """(R, V) float32, which are overwritten -> the next id of each row, remembered as written.

        The ids are all that is fetched from the device. Only where a row's likeliest hold less than its top_p is it
        chosen once more in a wider look, and the ids are fetched again.
        """
        self.decide(logits)
        ids = self._fetch()
        if min(ids) < 0:
            self._decide_widely(ids)
            ids = self._fetch()
        return self._settle(ids)

    def decide(self, logits: Tensor) -> None:
        """The LM's choice into `ids`, without a look at what is on the device."""
        if self._plan is None:
            self._plan = _Plan(self._rows, self._device)
        if self._plan.scoring is not None:
            self._plan.scoring.look(logits[:, : self._ret_id])
        barred = [row.rules is None or row.rules.barred for row in self._rows]
        decided = self._plan.thresholds.decide(barred, logits)
        if any(kept is not None for kept in self._plan.penalties):
            if all(barred):
                self._penalise(logits)
            else:
                penalise_words(logits, self._penalise)
        if self._ret_id is not None:
            self._plan.restrain(barred, logits[:, -1])
        if decided is not None:
            decided.lay_over(logits)
        self._bar_beginnings(logits, barred)
        numbers = None
        if self._plan.draws:
            numbers = self._numbers[: len(logits)].gather(1, self._places[: len(logits)])
        for group in self._plan.groups:
            self._ids.index_copy_(0, group.index, group.choose(logits, numbers))
        due = {place: row.rules.due for place, row in enumerate(self._rows) if row.rules and row.rules.due is not None}
        if due:
            self._ids.index_copy_(0, sent(list(due), self._device), sent(list(due.values()), self._device))

    def _bar_beginnings(self, logits: Tensor, barred: Sequence[bool]) -> None:
        """Of rows that begin, and of which it is settled that they have no [RET] there."""
        unfit = [
            (place, token)
            for place, row in enumerate(self._rows)
            if row.rules and (barred[place] or row.ret_log_odds is not None)
            for token in row.rules.no_beginning
        ]
        if unfit:
            index = tuple(sent(part, self._device) for part in zip(*unfit, strict=True))
            logits.index_put_(index, logits.new_tensor(float("-inf")))

    def _penalise(self, logits: Tensor) -> None:
        # A row's columns beyond what it has written repeat its first token.
        longest = max(row.steps for row in self._rows if row.penalised)
        written = self._written[: len(logits), :longest]
        repetition, presence, frequency = self._plan.penalties if self._plan else (None, None, None)
        if repetition is not None:
            penalise_repetition(logits, written, repetition)
        if presence is not None:
            penalise_presence(logits, written, presence)
        if frequency is not None:
            penalise_frequency(logits, written, frequency, counts=self._places[: len(logits)])

    def _fetch(self) -> list[int]:
        """What was chosen, and `scores`, in one transfer."""
        scoring = self._plan.scoring if self._plan else None
        if scoring is None:
            self.scores = [None] * len(self._rows)
            return self.ids.tolist()
        values = torch.cat([self.ids.double(), scoring.packed(self.ids).flatten()]).tolist()
        self.scores = scoring.unpacked(values[len(self._rows) :])
        return [int(value) for value in values[: len(self._rows)]]

    def _decide_widely(self, ids: list[int]) -> None:
        for group in self._plan.groups if self._plan else ():
            undecided = [place for place, row in enumerate(group.rows) if ids[row] < 0]
            if undecided:
                places = sent(undecided, self._device)
                self._ids.index_copy_(0, group.index.index_select(0, places), group.choose_widely(places))

    def _settle(self, chosen: list[int]) -> list[int]:
        """The LM's choice -> what is written, by the rules of [RET]."""
        ruled = [(place, row.rules) for place, row in enumerate(self._rows) if row.rules]
        forced = [place for place, rules in ruled if rules.forced or rules.due is not None]
        ids = [row.rules.settle(token) if row.rules else token for row, token in zip(self._rows, chosen, strict=True)]
        overruled = [place for place, token in enumerate(ids) if token != chosen[place]]
        if overruled and self._ret_id is not None:
            self._ids.index_fill_(0, sent(overruled, self._device), self._ret_id)
        if any(row.remembers for row in self._rows):
            places = self._places[: len(ids)]
            self._written.scatter_(1, places, self.ids.unsqueeze(1))
            places += 1
            if forced:  # whoever had no choice was not drawn, and goes on with the same number
                self._places.index_add_(0, sent(forced, self._device), places.new_full((len(forced), 1), -1))
        for place, row in enumerate(self._rows):
            if row.penalised and row.steps == 0:
                self._written[place] = ids[place]
                self._plan = None
            row.steps += 1
        return ids

    def _widen(self, columns: int) -> None:
        more = columns - self._numbers.shape[1]
        if more > 0:
            self._numbers, self._written = (
                torch.cat([kept, kept[:, :1].expand(-1, more)], dim=1) for kept in (self._numbers, self._written)
            )


class _Plan:
    """What the rows of now have in common, and what of their settings the device needs; it holds until they change."""

    def __init__(self, rows: Sequence[_Row], device: torch.device):
        self._device = device
        ways: dict[Way, list[int]] = {}
        for place, row in enumerate(rows):
            ways.setdefault(row.way, []).append(place)
        self.groups = [Group(way, places, rows, device) for way, places in ways.items()]
        self.draws = any(way != "best" for way in ways)
        self.penalties = [
            sent([[row.penalties[kind] if row.steps else none] for row in rows], device)
            if any(row.steps and row.penalties[kind] != none for row in rows)
            else None
            for kind, none in enumerate(NO_PENALTIES)
        ]
        told = [row.told for row in rows]
        self.scoring = Scoring(told, device) if any(count is not None for count in told) else None
        scales = [row.ret_scale for row in rows]
        self._scales = None if scales == [1.0] * len(rows) else sent(scales, device)
        self.thresholds = Thresholds([row.ret_log_odds for row in rows], device)
        self._barred: list[bool] = []
        self._mask = sent(self._barred, device)

    def restrain(self, barred: list[bool], ret: Tensor) -> None:
        """[RET]'s logits (R,), in place: scaled (the original's `ret_scale_factor`), and impossible where `barred`."""
        if self._scales is not None:
            ret.mul_(self._scales)
        if any(barred):
            if barred != self._barred:
                self._barred, self._mask = barred, sent(barred, self._device)
            ret.masked_fill_(self._mask, float("-inf"))
