"""What Ray Train runs on each worker: load, step, report, and resume. Knows nothing of the command line."""

import functools
import logging
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from ray import train
from torch import nn

from fromage_model import metrics
from fromage_model.build import build_fromage, default_dtype
from fromage_model.bundle import save_bundle
from fromage_model.config import FromageConfig
from fromage_model.fromage import Fromage
from jobs.finetuning import wording
from jobs.finetuning.data import select_items
from jobs.finetuning.examples import Mix, Phrases, Sampler
from jobs.finetuning.glosses import Glosses
from jobs.finetuning.replies import write_replies
from jobs.finetuning.settings import FinetuneArgs
from jobs.finetuning.step import FinetuneStep, StepWeights
from jobs.finetuning.warm_start import WarmStart, warm_start
from jobs.report import Progress

log = logging.getLogger(__name__)
STATE_FILE, BUNDLE_FOLDER = "state.pt", "bundle"
MAX_GRADIENT_NORM = 1.0


def train_loop(settings: dict[str, Any]) -> None:
    """One worker's whole life. `settings`: fields of FinetuneArgs, `lineage`, and `scalars`, TensorBoard's folder."""
    lineage, scalars = settings.pop("lineage"), settings.pop("scalars")
    args = FinetuneArgs(**settings)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    context = train.get_context()
    if not args.use_gpu:
        torch.set_num_threads(args.threads)
    worker = Worker(args, rank=context.get_world_rank(), world_size=context.get_world_size())
    start = worker.resume()
    if start is None:
        start = 0
        worker.warm_start()
    writer = _writer(scalars, purge_step=start * worker.steps_per_epoch) if worker.rank == 0 else None
    for epoch in range(start, args.epochs):
        figures = worker.run_epoch(epoch, writer)
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = None
            if worker.rank == 0:
                worker.save(Path(folder), epoch, lineage | {"epochs_done": epoch + 1})
                checkpoint = train.Checkpoint.from_directory(folder)
            train.report(figures | {"epoch": epoch + 1}, checkpoint=checkpoint)
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
        self.model.trained.standardise.fit(torch.from_numpy(self.data.vectors).to(self.device))
        self.forward = self._distributed(self.step)
        self.optimizer = _optimizer(self.model, args)
        total = self.steps_per_epoch * args.epochs
        rate = functools.partial(_rate, total=total, warmup=args.warmup_steps)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, rate)

    def run_epoch(self, epoch: int, writer: Any) -> dict[str, float]:
        """-> the epoch's mean losses, its speed, and what validation measured."""
        torch.manual_seed((self.args.seed * 1000 + epoch) * 1000 + self.rank)
        self.model.train()
        sums: dict[str, float] = {}
        progress = Progress(f"epoch {epoch + 1} of {self.args.epochs}, steps", total=self.steps_per_epoch, every_s=10)
        start_s = time.perf_counter()
        for place in range(self.steps_per_epoch):
            step = epoch * self.steps_per_epoch + place
            for name, value in self._step(step).items():
                sums[name] = sums.get(name, 0.0) + value
                if writer is not None:
                    writer.add_scalar(f"train/{name}", value, step)
            if self.rank == 0:
                progress.add(1)
        seconds = time.perf_counter() - start_s
        figures = {name: total / self.steps_per_epoch for name, total in sums.items()}
        figures["examples_per_second"] = self.steps_per_epoch * self.args.batch_size * self.world_size / seconds
        figures |= self._validate()
        for name, value in figures.items():
            if writer is not None:
                writer.add_scalar(f"epoch/{name}", value, epoch)
        if self.rank == 0:
            log.info("epoch %d of %d: %s", epoch + 1, self.args.epochs, {k: round(v, 3) for k, v in figures.items()})
        return figures

    def _step(self, step: int) -> dict[str, float]:
        examples = self.sampler.draw(step, rank=self.rank, world_size=self.world_size)
        parts = self.forward(examples)
        self.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        norm = self._clip()
        self.optimizer.step()
        self.scheduler.step()
        self.model.trained.ret.renormalise(self.model.lm)
        if not bool(torch.isfinite(norm)):
            raise FloatingPointError(f"the gradient is not finite at step {step}; try lower learning rates")
        return {name: float(value.detach()) for name, value in parts.items()} | {"gradient_norm": float(norm)}

    def _clip(self) -> torch.Tensor:
        """Bound the gradient of each part by itself: a wild one must not still the others -> the norm of all."""
        parts = [list(part.parameters()) for part in self.model.trained.children()]
        norms = [nn.utils.clip_grad_norm_(part, MAX_GRADIENT_NORM) for part in parts if part]
        return torch.stack(norms).norm()

    @torch.inference_mode()
    def _validate(self) -> dict[str, float]:
        """Recall among the validation items, with the name alone as the query."""
        if not self.data.validation_items or self.rank != 0:
            return {}
        self.model.eval()
        names = [f"{self.model.config.caption_prompt} {item.caption}.".lstrip() for item in self.data.validation_items]
        texts = self.model.text_embeddings(names).numpy()
        images = self.model.image_embeddings(torch.from_numpy(self.data.validation_features)).cpu().numpy()
        recall = metrics.text_to_image(texts, images).to_json()
        return {f"validation_{name}": value for name, value in recall.items()}

    def save(self, folder: Path, epoch: int, lineage: dict[str, Any]) -> None:
        """The bundle as of now, and what resuming needs beside it."""
        state = {
            "epoch": epoch + 1,
            "trained": self.model.trained.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }
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
        """Train the heads alone first; every worker does the same and comes to the same."""
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
            warm_start(self.model, self.step, self.sampler, settings, dictionary=self._dictionary())
        if self.rank == 0:
            log.info("after the warm start: %s", {k: round(v, 3) for k, v in self._validate().items()})

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
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        log.info("resumed after epoch %d", state["epoch"])
        return state["epoch"]

    def _model(self) -> Fromage:
        args = self.args
        config = FromageConfig(
            language_model=args.language_model,
            vision_encoder=self.data.features.info.encoder,
            visual_tokens=args.visual_tokens,
            shared_width=args.shared_width,
            text_layers=args.text_layers,
            picture_weight=args.picture_weight,
            two_ret_rows=args.two_ret_rows,
            system_prompt=args.system_prompt,
            caption_prompt=args.caption_prompt,
            original_captions=args.original_captions,
            image_dropout=args.image_dropout,
            text_dropout=args.text_dropout,
        )
        dtype = default_dtype(self.device) if args.dtype == "auto" else getattr(torch, args.dtype)
        width = self.data.features.info.width
        return build_fromage(
            config, feature_width=width, device=self.device, dtype=dtype, dropout=args.dropout, seed=args.seed
        )

    def _sampler(self) -> Sampler:
        args = self.args
        phrases = Phrases(self.data.items, self.glosses)
        exchanges = write_replies(self.model, wording.small_talk(), max_new_tokens=args.reply_tokens)
        return Sampler(
            self.data.items,
            self.data.vectors,
            own_items=self.data.own,
            phrases=phrases,
            exchanges=exchanges,
            mix=Mix(),
            batch_size=min(args.batch_size, self.data.own // self.world_size),
            caption_batch_size=args.caption_batch_size,
            talk_batch_size=args.talk_batch_size,
            concatenate_share=args.concat_captions_prob,
            seed=args.seed,
        )

    def _distributed(self, step: FinetuneStep) -> nn.Module:
        if self.world_size == 1:
            return step
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(step, device_ids=devices, broadcast_buffers=False)


def _optimizer(model: Fromage, args: FinetuneArgs) -> torch.optim.AdamW:
    """AdamW over the trained parts alone: matrices decay; each part has a rate of its own."""
    parts = model.trained
    warm = [*parts.image_head.parameters(), *parts.text_head.parameters(), parts.log_scale]
    warm += [] if parts.ret.output_row is None else [parts.ret.output_row]
    rated = (
        (warm, args.head_learning_rate),
        (list(parts.prefix.parameters()), args.prefix_learning_rate),
        ([parts.ret.input_row], args.ret_learning_rate),
    )
    groups = []
    for parameters, rate in rated:
        matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
        others = [parameter for parameter in parameters if parameter.ndim < 2]
        for some, decay in ((matrices, args.weight_decay), (others, 0.0)):
            if some:
                groups.append({"params": some, "lr": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups)


def _rate(step: int, total: int, warmup: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))


def _writer(folder: str, *, purge_step: int) -> Any:
    from tensorboardX import SummaryWriter

    return SummaryWriter(folder, purge_step=purge_step or None)
