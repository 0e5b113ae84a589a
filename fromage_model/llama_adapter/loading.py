"""The original's files -> the parts of a LlamaAdapter. Every key of every file is used, or the load fails with a list.

A LLaMA comes in Meta's layout or in transformers'; the adapter's checkpoint is always in Meta's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fromage_model.errors import CheckpointError, ConfigError, MissingArtefact
from fromage_model.language.precision import default_device, exact_dtype
from fromage_model.language.tokens import Tokens, load_tokens
from fromage_model.llama_adapter.attention import build_llama
from fromage_model.llama_adapter.checkpoints import (
    AdapterForm,
    adapter_form,
    check_keys,
    likeness,
    read_adapter,
    read_checkpoint,
    tensors_of,
)
from fromage_model.llama_adapter.layout import from_meta_layout, meta_name
from fromage_model.llama_adapter.visual import HEADS, QUERIES, ClipTokens, VisualQueries
from fromage_model.storage.file_kinds import is_instead, read_json
from fromage_model.storage.pretrained import load_pretrained, locate_folder

META_SUBFOLDER, META_WEIGHTS, META_PARAMS, META_TOKENIZER = (
    "7B",
    "consolidated.00.pth",
    "params.json",
    "tokenizer.model",
)
POSITIONS = 2048
"""LLaMA 1's context; Meta's params.json does not say it."""
_ADDED = (".gate", ".new_gate", ".bias", ".lora_down.weight", ".lora_up.weight")
_NORMS = ("layernorm.weight", "model.norm.weight")


@dataclass(frozen=True)
class LlamaFiles:
    """A plain LLaMA: its config, tensors by transformers' names, whether in Meta's layout, and its tokenizer."""

    config: Any
    tensors: dict[str, Tensor]
    meta_layout: bool
    tokens: Tokens


def load_parts(
    llama_dir: Path,
    checkpoint: Path,
    clip: str,
    *,
    device: str | torch.device | None,
    dtype: torch.dtype | None,
) -> dict[str, Any]:
    """The arguments of LlamaAdapter; what is raised is said there."""
    device = device or default_device()
    adapter = read_adapter(checkpoint)
    tower, processor = _load_clip(clip)
    files = open_llama(llama_dir)
    dtype = dtype or exact_dtype(next(iter(files.tensors.values())).dtype, device)
    form = adapter_form(adapter, lm_layers=files.config.num_hidden_layers)
    with torch.device("meta"):
        if form.width % HEADS:
            raise CheckpointError(f"{checkpoint}: the visual width {form.width} is no multiple of its {HEADS} heads")
        visual = VisualQueries(clip_width=tower.width, width=form.width, lm_width=files.config.hidden_size)
        adapter_query = nn.Embedding(form.layers * QUERIES, files.config.hidden_size)
    llama = build_llama(files.config, biases=form.biases, rank=form.rank)
    brought = _brought_by_adapter(llama, form)
    wanted = {f"llama.{meta_name(name)}": shape for name, shape in brought.items()}
    wanted |= {name: tuple(value.shape) for name, value in visual.state_dict().items()}
    wanted["adapter_query.weight"] = tuple(adapter_query.weight.shape)
    check_keys(adapter, wanted, source=checkpoint, model="LLaMA-Adapter V2 for this LLaMA and CLIP")
    _fill(visual, {name: adapter[name].float() for name in visual.state_dict()})
    _fill(adapter_query, {"weight": adapter["adapter_query.weight"].float()})
    _fill(llama, _llama_tensors(llama, files, adapter, brought, dtype))
    return {
        "clip": tower.to(device),
        "processor": processor,
        "visual": visual.to(device),
        "adapter_query": adapter_query.to(device),
        "llama": llama.to(device),
        "tokens": files.tokens,
    }


def open_llama(folder: Path) -> LlamaFiles:
    """A folder in Meta's form or in transformers', weights mapped into memory where the form allows.

    Raises MissingArtefact that says what was looked for, CheckpointError for weights that are no plain LLaMA.
    """
    for weights in (folder, folder / META_SUBFOLDER):
        if (weights / META_WEIGHTS).is_file():
            return _open_meta(weights)
    if (folder / "config.json").is_file():
        return _open_transformers(folder)
    raise MissingArtefact(
        f"{folder} holds no LLaMA: expected {META_WEIGHTS} and {META_PARAMS} in it or in {META_SUBFOLDER}/, with "
        f"{META_TOKENIZER} beside or above them, or config.json and weights as save_pretrained writes them"
    )


def _open_meta(folder: Path) -> LlamaFiles:
    shards = sorted(path.name for path in folder.glob("consolidated.*.pth"))
    if len(shards) > 1:
        raise CheckpointError(f"{folder} holds {len(shards)} shards; LLaMA-Adapter V2 is made for 7B, which has one")
    path = folder / META_WEIGHTS
    tensors = tensors_of(read_checkpoint(path), source=path)
    tensors = {key: tensor for key, tensor in tensors.items() if not key.endswith("rope.freqs")}
    config = _meta_config(folder / META_PARAMS, tensors, source=path)
    names = _plain_names(config)
    wanted = {meta_name(name): shape for name, shape in names.items()}
    check_keys(tensors, wanted, source=path, model="LLaMA of Meta with these params.json")
    tokens = _meta_tokens(folder)
    _check_vocabulary(tokens, config, source=folder)
    return LlamaFiles(config, {name: tensors[meta_name(name)] for name in names}, meta_layout=True, tokens=tokens)


def _meta_config(path: Path, tensors: dict[str, Tensor], *, source: Path) -> Any:
    from transformers import LlamaConfig

    try:
        params = read_json(path)
        width, layers, heads = (int(params[name]) for name in ("dim", "n_layers", "n_heads"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingArtefact(f"{path}: expected JSON with dim, n_layers and n_heads ({error!r})") from error
    if params.get("use_scaled_rope"):
        raise ConfigError(f"{path}: use_scaled_rope is not read from Meta's files; use the folder of transformers")
    telling = ("tok_embeddings.weight", "layers.0.feed_forward.w1.weight")
    if absent := [name for name in telling if name not in tensors]:
        raise CheckpointError(
            f"{source} is no LLaMA of Meta (it looks like {likeness(tensors)}): missing {', missing '.join(absent)}"
        )
    rows, inner = (len(tensors[name]) for name in telling)
    return LlamaConfig(
        vocab_size=rows,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=int(params.get("n_kv_heads") or heads),
        rms_norm_eps=float(params.get("norm_eps", 1e-5)),
        max_position_embeddings=POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": float(params.get("rope_theta", 10000.0))},
        tie_word_embeddings=False,
    )


def _meta_tokens(folder: Path) -> Tokens:
    """The sentencepiece model in the weights' folder or the one above it."""
    from transformers import LlamaTokenizer

    home = next((place for place in (folder, folder.parent) if (place / META_TOKENIZER).is_file()), None)
    if home is None:
        raise MissingArtefact(f"no {META_TOKENIZER} in {folder} or {folder.parent}")
    try:
        return Tokens(LlamaTokenizer.from_pretrained(home))
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        path = home / META_TOKENIZER
        instead = is_instead(path, expected="a sentencepiece model")
        raise CheckpointError(instead or f"{path} is no sentencepiece model: {error}") from error


def _open_transformers(folder: Path) -> LlamaFiles:
    from transformers import AutoConfig, LlamaForCausalLM

    config = AutoConfig.from_pretrained(locate_folder(str(folder)))
    if config.model_type != "llama":
        raise CheckpointError(f"{folder} holds a {config.model_type!r} model; LLaMA-Adapter V2 needs a 'llama'")
    llama = load_pretrained(LlamaForCausalLM, folder, dtype="auto")
    tensors = llama.state_dict()
    wanted = _plain_names(config)
    check_keys(tensors, wanted, source=folder, model="LLaMA without biases")
    tokens = load_tokens(folder)
    _check_vocabulary(tokens, config, source=folder)
    return LlamaFiles(config, tensors, meta_layout=False, tokens=tokens)


def _load_clip(name: str) -> tuple[ClipTokens, Any]:
    from transformers import AutoConfig, CLIPVisionModelWithProjection
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    if Path(name).expanduser().is_file():
        raise ConfigError(
            f"clip is the file {name}; expected the folder or hub id of a CLIPModel. OpenAI's TorchScript files are "
            "code and are not run: convert one by convert_clip_original_pytorch_to_hf.py of transformers 4, or take "
            "the hub's conversion, for ViT-L/14 openai/clip-vit-large-patch14"
        )
    folder = locate_folder(name)
    config = AutoConfig.from_pretrained(folder)
    if config.model_type != "clip":
        raise ConfigError(f"clip {name!r} is a {config.model_type!r} model; expected a CLIPModel, whose type is 'clip'")
    config.vision_config.projection_dim = config.projection_dim
    tower = load_pretrained(
        CLIPVisionModelWithProjection,
        folder,
        config=config.vision_config,
        dtype=torch.float32,
        unused=("text_model.", "text_projection.", "logit_scale"),
    )
    return ClipTokens(tower), CLIPImageProcessorPil.from_pretrained(folder)


def _check_vocabulary(tokens: Tokens, config: Any, *, source: Path) -> None:
    if tokens.vocabulary > config.vocab_size:
        raise CheckpointError(
            f"{source}: the tokenizer has {tokens.vocabulary} tokens, the weights {config.vocab_size} rows"
        )


def _plain_names(config: Any) -> dict[str, tuple[int, ...]]:
    """Names, as transformers has them, and shapes of a LLaMA without an adapter."""
    shapes = _shapes(build_llama(config, biases=False, rank=0))
    return {name: shape for name, shape in shapes.items() if not name.endswith(_ADDED)}


def _brought_by_adapter(llama: nn.Module, form: AdapterForm) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what the adapter's checkpoint holds of the LLaMA."""
    endings = _ADDED + (_NORMS if form.norms else ())
    return {name: shape for name, shape in _shapes(llama).items() if name.endswith(endings)}


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def _llama_tensors(
    llama: Any, files: LlamaFiles, adapter: dict[str, Tensor], brought: dict[str, tuple[int, ...]], dtype: torch.dtype
) -> dict[str, Tensor]:
    """The adapted LLaMA's state in transformers' layout and `dtype`; gates, which are few, in float32."""
    heads = {"heads": files.config.num_attention_heads, "key_value_heads": files.config.num_key_value_heads}
    state = {}
    for name in llama.state_dict():
        tensor = adapter[f"llama.{meta_name(name)}"] if name in brought else files.tensors[name]
        if name in brought or files.meta_layout:
            tensor = from_meta_layout(name, tensor, **heads)
        state[name] = tensor.to(torch.float32 if name.endswith("gate") else dtype)
    return state


def _fill(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put tensors of checked keys and shapes in the place of what is on the meta device."""
    module.load_state_dict(tensors, assign=True)
