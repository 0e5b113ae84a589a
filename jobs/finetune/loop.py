"""What Ray Train runs on each worker: load, step, report, and resume. Knows nothing of the command line."""

import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from ray import train
from torch import nn

from fromage_model.build import build_fromage
from fromage_model.bundle import save_bundle
from fromage_model.fromage import Fromage
from fromage_model.language.precision import Precision
from jobs.common import metrics
from jobs.common.reporting.report import Progress
from jobs.common.reporting.worker_lines import send_lines
from jobs.finetune.data import select_items
from jobs.finetune.examples import wording
from jobs.finetune.examples.examples import Exchange, Mix, Phrases, Sampler
from jobs.finetune.examples.garments import Garments, are_garments
from jobs.finetune.examples.glosses import Glosses
from jobs.finetune.examples.replies import write_replies
from jobs.finetune.model_config import config_of
from jobs.finetune.optimisation import Optimisation
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.start import start_from
from jobs.finetune.step import FinetuneStep, StepWeights
from jobs.finetune.warm_start.heads import WarmStart, warm_start
from jobs.finetune.warm_start.prefix import fit_prefix, train_prefix

log = logging.getLogger(__name__)
STATE_FILE, BUNDLE_FOLDER = "state.pt", "bundle"
# A conversation names items and tags up to six times, beside its opening, its templates and definitions.
NAME_TOKENS, NAMES_THAT_FIT = 128, 32


def train_loop(settings: dict[str, Any]) -> None:
    """One worker's whole life: train, and send what there is to say to the driver.

    `settings`: fields of FinetuneArgs, `lineage`, `scalars`, TensorBoard's folder, and `lines`, of `worker_lines`.
    """
    # All workers say the same of their progress.
    level = logging.INFO if train.get_context().get_world_rank() == 0 else logging.WARNING
    send_lines(settings.pop("lines"), level=level)
    try:
        run_epochs(settings)
    except Exception as error:  # told at once: Ray Train tells the driver when it has tried often enough
        log.error("a worker failed: %s: %s", type(error).__name__, error)
        raise


def run_epochs(settings: dict[str, Any]) -> None:
    """Load, go on where a worker before this one was, and report after each epoch."""
    lineage, scalars = settings.pop("lineage"), settings.pop("scalars")
    args = FinetuneArgs(**settings)
    context = train.get_context()
    if not args.use_gpu:
        torch.set_num_threads(args.threads)
    worker = Worker(args, rank=context.get_world_rank(), world_size=context.get_world_size())
    start = worker.resume()
    if start is None:
        start = 0
        worker.warm_start()
    log.info("training: %d items, %d epochs of %d steps", len(worker.data.items), args.epochs, worker.steps_per_epoch)
    writer = _writer(scalars, purge_step=start * worker.steps_per_epoch) if worker.rank == 0 else None
    # Without epochs, one report of the warm start alone.
    for epoch in range(start, max(1, args.epochs)):
        figures = worker.run_epoch(epoch, writer) if args.epochs else worker.validate()
        done = min(epoch + 1, args.epochs)
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = None
            if worker.rank == 0:
                worker.save(Path(folder), epoch, lineage | {"epochs_done": done})
                checkpoint = train.Checkpoint.from_directory(folder)
            train.report(figures | {"epoch": done}, checkpoint=checkpoint)
    if writer is not None:
        writer.close()


class Worker:
    """A model, its examples, and an optimizer over what is trained."""

    def __init__(self, args: FinetuneArgs, *, rank: int, world_size: int):
        self.args = args
        self.rank = rank
        self.world_size = world_size
        self.data = select_items(args)
        self.device = train.torch.get_device() if args.use_gpu else torch.device("cpu")
        self.precision = Precision.choose(args.dtype, self.device)
        self.model = self._model()
        self.glosses = Glosses(Path(args.glosses)) if args.glosses else None
        self.sampler = self._sampler()
        self.steps_per_epoch = self.sampler.steps_per_epoch(world_size)
        weights = StepWeights(
            caption=args.cap_loss_scale,
            info_nce=args.ret_loss_scale,
            next_token=args.ret_loss_scale,
            feature_noise=args.feature_noise,
            sibling=args.sibling_weight,
        )
        self.step = FinetuneStep(self.model, self.sampler, weights)
        self._anew = args.start_from is None or args.refit
        if self._anew:
            self.model.trained.standardise.fit(torch.from_numpy(self.data.vectors).to(self.device))
        self.forward = self._distributed(self.step)
        self.optimisation = Optimisation(
            self.model, args, total_steps=self.steps_per_epoch * args.epochs, precision=self.precision
        )

    def run_epoch(self, epoch: int, writer: Any) -> dict[str, float]:
        """-> the mean losses of the steps that were not skipped, the speed, and what validation measured."""
        torch.manual_seed((self.args.seed * 1000 + epoch) * 1000 + self.rank)
        self.model.train()
        sums: dict[str, float] = {}
        skipped_before = self.optimisation.skipped_steps
        progress = Progress(f"epoch {epoch + 1} of {self.args.epochs}", total=self.steps_per_epoch, of="steps")
        start_s = time.perf_counter()
        for place in range(self.steps_per_epoch):
            step = epoch * self.steps_per_epoch + place
            losses = self._step(step)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value
            for name, value in (losses | self.optimisation.figures()).items():
                if writer is not None:
                    writer.add_scalar(f"train/{name}", value, step)
            if self.rank == 0:
                progress.add(1)
        seconds = time.perf_counter() - start_s
        applied = self.steps_per_epoch - (self.optimisation.skipped_steps - skipped_before)
        figures = {name: total / applied for name, total in sums.items()} | self.optimisation.figures()
        figures["examples_per_second"] = self.steps_per_epoch * self.args.batch_size * self.world_size / seconds
        figures |= self.validate()
        for name, value in figures.items():
            if writer is not None:
                writer.add_scalar(f"epoch/{name}", value, epoch)
        if self.rank == 0:
            log.info("epoch %d of %d: %s", epoch + 1, self.args.epochs, in_words(figures))
        return figures

    def _step(self, step: int) -> dict[str, float]:
        """-> the step's losses and the norm of its gradient; nothing where the step was skipped."""
        parts = self.forward(self.sampler.draw(step, rank=self.rank, world_size=self.world_size))
        norm = self.optimisation.apply(parts["loss"])
        if norm is None:
            return {}
        self.model.trained.ret.renormalise(self.model.lm)
        self.model.trained.bound_log_scale()
        return {name: float(value.detach()) for name, value in parts.items()} | {"gradient_norm": norm}

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
        return {f"validation_{name}": value for name, value in recall.items()}

    def save(self, folder: Path, epoch: int, lineage: dict[str, Any]) -> None:
        """The bundle as of now, and what resuming needs beside it."""
        state = {
            "epoch": epoch + 1,
            "trained": self.model.trained.state_dict(),
        } | self.optimisation.state_dict()
        torch.save(state, folder / STATE_FILE)
        info = self.data.features.info
        save_bundle(
            self.model,
            folder / BUNDLE_FOLDER,
            feature_width=info.width,
            encoder_fingerprint=info.encoder_fingerprint,
            lineage=lineage,
        )

    def warm_start(self) -> None:
        """Train the heads alone first; every worker does the same and comes to the same.

        A run that goes on from a bundle has trained heads and their statistics already. LoRA does not change meanwhile
        (a new one is the identity), so that states which are read once stay what the LM computes.
        """
        if not self._anew:
            return
        args = self.args
        settings = WarmStart(
            steps=args.warm_start_steps,
            phrasings=args.phrasings,
            further_phrasings=args.further_phrasings,
            weight_decay=args.weight_decay,
            noise=args.feature_noise,
            sibling=args.sibling_weight,
            names=args.name_weight,
            dictionary=args.dictionary_weight,
            seed=args.seed,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(args.seed)
            # First the prefix: texts are read with pictures in them.
            if args.fit_prefix:
                fit_prefix(self.model, self.sampler)
            if args.prefix_steps:
                rate = args.prefix_learning_rate
                train_prefix(
                    self.model, self.sampler, steps=args.prefix_steps, learning_rate=rate, noise=args.feature_noise
                )
            warm_start(self.model, self.step, self.sampler, settings, dictionary=self._dictionary())
        if measured := self.validate():
            log.info("after the warm start: %s", in_words(measured))

    def _dictionary(self) -> list[tuple[str, str]]:
        """Words that no item bears that is measured by: neither the held-out split's nor validation's."""
        if self.glosses is None:
            return []
        names = [item.caption or "" for item in [*self.data.held_out_items, *self.data.validation_items]]
        return self.glosses.pairs(self.args.dictionary_pairs, without=names)

    def resume(self) -> int | None:
        """Lay the last reported checkpoint over this worker -> the epoch to go on with, or None where all is new."""
        checkpoint = train.get_checkpoint()
        if checkpoint is None:
            return None
        with checkpoint.as_directory() as folder:
            state = torch.load(Path(folder) / STATE_FILE, map_location="cpu", weights_only=True)
        self.model.trained.load_state_dict(state["trained"])
        self.optimisation.load_state_dict(state)
        log.info("resumed after epoch %d", state["epoch"])
        return state["epoch"]

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
        garments = Garments(self.data.items, self.data.vectors) if are_garments(self.data.items) else None
        return Sampler(
            self.data.items,
            self.data.vectors,
            own_items=self.data.own,
            phrases=phrases,
            garments=garments,
            exchanges=self._exchanges(),
            mix=Mix(),
            batch_size=min(args.batch_size, self.data.own // self.world_size),
            caption_batch_size=args.caption_batch_size,
            talk_batch_size=args.talk_batch_size,
            concatenate_share=args.concat_captions_prob,
            seed=args.seed,
        )

    def _exchanges(self) -> list[Exchange]:
        """Small talk with the LM's own replies."""
        messages = wording.small_talk()
        if self.args.reply_tokens == 0:
            return [Exchange(message, "", ends=False) for message in messages]
        return write_replies(self.model, messages, max_new_tokens=self.args.reply_tokens)

    def _shortened(self, name: str) -> str:
        """As much of a name or tag as every conversation has room for."""
        most = min(NAME_TOKENS, self.model.lm.max_positions // NAMES_THAT_FIT)
        kept = self.model.tokens.beginning(name, most)
        if kept != name and self.rank == 0:
            log.warning("%.60r... has %d characters; training reads the first %d", name, len(name), len(kept))
        return kept

    def _distributed(self, step: FinetuneStep) -> nn.Module:
        if self.world_size == 1:
            return step
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(step, device_ids=devices, broadcast_buffers=False)


def in_words(figures: dict[str, float]) -> str:
    """`loss 2.314, skipped steps 0`."""
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items())


def _writer(folder: str, *, purge_step: int) -> Any:
    from tensorboardX import SummaryWriter

    return SummaryWriter(folder, purge_step=purge_step or None)
