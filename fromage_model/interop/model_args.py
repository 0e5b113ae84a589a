"""`model_args.json` of the original: how a model was built. Keys that we don't know are kept as they came.

Both released variants are read: the one of the paper (with `task`, `input_prompt`, `pretrained_visual` and more) and
`fromage_vis4` (with `use_image_embed_norm`, `use_text_embed_layernorm`).
Source: `fromage_model/model_args.json`, `fromage_model/fromage_vis4/model_args.json` and `FrozenArgs` in
`fromage/models.py` of kohjingyu/fromage.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from fromage_model.errors import ConfigError
from fromage_model.storage.artefacts import replacing
from fromage_model.storage.file_kinds import read_json


@dataclass(frozen=True)
class ModelArgs:
    """What the original's model is built from; `others` holds the keys that mean nothing to us, untouched."""

    opt_version: str
    """The frozen LM: a hub id or a local folder."""
    visual_encoder: str
    """The frozen CLIP: a hub id or a local folder."""
    n_visual_tokens: int = 1
    """Input embeddings that a picture becomes."""
    shared_emb_dim: int | None = 256
    """Width of the shared space, or none: then pictures are mapped to the LM's width."""
    text_emb_layers: tuple[int, ...] = (-1,)
    """Layers whose state at [RET] is used."""
    retrieval_token_idx: int | None = None
    """[RET]'s id. The original asks its tokenizer again when it loads, and so do we."""
    image_embed_dropout_prob: float = 0.0
    """Dropout on image embeddings, in training."""
    text_embed_dropout_prob: float = 0.0
    """Dropout on text embeddings, in training."""
    freeze_lm: bool = True
    freeze_vm: bool = True
    others: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        checks = (
            ("opt_version", isinstance(self.opt_version, str) and bool(self.opt_version), "a name or a folder"),
            (
                "visual_encoder",
                isinstance(self.visual_encoder, str) and bool(self.visual_encoder),
                "a name or a folder",
            ),
            ("n_visual_tokens", _is_count(self.n_visual_tokens), "1 or more"),
            ("shared_emb_dim", self.shared_emb_dim is None or _is_count(self.shared_emb_dim), "1 or more, or null"),
            ("text_emb_layers", _are_layers(self.text_emb_layers), "a list of different layers, for example [-1]"),
            ("retrieval_token_idx", _is_index(self.retrieval_token_idx), "a token id or null"),
            ("image_embed_dropout_prob", _is_share(self.image_embed_dropout_prob), "at least 0 and below 1"),
            ("text_embed_dropout_prob", _is_share(self.text_embed_dropout_prob), "at least 0 and below 1"),
            (
                "freeze_lm",
                self.freeze_lm is True,
                "true: released weights hold no LM, so a trained one can't be restored",
            ),
            ("freeze_vm", self.freeze_vm is True, "true: released weights hold no encoder"),
        )
        for name, holds, expected in checks:
            if not holds:
                raise ConfigError(f"model_args {name} is {getattr(self, name)!r}; expected {expected}")
        object.__setattr__(self, "text_emb_layers", tuple(self.text_emb_layers))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Raises ConfigError naming a field that is missing or can't work."""
        known = set(cls.__dataclass_fields__) - {"others"}
        missing = [name for name in ("opt_version", "visual_encoder") if name not in values]
        if missing:
            raise ConfigError(f"model_args lacks {' and '.join(missing)}; is it a model_args.json of FROMAGe?")
        others = {name: value for name, value in values.items() if name not in known}
        return cls(**{name: value for name, value in values.items() if name in known}, others=others)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, ours first."""
        names = [name for name in self.__dataclass_fields__ if name != "others"]
        values = {name: getattr(self, name) for name in names} | {"text_emb_layers": list(self.text_emb_layers)}
        return values | dict(self.others)

    @property
    def input_prompt(self) -> str:
        """Text between a picture and its caption in training; empty for none."""
        return self.others.get("input_prompt") or ""


def load_model_args(path: Path | str) -> ModelArgs:
    """Raises ConfigError where the file can't be read or a field can't work."""
    try:
        values = read_json(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read as model_args.json: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds {type(values).__name__}; expected an object with opt_version and others")
    return ModelArgs.from_dict(values)


def save_model_args(args: ModelArgs, path: Path | str) -> None:
    """Written whole or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(json.dumps(args.to_dict(), indent=4) + "\n", encoding="utf-8")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_index(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def _are_layers(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(layer, int) and not isinstance(layer, bool) for layer in value)
        and len(set(value)) == len(value)
    )
