"""A model, its examples and its optimizer, as one of several workers has them: a step, an epoch, saved and laid back.

Knows nothing of when Ray Train is told.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from ray import train

from fromage_model.build import build_fromage
from fromage_model.bundle import save_bundle
from fromage_model.catalogue import Catalogue
from fromage_model.fromage import Fromage
from fromage_model.language.compiling import compile_layers
from fromage_model.language.precision import Precision
from fromage_model.language.recomputing import recompute_layers
from jobs.common import metrics
from jobs.common.reporting.phases import Phases
from jobs.finetune.checkpoints import BUNDLE_FOLDER
from jobs.finetune.data import select_items
from jobs.finetune.epochs import EpochWorker
from jobs.finetune.examples.examples import Mix, Phrases, Sampler, StepExamples
from jobs.finetune.examples.garments import Garments, are_garments
from jobs.finetune.examples.glosses import Glosses
from jobs.finetune.examples.replies import small_talk_exchanges
from jobs.finetune.grid import captions_of, grid_of
from jobs.finetune.kept import KeptStates
from jobs.finetune.model_config import config_of
from jobs.finetune.not_finite import NotFinite
from jobs.finetune.optimisation import fromage_optimisation
from jobs.finetune.parts import in_parts
from jobs.finetune.seen import Seen, look
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.showing import fit_decision_alone, fit_hidden_layer, fit_threshold, read_sides
from jobs.finetune.start import start_from
from jobs.finetune.step import FinetuneStep, StepWeights
from jobs.finetune.telling import Scalars, in_words
from jobs.finetune.warm_start.heads import WarmStart, read_material, warm_start
from jobs.finetune.warm_start.prefix import fit_prefix, train_prefix
from jobs.finetune.workers import averaged

log = logging.getLogger(__name__)
RECALL = "validation_recall"
"""Mean of R@1, R@5 and R@10 among the validation items, in percent."""
# A conversation names items and tags up to six times, beside its opening, its templates and definitions.
NAME_TOKENS, NAMES_THAT_FIT = 128, 32


class Worker(EpochWorker):
    """A model, its examples, and an optimizer over what is trained."""

    args: FinetuneArgs
    model: Fromage

    def __init__(self, args: FinetuneArgs, *, rank: int, world_size: int, phases: Phases | None = None):
        super().__init__(args, rank=rank, world_size=world_size, phases=phases)
        self.phases.begin("reading items")
        self.data = select_items(args)
        self.phases.begin("loading the LM")
        self.device = train.torch.get_device() if args.use_gpu else torch.device("cpu")
        self.precision = Precision.choose(args.dtype, self.device)
        self.model: Fromage = self._model()
        if args.compile:
            compile_layers(self.model.lm.backbone)
        self.pack()
        if args.checkpoint_activations:
            recompute_layers(self.model.lm.backbone)
        self.glosses = Glosses(Path(args.glosses)) if args.glosses else None
        self.phases.begin("replies to small talk")
        self.sampler = self._sampler()
        self.steps_per_epoch = args.steps_per_epoch or self.sampler.steps_per_epoch(world_size)
        if self.model.trained.decision is not None:
            # No step trains it: it is fitted in the end.
            self.model.trained.decision.requires_grad_(False)
        self.step = FinetuneStep(self.model, self.sampler, StepWeights.of(args))
        self._anew = args.start_from is None or args.refit
        if self._anew and args.standardise:
            self.model.trained.standardise.fit(torch.from_numpy(self.data.vectors).to(self.device))
        self.forward = averaged(self.step, self.device)
        self.optimisation = fromage_optimisation(
            self.model, args, steps_per_epoch=self.steps_per_epoch, precision=self.precision
        )

    def _step(self, step: int) -> dict[str, float]:
        """-> the step's losses and the norm of its gradient; nothing where the step was skipped.

        Raises NotFinite, on every worker, where a loss or a gradient is no number and skipping does not help.
        """
        examples = self.sampler.draw(step, rank=self.rank, world_size=self.world_size)
        parts: dict[str, torch.Tensor] = {}
        try:
            norm = self.optimisation.apply(self._losses(examples, parts))
        except FloatingPointError as error:
            losses = {name: float(value) for name, value in parts.items() if name != "accuracy"}
            places = [one.item for one in examples.shown] + list(examples.captioned)
            stop = self.stop_at(step, str(error)).at(places, losses)
            raise NotFinite(stop, [item.id for item in self.data.items]) from error
        if norm is None:
            return {}
        self.model.trained.ret.renormalise(self.model.lm)
        self.model.trained.bound_log_scale()
        return {name: float(value) for name, value in parts.items()} | {"gradient_norm": norm}

    def _losses(self, examples: StepExamples, told: dict[str, torch.Tensor]) -> Iterator[torch.Tensor]:
        """Scalars that are the step's loss together, for gradients one after the other; `told` gets its parts."""
        if self.args.accumulate > 1:
            yield from in_parts(self.step, examples, count=self.args.accumulate, told=told)
            return
        parts = self.forward(examples)
        told |= {name: value.detach() for name, value in parts.items()}
        yield parts["loss"]

    def finish(self) -> None:
        self.phases.begin("when to show products")
        if self.args.others_shown is not None:
            fit_hidden_layer(self.step, self.sampler, seed=self.args.seed, kept=self.kept())
        fit_threshold(
            self.step,
            self.sampler,
            others_shown=self.args.others_shown,
            others_shown_pictured=self.args.others_shown_pictured,
            kept=self.kept(),
        )

    @property
    def examples(self) -> int:
        return len(self.data.items)

    def look(self) -> list[Seen]:
        return look(self.model, self.data)

    def show(self, seen: list[Seen], writer: Scalars, epoch: int) -> None:
        writer.show(captions_of(seen), grid_of(seen, Catalogue.open(self.args.catalogue).image_bytes), epoch)

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Recall among the validation items, with the name alone as the query."""
        if not self.data.validation_items or self.rank != 0:
            return {}
        self.model.eval()
        names = [f"{self.model.config.caption_prompt} {item.caption}.".lstrip() for item in self.data.validation_items]
        texts = self.model.text_embeddings([self.model.readable(name) for name in names]).numpy()
        images = self.model.image_embeddings(torch.from_numpy(self.data.validation_features)).cpu().numpy()
        recall = metrics.text_to_image(texts, images).to_json()
        figures = {f"validation_{name}": value for name, value in recall.items()}
        return figures | {RECALL: sum(recall.values()) / len(recall)}

    def save(self, folder: Path, *, epochs_done: int, lineage: dict[str, Any] | None = None) -> bool:
        """What going on needs and, with `lineage`, the bundle as of now -> whether this worker wrote it.

        Every worker must call it: their random numbers come together, and the first one writes.
        """
        if not self.save_state(folder, {"trained": self.model.trained.state_dict()}, epochs_done=epochs_done):
            return False
        if lineage is not None:
            info = self.data.features.info
            save_bundle(
                self.model,
                folder / BUNDLE_FOLDER,
                feature_width=info.width,
                encoder_fingerprint=info.encoder_fingerprint,
                lineage=lineage,
            )
        return True

    def load(self, folder: Path) -> int:
        """Lay what `save` wrote over this worker -> epochs done."""
        state = self.load_state(folder)
        self.model.trained.load_state_dict(state["trained"])
        return state["epochs_done"]

    def warm_start(self) -> None:
        """Train the prefix alone, if asked for, then the heads; every worker does the same and comes to the same.

        A run that goes on from a bundle has trained heads and statistics. LoRA, new and the identity, does not change
        meanwhile, so that states which are read once stay what the LM computes.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.args.seed)
            # First the prefix: texts are read with pictures in them.
            self._warm_start_prefix()
            if self._anew and self.args.warm_start_steps:
                self._warm_start_heads()
            elif self.args.decision_alone:
                self.phases.begin("when to show products")
                fit_decision_alone(self.step, self.sampler, seed=self.args.seed, kept=self.kept())
        if measured := self.validate():
            log.info("after the warm start: %s", in_words(measured))

    def _warm_start_prefix(self) -> None:
        args = self.args
        if args.fit_prefix or args.prefix_steps:
            self.phases.begin("the visual prefix")
        if args.fit_prefix:
            fit_prefix(self.model, self.sampler)
        if steps := args.prefix_steps:
            train_prefix(self.model, self.step, self.sampler, steps=steps, noise=args.feature_noise, seed=args.seed)

    def _warm_start_heads(self) -> None:
        model, step, sampler, settings = self.model, self.step, self.sampler, WarmStart.of(self.args)
        self.phases.begin("reading texts")
        material = read_material(step, sampler, settings, dictionary=self._dictionary(), kept=self.kept())
        self.phases.begin("warm start")
        said = None if model.trained.ret.output_row is None else read_sides(step, sampler, kept=self.kept())
        warm_start(model, step, sampler, material, settings, said=said, kept=self.kept())

    def kept(self) -> KeptStates | None:
        """None where LoRA changes what the LM makes of texts, or nothing is to be kept."""
        keeps = self.args.keep_states and self.model.trained.lora is None
        return KeptStates.of_language_model(self.model.config.language_model) if keeps else None

    def _dictionary(self) -> list[tuple[str, str]]:
        """Words that no item bears that is measured by: neither the held-out split's nor validation's."""
        if self.glosses is None:
            return []
        names = [item.caption or "" for item in [*self.data.held_out_items, *self.data.validation_items]]
        return self.glosses.pairs(self.args.dictionary_pairs, without=names)

    def _model(self) -> Fromage:
        args = self.args
        if args.start_from is not None:
            return start_from(args, device=self.device, dtype=self.precision.lm)
        return build_fromage(
            config_of(args, encoder=self.data.features.info.encoder),
            feature_width=self.data.features.info.width,
            device=self.device,
            dtype=self.precision.lm,
            dropout=args.dropout,
            lora=args.lora(),
            seed=args.seed,
        )

    def _sampler(self) -> Sampler:
        args = self.args
        phrases = Phrases(self.data.items, self.glosses, shortened=self._shortened)
        drawn = args.conversations and are_garments(self.data.items)
        garments = Garments(self.data.items, self.data.vectors) if drawn else None
        return Sampler(
            self.data.items,
            self.data.vectors,
            own_items=self.data.own,
            phrases=phrases,
            garments=garments,
            exchanges=small_talk_exchanges(self.model, max_new_tokens=args.reply_tokens, kept=self.kept()),
            mix=Mix(),
            batch_size=min(args.batch_size, self.data.own // self.world_size),
            caption_batch_size=args.caption_batch_size,
            talk_batch_size=args.talk_batch_size,
            concatenate_share=args.concat_captions_prob,
            conversations=args.conversations,
            seed=args.seed,
        )

    def _shortened(self, name: str) -> str:
        """As much of a name or tag as every conversation has room for."""
        most = min(NAME_TOKENS, self.model.lm.max_positions // NAMES_THAT_FIT)
        kept = self.model.tokens.beginning(name, most)
        if kept != name and self.rank == 0:
            log.warning("%.60r... has %d characters; training reads the first %d", name, len(name), len(kept))
        return kept
