"""FROZEN trained by the job on a drawn set, and what it then can: captions of what it never saw together, and names.

Ten shapes in ten colours; a fifth of the combinations is held out, so that "red heart" must be said by a model that
saw red things and hearts, and no red heart. Then fast binding (FROZEN section 4.3) on those combinations: two made-up
names are given to pictures in the prompt, and a further picture is to be named, open-ended, beside a blind control.

    python -m tests.benchmarks.frozen_training
    python -m tests.benchmarks.frozen_training --episodes 0 --forms bare sentence induced
"""

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import tyro
from PIL import Image
from torch import Tensor

from fromage_model.catalogue import SCHEMA
from fromage_model.catalogue.schema import HELD_OUT, TRAIN
from fromage_model.catalogue.table import write_catalogue
from fromage_model.frozen.model import FrozenModel
from fromage_model.logs import dated_lines
from fromage_model.storage.artefacts import writing
from fromage_model.storage.pretrained import DEFAULT_LANGUAGE_MODEL, STAGES_VISION_ENCODER
from jobs.evaluate.metrics.resampling import Scores, compare, estimate
from jobs.finetune.frozen.job import main as finetune
from jobs.finetune.frozen.settings import FrozenArgs
from tests.benchmarks.common.fast_binding import FORMS, Outcome, ask, begun, draw_trials
from tests.benchmarks.common.shapes_drawn import COLOURS, SHAPES, draw

HELD_EVERY = 5


@dataclass(frozen=True)
class Args:
    """Train FROZEN on drawn shapes, and measure captions and fast binding on combinations that were held out."""

    language_model: str = DEFAULT_LANGUAGE_MODEL
    """Frozen LM."""
    vision_encoder: str = STAGES_VISION_ENCODER
    """Vision encoder."""
    trained_stages: int = 0
    """Of its stages, the last ones that are trained too."""
    global_tokens: int = 4
    """Prefix tokens of a picture."""
    kinds: int = 10
    """Shapes, and colours, of at most ten."""
    pictures: int = 6
    """Pictures of each combination."""
    epochs: int = 3
    """Passes over those that are trained on."""
    batch_size: int = 12
    """Pictures with their captions in a step."""
    episodes: int = 3
    """Episodes of other names and other combinations in a step; 0 for captions alone."""
    trials: int = 100
    """Of fast binding, for each number of shots."""
    shots: tuple[int, ...] = (1, 3)
    """Pictures of each name in the prompt."""
    repeats: tuple[int, ...] = (3, 1)
    """How often they come, for each number of shots."""
    forms: tuple[str, ...] = ("bare",)
    """Wordings of the prompt: bare, sentence, induced."""
    dtype: str = "float32"
    """Of the LM."""
    threads: int = 2
    """Torch threads."""
    seed: int = 0
    """Of everything that is drawn."""


@dataclass(frozen=True)
class Drawn:
    """The catalogue's folder, and of the pictures that are held out each one with its caption."""

    folder: Path
    pictures: list[Image.Image]
    captions: list[str]

    def places(self) -> dict[str, list[int]]:
        """By caption."""
        found: dict[str, list[int]] = {}
        for place, caption in enumerate(self.captions):
            found.setdefault(caption, []).append(place)
        return found


def main(args: Args) -> dict[str, Any]:
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as scratch:
        drawn = write_drawn(Path(scratch) / "shapes", kinds=args.kinds, pictures=args.pictures, seed=args.seed)
        start_s = time.perf_counter()
        report = finetune(_settings(args, drawn, out=Path(scratch) / "model"))
        seconds = time.perf_counter() - start_s
        shutil.rmtree(report.extra["run"])
        model = FrozenModel.from_pretrained(report.output, dtype=getattr(torch, args.dtype))
    figures = measure(model, drawn, args)
    figures |= {
        "pictures": report.rows_out,
        "steps": int(report.extra["figures"]["optimizer_steps"]),
        "seconds": round(seconds, 1),
        "episodes_in_training": args.episodes > 0,
    }
    _print_table(figures)
    return figures


def write_drawn(folder: Path, *, kinds: int, pictures: int, seed: int) -> Drawn:
    """A catalogue whose held-out split has every fifth combination; each shape and colour is in the other as well."""
    rows, held, captions = [], [], []
    with writing(folder) as scratch:
        (scratch / "images").mkdir()
        for row, shape in enumerate(SHAPES[:kinds]):
            for column, colour in enumerate(list(COLOURS)[:kinds]):
                out = (row - column) % HELD_EVERY == 0
                for number in range(pictures):
                    picture, name = draw(shape, colour, seed=f"{seed} {number}"), f"{colour}-{shape}-{number}"
                    picture.save(scratch / "images" / f"{name}.png")
                    rows.append(_item(scratch, name, caption=f"{colour} {shape}.", split=HELD_OUT if out else TRAIN))
                    if out:
                        held.append(picture)
                        captions.append(f"{colour} {shape}.")
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        write_catalogue(scratch, table=table, failures=[], info={"name": folder.name})
    return Drawn(folder, held, captions)


def measure(model: FrozenModel, drawn: Drawn, args: Args) -> dict[str, Any]:
    """Shares with their 95 % bootstrap intervals; pictures of one combination depend on each other."""
    said = model.captions(drawn.pictures, max_new_tokens=8)
    right = [one == caption for one, caption in zip(said, drawn.captions, strict=True)]
    pictures = {blind: begun(model, drawn.pictures, blind=blind) for blind in (False, True)}
    figures: dict[str, Any] = {"captions_right": estimate(_scores(right, groups=drawn.captions)).to_json()}
    binding: dict[str, Any] = {}
    for form in args.forms:
        for shots, repeats in zip(args.shots, args.repeats, strict=True):
            trials = draw_trials(drawn.places(), count=args.trials, shots=shots, seed=args.seed)
            outcomes = {
                blind: ask(model, trials, FORMS[form], _by_place(pictures[blind]), repeats=repeats)
                for blind in (False, True)
            }
            binding[f"{form}_{shots}_shots"] = {"repeats": repeats} | _binding(outcomes[False], outcomes[True])
    return figures | {"fast_binding": binding}


def _binding(seeing: Sequence[Outcome], blind: Sequence[Outcome]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in ("written", "likelier"):
        scores, control = (_scores([getattr(one, name) for one in outcomes]) for outcomes in (seeing, blind))
        told[name] = estimate(scores).to_json()
        told[f"{name}_blind"] = estimate(control).to_json()
        told[f"{name}_gain"] = compare(control, scores).to_json()
    return told


def _by_place(made: Sequence[Tensor]):
    return lambda place: made[place]


def _scores(right: Sequence[bool], *, groups: Sequence[str] | None = None) -> Scores:
    return Scores([str(number) for number in range(len(right))], np.array(right, dtype=float), groups=groups)


def _settings(args: Args, drawn: Drawn, *, out: Path) -> FrozenArgs:
    return FrozenArgs(
        catalogue=str(drawn.folder),
        out=str(out),
        language_model=args.language_model,
        vision_encoder=args.vision_encoder,
        trained_stages=args.trained_stages,
        global_tokens=args.global_tokens,
        fit_prefix=True,
        epochs=args.epochs,
        batch_size=args.batch_size,
        episode_batch_size=args.episodes,
        episode_shots=args.shots,
        dtype=args.dtype,
        threads=args.threads,
        seed=args.seed,
        force=True,
    )


def _item(folder: Path, name: str, *, caption: str, split: str) -> dict[str, Any]:
    digest = sha256((folder / "images" / f"{name}.png").read_bytes()).hexdigest()
    return {
        "id": digest[:32],
        "image": f"images/{name}.png",
        "image_sha256": digest,
        "source": "drawn",
        "caption": caption,
        "attributes": {},
        "group": caption,
        "split": split,
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    }


def _print_table(figures: dict[str, Any]) -> None:
    def told(figure: dict[str, Any]) -> str:
        return f"{figure['value']:6.1f} [{figure['interval'][0]:5.1f}, {figure['interval'][1]:5.1f}]"

    print(
        f"{figures['pictures']} pictures, {figures['steps']} steps, {figures['seconds']:.0f} s; percent, 95 % interval"
    )
    captions = figures["captions_right"]
    print(f"{'captions of combinations never seen':40}{told(captions)}  n {captions['n']}")
    for name, found in figures["fast_binding"].items():
        for what in ("written", "likelier"):
            both = f"{told(found[what])}  blind {told(found[f'{what}_blind'])}"
            print(f"{name.replace('_', ' ')}, the name {what:12}{both}  n {found[what]['n']}")


if __name__ == "__main__":
    dated_lines()
    print(json.dumps(main(tyro.cli(Args, description=__doc__))))
