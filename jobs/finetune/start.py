"""A run that goes on from a bundle: whose config holds, and the model with what is trained open for training again.

Knows no loop and no optimizer.
"""

import dataclasses
from collections.abc import Collection
from typing import Any

import torch

from fromage_model.build import build_decision, build_text_head, check_captions
from fromage_model.bundle import check_bundle, load_bundle
from fromage_model.catalogue.features import FeaturesInfo
from fromage_model.errors import ConfigError, FingerprintMismatch
from fromage_model.fromage import Fromage
from fromage_model.frozen.storage import is_saved
from fromage_model.header import bundle_fingerprint
from fromage_model.language.lora import add_lora
from fromage_model.language.lora_settings import LoraSettings
from fromage_model.storage.artefacts import locate
from jobs.finetune.settings import FinetuneArgs

FIXED = (
    "language_model",
    "visual_tokens",
    "shared_width",
    "text_layers",
    "text_hidden",
    "ret_hidden",
    "ret_layers",
    "two_ret_rows",
)
"""Fields of the config on which the shape of what is trained depends."""
REFITTED = ("text_hidden", "ret_hidden", "ret_layers")
"""Those of them that a run may change which fits the heads anew."""
DECIDED = ("ret_hidden", "ret_layers")
"""Those that a run may change which fits when to show products."""
FREE = (
    "caption_prompt",
    "system_prompt",
    "examples",
    "original_captions",
    "image_dropout",
    "text_dropout",
    "picture_weight",
    "max_tokens_before_ret",
    "after_ret",
)
"""Fields that a run may change."""
FITTED = ("show_calibration", "show_threshold", "show_log_odds_pictured")
"""Fields that a run fits, and that stay as they are where it does not."""


def adopt_config(args: FinetuneArgs, *, features: FeaturesInfo) -> FinetuneArgs:
    """`args` with what the bundle decides that they start from; as they are where they start from none.

    What a run may change is the bundle's too, unless `args` differ there from their default. Raises ConfigError for
    settings that ask for something else than the bundle has and for a FROZEN model, FingerprintMismatch where the
    features are another encoder's or the LM is another than the bundle's, BundleError for weights of another config.
    """
    if args.start_from is None:
        return args
    if is_saved(locate("bundle", args.start_from)):
        raise ConfigError(
            f"start_from is {args.start_from}, a saved FROZEN model; --model frozen goes on from it, and this training "
            "from a FROMAGe bundle"
        )
    header, _ = check_bundle(args.start_from)
    if header.encoder_fingerprint != features.encoder_fingerprint:
        what = f"the encoder that made the features, {features.encoder}, beside that of {args.start_from},"
        raise FingerprintMismatch(what, expected=header.encoder_fingerprint, found=features.encoder_fingerprint)
    decided = {name: getattr(header.config, name) for name in FIXED} | _lora_fields(header.lora)
    usual = FinetuneArgs()
    changing = said(args, REFITTED if args.refit else DECIDED if args.decision_alone else ())
    if "ret_hidden" in changing:
        changing.add("ret_layers")
    if changing & set(DECIDED) and args.others_shown is None:
        raise ConfigError("another decision (ret_hidden, ret_layers) is fitted with others_shown, and that is None")
    decided = {name: value for name, value in decided.items() if name not in changing}
    for name, value in decided.items():
        if getattr(args, name) not in (value, getattr(usual, name)):
            raise ConfigError(
                f"{name} is {getattr(args, name)!r}, but {args.start_from} was trained with {value!r}; leave it out"
            )
    unsaid = set(FREE) - said(args, FREE)
    return dataclasses.replace(args, **decided, **{name: getattr(header.config, name) for name in unsaid})


def said(args: FinetuneArgs, names: Collection[str]) -> set[str]:
    """Those in which `args` differ from their defaults."""
    usual = FinetuneArgs()
    return {name for name in names if getattr(args, name) != getattr(usual, name)}


def origin(args: FinetuneArgs) -> dict[str, Any]:
    """What the lineage says of the bundle that a run starts from."""
    if args.start_from is None:
        return {}
    return {"started_from": {"bundle": args.start_from, "fingerprint": bundle_fingerprint(args.start_from)}}


def start_from(args: FinetuneArgs, *, device: torch.device, dtype: torch.dtype) -> Fromage:
    """The bundle's model without its encoder, in eval mode, open for training; with a new LoRA where it has none.

    Raises what `load_bundle` raises, and ConfigError where the settings that a run may change don't fit the model.
    """
    model = load_bundle(str(args.start_from), device=device, dtype=dtype, vision=False, merge_lora=False)
    before = model.config.ret_hidden, model.config.ret_layers
    values = {name: getattr(args, name) for name in (*FREE, *REFITTED)}
    values["ret_layers"] = args.ret_layers or model.config.ret_layers
    model.config = dataclasses.replace(model.config, **values)
    if model.trained.text_head.hidden_units != model.config.text_hidden:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(args.seed)
            model.trained.text_head = build_text_head(model.config, model.lm).to(device)
    if (model.config.ret_hidden, model.config.ret_layers) != before:
        model.lm.give_states_of(model.config.state_layers)
        model.trained.decision = build_decision(model.config, model.lm)
        model.trained.to(device)
    check_captions(model.config, model.tokens)
    lora = args.lora()
    if lora is not None and model.trained.lora is None:
        model.trained.lora = add_lora(model.lm, lora, seed=args.seed)
    model.trained.requires_grad_(True)
    _set_dropout(model, args)
    return model.eval()


def _set_dropout(model: Fromage, args: FinetuneArgs) -> None:
    parts = model.trained
    parts.image_head.dropout.p = parts.text_head.dropout.p = args.dropout
    parts.image_head.output_dropout.p = parts.prefix.dropout.p = args.image_dropout
    parts.text_head.output_dropout.p = args.text_dropout


def _lora_fields(lora: LoraSettings | None) -> dict[str, Any]:
    """A bundle's LoRA goes on being trained, as it is."""
    if lora is None:
        return {}
    fields = {"rank": lora.rank, "alpha": lora.alpha, "dropout": lora.dropout, "targets": lora.targets}
    return {f"lora_{name}": value for name, value in fields.items()}
