"""OPT and CLIP of given sizes with random weights and a tokenizer of OPT's length, as folders that our loaders open."""

from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import CLIPVisionConfig, CLIPVisionModel, OPTConfig, OPTForCausalLM, PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from fromage_model.build import build_fromage
from fromage_model.config import FromageConfig
from fromage_model.fromage import Fromage


@dataclass(frozen=True)
class Shape:
    """Sizes of the LM and of the vision encoder: widths, layers and heads; `tokens` is the tokenizer's length."""

    width: int
    layers: int
    heads: int
    tokens: int
    feature_width: int
    vision_layers: int
    patch: int


SHAPES = {
    "opt-125m": Shape(width=768, layers=12, heads=12, tokens=50265, feature_width=768, vision_layers=12, patch=32),
    "tiny": Shape(width=32, layers=2, heads=2, tokens=300, feature_width=16, vision_layers=2, patch=112),
}


def write_lm(folder: Path, shape: Shape) -> Path:
    """An OPT of `shape`; texts are read byte by byte, and most of the vocabulary is there for its size only."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<s>", "<pad>", "</s>", *alphabet]
    names += [f"filler {place}" for place in range(shape.tokens - len(names))]
    tokenizer = Tokenizer(models.BPE(vocab={name: place for place, name in enumerate(names)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=shape.tokens + 7,
        hidden_size=shape.width,
        ffn_dim=4 * shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        word_embed_proj_dim=shape.width,
        max_position_embeddings=2048,
        init_std=0.1,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    OPTForCausalLM(config).save_pretrained(folder)
    return folder


def write_encoder(folder: Path, shape: Shape) -> Path:
    """CLIP's vision tower of `shape` for pictures of 224 pixels."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=shape.feature_width,
        intermediate_size=4 * shape.feature_width,
        num_hidden_layers=shape.vision_layers,
        num_attention_heads=max(1, shape.feature_width // 64),
        image_size=224,
        patch_size=shape.patch,
    )
    CLIPVisionModel(config).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    return folder


def build(lm: Path, shape: Shape, *, dtype: torch.dtype = torch.float32, encoder: Path | None = None) -> Fromage:
    """An untrained model over `lm`, in eval mode, without its encoder; `encoder` is the one that its config names."""
    named = {} if encoder is None else {"vision_encoder": str(encoder)}
    config = FromageConfig(language_model=str(lm), visual_tokens=1, shared_width=256, **named)
    return build_of(config, shape, dtype=dtype)


def build_of(config: FromageConfig, shape: Shape, *, dtype: torch.dtype = torch.float32) -> Fromage:
    """The same with all options of the config."""
    return build_fromage(config, feature_width=shape.feature_width, device="cpu", dtype=dtype)
