"""The model that a FROZEN run trains: a new one, or a saved one that is gone on from. Knows no loop and no data."""

import dataclasses
from typing import Any

import torch

from fromage_model.errors import ConfigError
from fromage_model.frozen.model import FrozenModel
from fromage_model.frozen.storage import check_frozen, is_saved, read_header
from fromage_model.header import HEADER as FROMAGE_HEADER
from fromage_model.storage.artefacts import file_sha256, locate
from fromage_model.vision.feature_map_weights import load_feature_map_encoder
from fromage_model.vision.feature_maps import build_feature_map_encoder
from jobs.finetune.frozen.settings import MODEL, FrozenArgs


def adopt_config(args: FrozenArgs) -> FrozenArgs:
    """`args` with what a saved model decides that they start from. Raises ConfigError for settings that ask for
    something else than it has and for a FROMAGe bundle, and what `check_frozen` raises.
    """
    if args.start_from is None:
        return args
    folder = locate("bundle", args.start_from)
    if not is_saved(folder) and (folder / FROMAGE_HEADER).is_file():
        raise ConfigError(
            f"start_from is {args.start_from}, a FROMAGe bundle; --model frozen goes on from a saved FROZEN model, and "
            "--model fromage from a bundle"
        )
    config, usual = check_frozen(folder).config, FrozenArgs()
    for name in MODEL:
        if getattr(args, name) not in (getattr(config, name), getattr(usual, name)):
            raise ConfigError(
                f"{name} is {getattr(args, name)!r}, but {args.start_from} was trained with {getattr(config, name)!r}; "
                "leave it out"
            )
    return dataclasses.replace(args, **{name: getattr(config, name) for name in MODEL})


def origin(args: FrozenArgs) -> dict[str, Any]:
    """What the lineage says of the model that a run starts from."""
    if args.start_from is None:
        return {}
    folder = locate("bundle", args.start_from)
    return {"started_from": {"model": args.start_from, "sha256": file_sha256(folder / "weights.safetensors")}}


def make_model(args: FrozenArgs, *, device: torch.device, dtype: torch.dtype) -> FrozenModel:
    """In eval mode, with `trained_stages` open for training.

    Raises what `FrozenModel.from_config` and `load` raise, and ConfigError where the encoder has fewer stages.
    """
    if args.start_from is None:
        model = FrozenModel.from_config(args.model_config(), device=device, dtype=dtype, seed=args.seed)
    else:
        model = FrozenModel.load(args.start_from, device=device, dtype=dtype)
    open_stages(model, args.trained_stages)
    return model


def check_encoder(args: FrozenArgs) -> None:
    """Raises what opening the encoder raises, and ConfigError where it has fewer stages than are to be trained."""
    if args.start_from is None:
        encoder = load_feature_map_encoder(args.vision_encoder)
    else:
        encoder = build_feature_map_encoder(read_header(locate("bundle", args.start_from)).architecture)
    _check_stages(args.trained_stages, encoder.stages, name=args.vision_encoder)


def open_stages(model: FrozenModel, trained: int) -> None:
    """Train the encoder's last so many stages, -1 for all. Raises ConfigError where there are fewer."""
    stages = model.encoder.stages
    _check_stages(trained, stages, name=model.config.vision_encoder)
    model.encoder.freeze(0 if trained == -1 else stages - trained)
    frozen = model.encoder.frozen_stages
    whole = frozen == stages
    model.config = dataclasses.replace(model.config, freeze_encoder=whole, frozen_stages=0 if whole else frozen)


def _check_stages(trained: int, stages: int, *, name: str) -> None:
    if trained > stages:
        raise ConfigError(f"trained_stages is {trained}; {name} has {stages}, or -1 for all")
