"""The config of the model that a run trains, complete and checked before any worker starts. Loads no weights."""

import dataclasses

from fromage_model.config import FromageConfig
from fromage_model.errors import ConfigError
from fromage_model.language.model import check_layers
from fromage_model.storage.pretrained import locate_language_model
from jobs.finetune.settings import FinetuneArgs

AFTER_RET = "Here are some"
"""Of a new model: left alone, an LM that knows nothing of what was found is sorry that there is none."""


def choose_layers(args: FinetuneArgs) -> FinetuneArgs:
    """`args` with the layers that they leave open: the last one, and the one at four fifths of the LM's depth.

    That is layer 24 of SmolLM2's 30. Raises MissingArtefact without the LM, ConfigError for layers that it has not.
    """
    depth = depth_of(args.language_model)
    if args.text_layers is None:
        return dataclasses.replace(args, text_layers=(-1, 4 * depth // 5))
    check_layers(args.text_layers, depth=depth)
    return args


def config_of(args: FinetuneArgs, *, encoder: str) -> FromageConfig:
    """The config of a new model for features of `encoder`. Raises ConfigError, naming the setting that can't work."""
    if args.text_layers is None:
        raise ConfigError("text_layers is None; choose_layers puts the LM's own in its place, or give some, as (-1,)")
    return FromageConfig(
        language_model=args.language_model,
        vision_encoder=encoder,
        visual_tokens=args.visual_tokens,
        shared_width=args.shared_width,
        text_layers=args.text_layers,
        picture_weight=args.picture_weight,
        max_tokens_before_ret=args.max_tokens_before_ret,
        after_ret=AFTER_RET if args.after_ret is None else args.after_ret,
        two_ret_rows=args.two_ret_rows,
        system_prompt=args.system_prompt,
        examples=args.examples,
        caption_prompt=args.caption_prompt,
        original_captions=args.original_captions,
        image_dropout=args.image_dropout,
        text_dropout=args.text_dropout,
    )


def depth_of(language_model: str) -> int:
    """Layers of the LM. Raises MissingArtefact without it."""
    from transformers import AutoConfig

    folder = locate_language_model(language_model).path
    return AutoConfig.from_pretrained(folder, trust_remote_code=False).num_hidden_layers
