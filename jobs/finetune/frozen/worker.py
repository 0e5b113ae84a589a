"""A FROZEN model, its rows and its optimizer, as one of several workers has them.

What Ray Train runs is `train_loop`; epochs, checkpoints and resuming are the job's own.
"""

import functools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from ray import train
from torch import Tensor, nn

from fromage_model.frozen.model import FrozenModel
from fromage_model.language.compiling import compile_layers
from fromage_model.language.precision import Precision
from jobs.common.reporting.page import spread
from jobs.common.reporting.phases import Phases
from jobs.finetune.checkpoints import BUNDLE_FOLDER
from jobs.finetune.epochs import EpochWorker
from jobs.finetune.frozen.fit import fit_map, folded, mean_row_rms
from jobs.finetune.frozen.room import check_room
from jobs.finetune.frozen.rows import select_rows
from jobs.finetune.frozen.sampler import FrozenSampler
from jobs.finetune.frozen.settings import FrozenArgs
from jobs.finetune.frozen.start import make_model
from jobs.finetune.frozen.step import FrozenStep, Pictures, picture_of
from jobs.finetune.loop import live
from jobs.finetune.not_finite import NotFinite
from jobs.finetune.optimisation import Optimisation, Rated, along_a_cosine
from jobs.finetune.seen import Seen
from jobs.finetune.through_words import SHARED_RATE
from jobs.finetune.workers import averaged, gather_objects

log = logging.getLogger(__name__)
RATES = "--map-learning-rate, --encoder-learning-rate"
SEEN, MEASURED, ROWS_AT_ONCE = 8, 512, 16


def train_loop(settings: dict[str, Any]) -> dict[str, Any]:
    """What a worker that trains a FROZEN model does; `settings`: what `live` says, fields of FrozenArgs, `broken`.

    Those are the numbers of rows that the driver's check found unusable.
    """
    broken = settings.pop("broken")
    return live(settings, lambda fields, **place: FrozenWorker(FrozenArgs(**fields), broken=broken, **place))


class FrozenWorker(EpochWorker):
    """A FROZEN model, the rows of all workers, and an optimizer over map and trained stages."""

    args: FrozenArgs

    def __init__(
        self,
        args: FrozenArgs,
        *,
        rank: int,
        world_size: int,
        phases: Phases | None = None,
        broken: Sequence[int] = (),
    ):
        super().__init__(args, rank=rank, world_size=world_size, phases=phases)
        self.phases.begin("reading rows")
        self.data = select_rows(args, without=frozenset(broken))
        self.phases.begin("loading the model")
        self.device = train.torch.get_device() if args.use_gpu else torch.device("cpu")
        self.precision = Precision.choose(args.dtype, self.device)
        self.model: FrozenModel = make_model(args, device=self.device, dtype=self.precision.lm)
        if args.compile:
            compile_layers(self.model.lm.backbone)
        self.pack()
        check_room(self.model, [*self.data.rows, *self.data.validation], max_tokens=args.max_tokens)
        self.sampler = FrozenSampler(
            self.data.rows,
            batch_size=min(args.batch_size, max(1, len(self.data.rows) // world_size)),
            episodes=args.episode_batch_size,
            shots=args.episode_shots,
            repeats=args.episode_repeats,
            seed=args.seed,
        )
        self.steps_per_epoch = self.sampler.steps_per_epoch(world_size)
        self.pictures = Pictures(self.model, self.data.rows, kept_mib=args.kept_mib)
        if args.fit_prefix:
            self.phases.begin("fitting the visual map to words")
            fit_map(self.model, self.data.rows, self.pictures)
        self.step = FrozenStep(self.model, self.pictures, max_tokens=args.max_tokens)
        self.forward = averaged(self.step, self.device)
        self.optimisation = self._optimisation(args)

    @property
    def examples(self) -> int:
        return len(self.data.rows)

    def _step(self, step: int) -> dict[str, float]:
        """-> the step's losses and the norm of its gradient; nothing where the step was skipped.

        Raises NotFinite, on every worker, where a loss or a gradient is no number and skipping does not help.
        """
        rows = self.sampler.draw(step, rank=self.rank, world_size=self.world_size)
        scales, losses = self.step.scales(rows), dict[str, float]()

        def parts() -> Iterator[Tensor]:
            for some in rows.parts(self.args.accumulate):
                found = self.forward(some, scales)
                for name, value in found.items():
                    losses[name] = losses.get(name, 0.0) + float(value.detach())
                yield found["loss"]

        try:
            norm = self.optimisation.apply(parts())
        except FloatingPointError as error:
            stop = self.stop_at(step, str(error)).at(rows.places, losses)
            raise NotFinite(stop, [row.id for row in self.data.rows], rates=RATES) from error
        if norm is None:
            return {}
        every = gather_objects([losses])
        means = {name: sum(one.get(name, 0.0) for one in every) / len(every) for name in losses}
        return means | {"gradient_norm": norm}

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Of rows held out: the loss of their first text, and in how many the LM's own text is that, to the letter."""
        rows = self.data.validation[:MEASURED]
        if not rows or self.rank != 0:
            return {}
        self.model.eval()
        total, tokens, right = 0.0, 0, 0
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            pictures, texts = self.model.begin([picture_of(row) for row in some]), [row.texts[0] for row in some]
            found = self.model.caption_loss(
                pictures,
                [text.text for text in texts],
                contexts=[text.context for text in texts],
                max_tokens=self.args.max_tokens,
            )
            total, tokens = total + float(found.loss) * found.tokens, tokens + found.tokens
            said = self._says(pictures, [text.context for text in texts])
            right += sum(one == text.text.strip() for one, text in zip(said, texts, strict=True))
        return {"validation_loss": total / tokens, "validation_exact": right / len(rows)}

    def look(self) -> list[Seen]:
        """What the LM says of some pictures: of those held out, where there are some."""
        self.model.eval()
        held_out = bool(self.data.validation)
        rows = self.data.validation or self.data.rows
        rows = [rows[place] for place in spread(len(rows), most=SEEN)]
        said = self._says(self.model.begin([picture_of(row) for row in rows]), [row.texts[0].context for row in rows])
        return [
            Seen(id=row.id, caption=f"{row.texts[0].context}{row.texts[0].text}".strip(), held_out=held_out, says=one)
            for row, one in zip(rows, said, strict=True)
        ]

    def save(self, folder: Path, *, epochs_done: int, lineage: dict[str, Any] | None = None) -> bool:
        if not self.save_state(folder, {"trained": self._trained().state_dict()}, epochs_done=epochs_done):
            return False
        if lineage is not None:
            with folded(self.model):
                self.model.save(folder / BUNDLE_FOLDER, lineage=lineage)
        return True

    def load(self, folder: Path) -> int:
        state = self.load_state(folder)
        self._trained().load_state_dict(state["trained"])
        return state["epochs_done"]

    def _says(self, pictures: Tensor, contexts: list[str]) -> list[str]:
        prompts = [self.model.prompt([one, context]) for one, context in zip(pictures, contexts, strict=True)]
        return [reply.text.strip() for reply in self.model.generate(prompts, until=["\n"])]

    def _trained(self) -> nn.ModuleDict:
        """Map and encoder: batch statistics are no parameters, and change as well."""
        return nn.ModuleDict({"visual_map": self.model.visual_map, "encoder": self.model.encoder.backbone})

    def _optimisation(self, args: FrozenArgs) -> Optimisation:
        of_map = [one for one in self.model.visual_map.parameters() if one.requires_grad]
        of_encoder = [one for one in self.model.encoder.parameters() if one.requires_grad]
        rate = args.word_learning_rate * mean_row_rms(self.model) if args.fit_prefix else args.map_learning_rate
        shared = [one for one in of_map if args.fit_prefix and one.ndim == 1]
        return Optimisation(
            [
                Rated([one for one in of_map if one.ndim > 1 or not shared], rate, args.weight_decay),
                Rated(shared, SHARED_RATE * rate, args.weight_decay),
                Rated(of_encoder, args.encoder_learning_rate, args.weight_decay),
            ],
            clipped=[of_map, *([of_encoder] if of_encoder else [])],
            device=self.device,
            rate=functools.partial(along_a_cosine, warmup=args.warmup_steps, total=self.steps_per_epoch * args.epochs),
            precision=self.precision,
        )
