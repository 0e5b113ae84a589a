"""The config of the model that a run trains, complete and checked before any worker starts. Loads no weights."""

import dataclasses
from typing import Any

from fromage_model.config import FromageConfig
from fromage_model.errors import ConfigError
from fromage_model.language.model import DEFAULT_POSITIONS, check_layers
from fromage_model.language.tokens import load_tokens
from fromage_model.storage.pretrained import locate_language_model
from jobs.finetune.settings import FinetuneArgs

AFTER_RET = "Here are some"
"""Of a new model: left alone, an LM that knows nothing of what was found is sorry that there is none."""


def choose_layers(args: FinetuneArgs) -> FinetuneArgs:
    """`args` with the layers that they leave open: the last one, and the one at four fifths of the LM's depth; for a
    decision those at a half and seven tenths, and the last.

    Of SmolLM2's 30 these are layers 24, and 15 and 21. Raises MissingArtefact without the LM, ConfigError for layers
    that it has not.
    """
    depth = depth_of(args.language_model)
    text_layers = args.text_layers or (-1, 4 * depth // 5)
    check_layers(text_layers, depth=depth)
    ret_layers = args.ret_layers
    if ret_layers is None and args.ret_hidden:
        ret_layers = tuple(dict.fromkeys((depth // 2, 7 * depth // 10, -1)))
    check_layers(ret_layers or (), depth=depth, name="ret_layers")
    return dataclasses.replace(args, text_layers=text_layers, ret_layers=ret_layers)


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
        text_hidden=args.text_hidden,
        ret_hidden=args.ret_hidden,
        ret_layers=args.ret_layers or (-1,),
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


def check_room(args: FinetuneArgs) -> None:
    """Raises ConfigError where captions as long as they may be would not fit into the LM's positions."""
    tokens = load_tokens(locate_language_model(args.language_model).path)
    most = getattr(_config_of_lm(args.language_model), "max_position_embeddings", DEFAULT_POSITIONS)
    together = 2 if args.concat_captions_prob else 1
    beside = args.visual_tokens + len(tokens.encode(args.caption_prompt))
    room = (most - len(tokens.start_ids)) // together - beside
    if args.caption_max_tokens > room:
        raise ConfigError(
            f"caption_max_tokens is {args.caption_max_tokens}, but the LM has {most} positions, which beside picture "
            f"and prompt leave {room}; expected at most that, for example {min(24, max(1, room))}"
        )


def depth_of(language_model: str) -> int:
    """Layers of the LM. Raises MissingArtefact without it."""
    return _config_of_lm(language_model).num_hidden_layers


def _config_of_lm(language_model: str) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(locate_language_model(language_model).path, trust_remote_code=False)
