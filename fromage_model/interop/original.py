"""A folder laid out as the original's -> a ready Fromage with its index, and a Fromage back into the original's files.

    model_args.json          how the model is built, and over which LM and CLIP
    pretrained_ckpt.pth.tar  the trained weights
    cc3m_embeddings*.pkl     catalogue embeddings: one file, several, or none

Source: `load_fromage` in `fromage/models.py` of kohjingyu/fromage.
"""

import logging
from pathlib import Path
from typing import Any

import torch

from fromage_model.build import build_trained_parts
from fromage_model.config import FromageConfig
from fromage_model.errors import CheckpointError, ConfigError, MissingArtefact
from fromage_model.fromage import Fromage
from fromage_model.header import Header
from fromage_model.interop.checkpoints import MODEL_ARGS, read_pruned, save_pruned
from fromage_model.interop.conversion import lay_over, to_original
from fromage_model.interop.embeddings import read_embeddings
from fromage_model.interop.model_args import ModelArgs, load_model_args, save_model_args
from fromage_model.language.model import load_language_model
from fromage_model.language.precision import default_device, stored_dtype
from fromage_model.language.tokens import Tokens
from fromage_model.storage.artefacts import file_sha256
from fromage_model.storage.pretrained import Weights, locate_language_model
from fromage_model.vision.encoders import load_vision_encoder

WEIGHTS, EMBEDDINGS = "pretrained_ckpt.pth.tar", "cc3m_embeddings*.pkl"
IMAGE_TOKEN = "<|image|>"
_LINEAGE = "model_args"
log = logging.getLogger(__name__)


def load_original(
    model_dir: str | Path, *, device: str | torch.device | None = None, dtype: torch.dtype | None = None
) -> Fromage:
    """The original's folder -> a Fromage in eval mode, with its encoder, and with its index where there are embeddings.

    `dtype` is the frozen LM's, by default one in which nothing of what is stored is lost (the original's is bfloat16,
    which takes half the memory of float32); the trained parts are float32. Statistics are the identity,
    [RET] has one row, prompts are the original's: no system prompt, and `input_prompt` before captions. A hit's score
    is the cosine; the original's is `trained.log_scale.exp()` times that. Training goes on as the original's would,
    with its dropouts, and its captions where the tokenizer puts a start token before a text, as OPT's does.

    Raises MissingArtefact, ConfigError for a model_args.json that can't work, CheckpointError for weights or embeddings
    that don't fit it.
    """
    folder = Path(model_dir)
    paths = {name: folder / name for name in (MODEL_ARGS, WEIGHTS)}
    for path in paths.values():
        if not path.is_file():
            raise MissingArtefact(f"{path} is not there; expected a folder with {MODEL_ARGS} and {WEIGHTS}")
    args = load_model_args(paths[MODEL_ARGS])
    weights = read_pruned(paths[WEIGHTS])
    device = device or default_device()
    encoder = load_vision_encoder(args.visual_encoder, device=device)
    located = locate_language_model(args.opt_version)
    tokens = _tokens(located)
    config = _config(args, tokens)
    lm = load_language_model(
        located.path,
        vocabulary=tokens.vocabulary,
        state_layers=config.state_layers,
        device=device,
        dtype=dtype or stored_dtype(located.path, device),
    )
    if not lm.tied:
        raise ConfigError(
            f"opt_version {args.opt_version} has a head of its own, and these weights hold no output row of [RET] for "
            "it; an LM whose head is tied to its token table works, such as OPT"
        )
    trained = build_trained_parts(config, lm, feature_width=encoder.feature_width)
    lay_over(trained, weights, where=f"{paths[WEIGHTS]}, read for {args.opt_version} and {args.visual_encoder},")
    header = Header(config, encoder.feature_width, encoder.fingerprint, located.fingerprint, lineage={})
    model = Fromage(
        lm=lm,
        tokens=tokens,
        trained=trained.to(device),
        config=config,
        encoder=encoder,
        fingerprint=header.fingerprint(file_sha256(paths[WEIGHTS])),
        lineage={_LINEAGE: args.to_dict()},
    )
    files = sorted(folder.glob(EMBEDDINGS))
    if files:
        model.index = read_embeddings(files).to_index(fingerprint=model.fingerprint, name=folder.resolve().name)
    else:
        log.info("no %s in %s: the model has no index", EMBEDDINGS, folder)
    return model.eval().requires_grad_(False)


def read_model_args(path: str | Path) -> ModelArgs:
    """A `model_args.json`, either released variant. Raises ConfigError naming the field that can't work."""
    return load_model_args(path)


def write_model_args(model: Fromage | ModelArgs, path: str | Path) -> None:
    """What the original needs to build this model, with every key that its model_args.json had when it was read.

    The original builds OPT and CLIP only; for another LM or encoder the file is right, and of use to us alone.
    """
    save_model_args(model if isinstance(model, ModelArgs) else _args(model), path)


def write_pruned(model: Fromage, path: str | Path, *, dtype: torch.dtype = torch.float32) -> None:
    """The trained parts as the original's `pretrained_ckpt.pth.tar`, tensors in `dtype`, whole or not at all.

    Statistics by which our features and states are standardised go into the maps. Raises CheckpointError where the
    form can't hold the model: [RET] with an output row of its own, or LoRA, merged or not.
    """
    if model.trained.lora is not None or model.lm.has_merged_lora:
        raise CheckpointError(
            "this model's LM has LoRA, for which the original's form has no place; a model trained without lora_rank "
            "can be written"
        )
    save_pruned(to_original(model.trained, dtype=dtype), path)


def _config(args: ModelArgs, tokens: Tokens) -> FromageConfig:
    """The original has no map for its text dropout to follow where there is no shared width, and ignores it then."""
    return FromageConfig(
        language_model=args.opt_version,
        vision_encoder=args.visual_encoder,
        visual_tokens=args.n_visual_tokens,
        shared_width=args.shared_emb_dim,
        text_layers=args.text_emb_layers,
        caption_prompt=args.input_prompt,
        system_prompt="",
        original_captions=bool(tokens.start_ids),
        image_dropout=args.image_embed_dropout_prob,
        text_dropout=0.0 if args.shared_emb_dim is None else args.text_embed_dropout_prob,
    )


def _args(model: Fromage) -> ModelArgs:
    """The model's own settings over what it was read from."""
    config = model.config
    read: dict[str, Any] = model.lineage.get(_LINEAGE, {})
    others = ModelArgs.from_dict(read).others if read else {"input_prompt": config.caption_prompt or None}
    unmapped = config.shared_width is None
    text_dropout = read.get("text_embed_dropout_prob", 0.0) if unmapped else config.text_dropout
    return ModelArgs(
        opt_version=config.language_model,
        visual_encoder=config.vision_encoder,
        n_visual_tokens=config.visual_tokens,
        shared_emb_dim=config.shared_width,
        text_emb_layers=config.text_layers,
        retrieval_token_idx=read.get("retrieval_token_idx", _original_ret_id(model.tokens)),
        image_embed_dropout_prob=config.image_dropout,
        text_embed_dropout_prob=text_dropout,
        others=others,
    )


def _original_ret_id(tokens: Tokens) -> int:
    """The original adds an image token to the tokenizer before it adds [RET]."""
    return tokens.ret_id + (IMAGE_TOKEN not in tokens.all_special_tokens)


def _tokens(located: Weights) -> Tokens:
    """The LM's tokenizer with the original's image token before [RET], where the LM's table has a row for it.

    Nothing ever spells that token, but it takes part in the original's softmax: OPT's tables have rows to spare.
    """
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(located.path, trust_remote_code=False)
    if AutoConfig.from_pretrained(located.path, trust_remote_code=False).vocab_size > len(tokenizer):
        tokenizer.add_special_tokens({"cls_token": IMAGE_TOKEN})
    return Tokens(tokenizer)
