"""Files as the original writes them, made by hand: plain `torch.save` and `pickle.dump` of hand-named tensors.

None of our code takes part. Shapes: D LM width, F feature width, S shared width, N visual tokens, V table rows.
"""

import json
import pickle
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

OPT_DEPTH = 2


class GradualWarmupScheduler:
    """Stands where `warmup_scheduler`'s does: its state holds a whole StepLR, which holds a whole optimizer."""

    def __init__(self, optimizer: torch.optim.Optimizer, after_scheduler: torch.optim.lr_scheduler.LRScheduler):
        self.optimizer = optimizer
        self.after_scheduler = after_scheduler
        self.multiplier, self.total_epoch, self.finished, self.last_epoch = 1.0, 100, False, 7

    def state_dict(self) -> dict:
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}


def trained(
    *,
    lm: int = 8,
    features: int = 6,
    shared: int | None = 4,
    visual: int = 2,
    layers: int = 1,
    widths: Sequence[int] = (),
    seed: int = 0,
) -> dict[str, Tensor]:
    """The pruned release's tensors, drawn at random; `widths` are those of the layers' states, where they differ."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    widths = widths or [lm] * layers
    out = shared or widths[0]
    tensors = {"model.logit_scale": draw() + 2}
    for layer, width in enumerate(widths if shared else ()):
        tensors[f"model.text_hidden_fcs.{layer}.0.weight"] = draw(out, width)
        tensors[f"model.text_hidden_fcs.{layer}.0.bias"] = draw(out)
    tensors["model.visual_embeddings.weight"] = draw(lm * visual, features)
    tensors["model.visual_embeddings.bias"] = draw(lm * visual)
    tensors["model.visual_fc.weight"] = draw(out, features)
    tensors["model.visual_fc.bias"] = draw(out)
    tensors["ret_input_embeddings.weight"] = draw(1, lm)
    return tensors


def write_pruned(path: Path, tensors: dict[str, Tensor], *, dtype: torch.dtype = torch.float32) -> Path:
    torch.save({"state_dict": OrderedDict((name, tensor.to(dtype)) for name, tensor in tensors.items())}, path)
    return path


def write_full(
    path: Path,
    tensors: dict[str, Tensor],
    *,
    rows: int = 20,
    ret_index: int = 19,
    dtype: torch.dtype = torch.float32,
    frozen: dict[str, Tensor] | None = None,
) -> Path:
    """A training checkpoint as `main.py` saves it: DataParallel's prefix, one table under three names, and a StepLR."""
    lm = tensors["ret_input_embeddings.weight"].shape[-1]
    table = torch.nn.Parameter(torch.randn(rows, lm, generator=torch.Generator().manual_seed(9)).to(dtype))
    with torch.no_grad():
        table[ret_index] = tensors["ret_input_embeddings.weight"][0]
    parameters = {
        f"module.{name}": torch.nn.Parameter(tensor.to(dtype))
        for name, tensor in tensors.items()
        if name != "ret_input_embeddings.weight"
    }
    optimizer = torch.optim.AdamW([*parameters.values(), table], lr=3e-4, betas=(0.9, 0.95))
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    step = torch.optim.lr_scheduler.StepLR(optimizer, step_size=20_000, gamma=0.1)
    scheduler = GradualWarmupScheduler(optimizer, step)
    state = OrderedDict((name, parameter.detach()) for name, parameter in parameters.items())
    state["module.model.input_embeddings.weight"] = table.detach()
    state["module.model.lm.model.decoder.embed_tokens.weight"] = table.detach()
    state["module.model.lm.lm_head.weight"] = table.detach()
    state["module.model.lm.model.decoder.layers.0.fc1.weight"] = torch.full((5, lm), 0.5, dtype=dtype)
    state["module.model.visual_model.vision_model.post_layernorm.weight"] = torch.ones(6, dtype=dtype)
    state |= frozen or {}
    state._metadata = OrderedDict([("", {"version": 1})])  # as a module's own state_dict has it
    torch.save(
        {
            "epoch": 3,
            "state_dict": state,
            "best_score": torch.tensor(0.25),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
        },
        path,
    )
    return path


def full_tensors(path: Path) -> dict:
    """The file as the original's `torch.load` opens it: with everything that it pickled."""
    return torch.load(path, weights_only=False)


def write_embeddings(path: Path, vectors: Tensor, *, form: str, urls: list | None = None, protocol: int = 4) -> Path:
    """`form`: array, arrays or tensors; vectors (N, S)."""
    forms = {
        "array": lambda: vectors.float().numpy(),
        "arrays": lambda: [row.float().numpy() for row in vectors],
        "tensors": lambda: [row.clone() for row in vectors],
    }
    value = {"paths": [f"{path.stem}/{row}.jpg" for row in range(len(vectors))], "embeddings": forms[form]()}
    if urls is not None:
        value["item_url"] = urls
    with open(path, "wb") as file:
        pickle.dump(value, file, protocol=protocol)
    return path


PAPER_ARGS = {
    "task": "multitask",
    "freeze_lm": True,
    "freeze_vm": True,
    "pretrained_visual": True,
    "use_pooler": True,
    "n_visual_tokens": 1,
    "image_embed_dropout_prob": 0.0,
    "text_embed_dropout_prob": 0.0,
    "shared_emb_dim": 256,
    "text_emb_layers": [-1],
    "append_retrieval_token": True,
    "num_appended_retrieval_tokens": 1,
    "input_prompt": "A picture of",
    "add_input_to_ret": True,
    "tunable_prompt_length": 0,
    "retrieval_token_idx": 50266,
}
VIS4_ARGS = {
    "freeze_lm": True,
    "freeze_vm": True,
    "n_visual_tokens": 4,
    "use_image_embed_norm": False,
    "image_embed_dropout_prob": 0.0,
    "use_text_embed_layernorm": False,
    "text_embed_dropout_prob": 0.0,
    "shared_emb_dim": 256,
    "text_emb_layers": [-1],
    "retrieval_token_idx": 50266,
}


def write_args(path: Path, base: dict, **changes) -> dict:
    """A model_args.json of one of the two released variants -> what stands in it."""
    names = {"opt_version": "facebook/opt-6.7b", "visual_encoder": "openai/clip-vit-large-patch14"}
    values = names | base | changes
    path.write_text(json.dumps(values, indent=4))
    return values


def cosines(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Every pair by itself."""
    return np.array(
        [[float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) for b in vectors] for a in queries], dtype=np.float64
    )
