"""The names that the original gives its weights, and whose weights a file's names look like. Knows no tensors' values.

Shapes: D LM width, F feature width, S shared width, N visual tokens, V rows of the token table.
Source: `fromage/models.py` (FromageModel) and `fromage/prune_model_ckpt.py` of kohjingyu/fromage.
"""

import re
from collections.abc import Collection, Mapping

from fromage_model.errors import CheckpointError

LOG_SCALE = "model.logit_scale"
PREFIX, IMAGE = "model.visual_embeddings", "model.visual_fc"
RET_ROW = "ret_input_embeddings.weight"
TOKEN_TABLE = "model.input_embeddings.weight"
FROZEN = ("model.lm.", "model.visual_model.")
PARALLEL = "module."
"""What DataParallel puts before every name of a training checkpoint."""

_TEXT = re.compile(r"model\.text_hidden_fcs\.(\d+)\.0\.(weight|bias)")
_LOOKS = (
    ("GILL weights (kohjingyu/gill)", r"(module\.)?model\.(gen_text_hidden_fcs|ret_text_hidden_fcs|gen_visual)"),
    ("a FROMAGe full training checkpoint", r"(module\.)?model\.(lm|visual_model)\."),
    (
        "FROMAGe pruned weights",
        r"(module\.)?(ret_input_embeddings|model\.(visual_fc|visual_embeddings|text_hidden_fcs))\b",
    ),
    ("LLaMA-Adapter V2 weights", r"(llama\.)?(adapter_query|visual_blocks|visual_query|clip_proj|gate_)"),
    ("a bundle of this project", r"(text_head|image_head|standardise|prefix\.project|ret\.input_row)"),
    ("LLaMA weights in Meta's layout", r"(tok_embeddings|layers\.\d+\.attention\.w[qkvo])\b"),
    ("a CLIP model", r"(vision_model|text_model|visual_projection|visual\.transformer)\b"),
    (
        "a plain language model",
        r"(model\.(decoder|layers|embed_tokens)|transformer\.|decoder\.|wte|lm_head)\b",
    ),
)


def text_map(layer: int) -> str:
    """The name of the map of the `layer`-th of `text_emb_layers`."""
    return f"model.text_hidden_fcs.{layer}.0"


def text_maps(keys: Collection[str]) -> int:
    """How many text maps the keys name; 0 where the model has no shared width."""
    return 1 + max((int(match[1]) for match in map(_TEXT.fullmatch, keys) if match), default=-1)


def looks_like(keys: Collection[str]) -> str:
    """Which model's file has such keys, in words."""
    for name, pattern in _LOOKS:
        if any(re.match(pattern, key) for key in keys):
            return name
    return "no model that we know"


def linear(name: str, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a linear map."""
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def pruned_shapes(
    *, lm_width: int, feature_width: int, out_width: int, visual_tokens: int, text_widths: Collection[int]
) -> dict[str, tuple[int, ...]]:
    """Every key of the pruned weights with its shape; `text_widths` is empty where there is no shared width."""
    shapes: dict[str, tuple[int, ...]] = {LOG_SCALE: ()}
    for layer, width in enumerate(text_widths):
        shapes |= linear(text_map(layer), out_width, width)
    shapes |= linear(PREFIX, lm_width * visual_tokens, feature_width)
    shapes |= linear(IMAGE, out_width, feature_width)
    return shapes | {RET_ROW: (1, lm_width)}


def check_keys(
    found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], *, where: str, seen: Collection[str]
) -> None:
    """Raises CheckpointError that lists every missing, extra and wrongly shaped key, and what the file looks like.

    `seen` are the names as the file has them.
    """
    problems = [f"missing {key}" for key in wanted if key not in found]
    problems += [f"unexpected {key}" for key in sorted(found) if key not in wanted]
    problems += [
        f"{key} is {found[key]}, expected {shape}" for key, shape in wanted.items() if found.get(key, shape) != shape
    ]
    if problems:
        raise CheckpointError(f"{where} looks like {looks_like(seen)}, and does not fit: {'; '.join(problems)}")
