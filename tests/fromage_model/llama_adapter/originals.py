"""The original's files with tiny random weights, under the original's key names: what `from_original` opens.

Shapes: D LM width, H heads, K key-value heads, I inner width of the LM, V visual width, C CLIP's projection.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import sentencepiece
import torch
from torch import Tensor
from transformers import CLIPConfig, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

CORPUS = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
    "### Instruction: Generate caption of this image",
    "### Response: A picture of a red dress, with 12 buttons and 3 pockets.",
    "Have you got a pair of shoes for the winter?",
)
VOCABULARY = 380
KINDS = ("BIAS-7B", "LORA-BIAS-7B", "CAPTION-7B")


@dataclass(frozen=True)
class Sizes:
    """Of the tiny model; `adapted` of the last `layers` attend to an adapter."""

    width: int = 64
    heads: int = 4
    layers: int = 4
    adapted: int = 3
    inner: int = 96
    visual: int = 32
    clip: int = 16
    rank: int = 16
    queries: int = 10
    blocks: int = 8


@dataclass(frozen=True)
class Originals:
    """Where the files are, and what is in them: `llama` by Meta's names, `adapter` by the original's."""

    llama_dir: Path
    checkpoint: Path
    clip: Path
    llama: dict[str, Tensor]
    adapter: dict[str, Tensor]
    sizes: Sizes


def write_originals(folder: Path, *, kind: str, sizes: Sizes = Sizes(), seed: int = 0) -> Originals:
    """A LLaMA folder of Meta's, one adapter checkpoint of `kind`, and a CLIPModel."""
    draw = torch.Generator().manual_seed(seed)
    llama = {name: value.half() for name, value in llama_tensors(sizes, draw).items()}
    adapter = adapter_tensors(sizes, draw, kind=kind)
    weights = folder / "llama" / "7B"
    weights.mkdir(parents=True)
    torch.save(llama | {"rope.freqs": torch.ones(sizes.width // sizes.heads // 2)}, weights / "consolidated.00.pth")
    params = {"dim": sizes.width, "multiple_of": 32, "n_heads": sizes.heads, "n_layers": sizes.layers}
    (weights / "params.json").write_text(json.dumps(params | {"norm_eps": 1e-6, "vocab_size": -1}))
    write_tokenizer(folder / "llama")
    checkpoint = folder / f"{kind}.pth"
    torch.save({"model": adapter, "config": {"w_bias": True, "w_lora": "LORA" in kind, "lora_rank": 16}}, checkpoint)
    return Originals(folder / "llama", checkpoint, write_clip(folder / "clip", sizes), llama, adapter, sizes)


def llama_tensors(sizes: Sizes, draw: torch.Generator) -> dict[str, Tensor]:
    """consolidated.00.pth, without `rope.freqs`."""
    wide, inner = sizes.width, sizes.inner
    tensors = {
        "tok_embeddings.weight": _normal(draw, VOCABULARY, wide),
        "norm.weight": 1 + _normal(draw, wide, std=0.2),
        "output.weight": _normal(draw, VOCABULARY, wide, std=0.3),
    }
    for layer in range(sizes.layers):
        room = f"layers.{layer}."
        for name in ("wq", "wk", "wv", "wo"):
            tensors[f"{room}attention.{name}.weight"] = _normal(draw, wide, wide, std=0.2)
        tensors[f"{room}feed_forward.w1.weight"] = _normal(draw, inner, wide, std=0.2)
        tensors[f"{room}feed_forward.w2.weight"] = _normal(draw, wide, inner, std=0.2)
        tensors[f"{room}feed_forward.w3.weight"] = _normal(draw, inner, wide, std=0.2)
        tensors[f"{room}attention_norm.weight"] = 1 + _normal(draw, wide, std=0.2)
        tensors[f"{room}ffn_norm.weight"] = 1 + _normal(draw, wide, std=0.2)
    return tensors


def adapter_tensors(sizes: Sizes, draw: torch.Generator, *, kind: str) -> dict[str, Tensor]:
    """The `model` of an adapter's checkpoint; CAPTION-7B as pre-training leaves it, LLaMA untouched but for gates."""
    tensors = _visual_tensors(sizes, draw)
    tensors["adapter_query.weight"] = _normal(draw, sizes.queries * sizes.adapted, sizes.width)
    for layer in range(sizes.layers):
        tensors[f"llama.layers.{layer}.attention.gate"] = _normal(draw, 1, sizes.heads, 1, 1)
        if kind != "CAPTION-7B":
            tensors |= _bias_and_norm_tensors(sizes, draw, room=f"llama.layers.{layer}.")
        if kind == "LORA-BIAS-7B":
            tensors |= _lora_tensors(sizes, draw, room=f"llama.layers.{layer}.")
    if kind != "CAPTION-7B":
        tensors["llama.norm.weight"] = 1 + _normal(draw, sizes.width, std=0.3)
    return tensors


def write_tokenizer(folder: Path) -> None:
    """A sentencepiece model trained as LLaMA's was: BPE, bytes for what it does not know, digits apart."""
    text = folder / "corpus.txt"
    text.write_text("\n".join(CORPUS * 4))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=VOCABULARY,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        pad_id=-1,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        minloglevel=2,
    )
    text.unlink()
    (folder / "tokenizer.vocab").unlink()


def write_clip(folder: Path, sizes: Sizes, *, seed: int = 0) -> Path:
    """A CLIPModel for pictures of 32 pixels, 16 patches; vision and text tower both, as a real folder has."""
    torch.manual_seed(seed)
    vision = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = vision | {"vocab_size": 50, "max_position_embeddings": 16, "bos_token_id": 0, "eos_token_id": 1}
    config = CLIPConfig(
        vision_config=vision | {"image_size": 32, "patch_size": 8}, text_config=text, projection_dim=sizes.clip
    )
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def _visual_tensors(sizes: Sizes, draw: torch.Generator) -> dict[str, Tensor]:
    wide = sizes.visual
    tensors = {"visual_query.weight": _normal(draw, sizes.queries, wide)}
    for name, out, into in (("clip_proj", wide, sizes.clip), ("visual_proj", sizes.width, wide)):
        tensors |= _linear(draw, name, out, into) | _norm(draw, f"{name}_norm", out)
    for block in range(sizes.blocks):
        room = f"visual_blocks.{block}."
        tensors |= _norm(draw, f"{room}norm1", wide) | _norm(draw, f"{room}norm2", wide)
        tensors |= _linear(draw, f"{room}attn.qkv", 3 * wide, wide) | _linear(draw, f"{room}attn.proj", wide, wide)
        tensors |= _linear(draw, f"{room}mlp.fc1", 4 * wide, wide) | _linear(draw, f"{room}mlp.fc2", wide, 4 * wide)
    return tensors


def _bias_and_norm_tensors(sizes: Sizes, draw: torch.Generator, *, room: str) -> dict[str, Tensor]:
    widths = {"attention.wq": sizes.width, "attention.wo": sizes.width, "feed_forward.w1": sizes.inner}
    widths |= {"feed_forward.w2": sizes.width, "feed_forward.w3": sizes.inner}
    tensors = {f"{room}{name}.bias": _normal(draw, width, std=0.3) for name, width in widths.items()}
    for name in ("attention_norm", "ffn_norm"):
        tensors[f"{room}{name}.weight"] = 1 + _normal(draw, sizes.width, std=0.3)
    return tensors


def _lora_tensors(sizes: Sizes, draw: torch.Generator, *, room: str) -> dict[str, Tensor]:
    wide, inner = sizes.width, sizes.inner
    matrices = {f"attention.lora_{name}": (wide, wide) for name in ("wq", "wk", "wv", "wo")}
    matrices |= {"feed_forward.lora_w1": (inner, wide), "feed_forward.lora_w2": (wide, inner)}
    matrices |= {"feed_forward.lora_w3": (inner, wide)}
    tensors = {f"{room}attention.new_gate": 1 + _normal(draw, 1, 1, 1, 1, std=0.3)}
    for name, (out, into) in matrices.items():
        tensors[f"{room}{name}_l1.weight"] = _normal(draw, sizes.rank, into, std=0.2)
        tensors[f"{room}{name}_l2.weight"] = _normal(draw, out, sizes.rank, std=0.2)
    return tensors


def _linear(draw: torch.Generator, name: str, out: int, into: int) -> dict[str, Tensor]:
    return {f"{name}.weight": _normal(draw, out, into, std=0.25), f"{name}.bias": _normal(draw, out, std=0.25)}


def _norm(draw: torch.Generator, name: str, width: int) -> dict[str, Tensor]:
    return {f"{name}.weight": 1 + _normal(draw, width, std=0.2), f"{name}.bias": _normal(draw, width, std=0.2)}


def _normal(draw: torch.Generator, *shape: int, std: float = 1.0) -> Tensor:
    return torch.randn(shape, generator=draw) * std
