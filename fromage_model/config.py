"""What a model is made of: one frozen dataclass, JSON in and out, validated on construction. Knows no tensors."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, log
from typing import Any, Self

from fromage_model.errors import ConfigError
from fromage_model.storage.pretrained import DEFAULT_LANGUAGE_MODEL, DEFAULT_VISION_ENCODER

DEFAULT_SYSTEM_PROMPT = "You are a helpful fashion assistant."
ALWAYS_WRITTEN = frozenset(
    (
        "language_model",
        "vision_encoder",
        "visual_tokens",
        "shared_width",
        "text_layers",
        "two_ret_rows",
        "caption_prompt",
        "system_prompt",
    )
)
"""The fields of the first bundles. Any other is written only where it differs from its default: a bundle's fingerprint
is a hash over this JSON, and must not change because the library learned a new option."""


def exchanges(pairs: Iterable[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """Messages and their replies, as JSON or a command line brings them. Raises ConfigError for what is no pair."""
    pairs = tuple(tuple(pair) for pair in pairs)
    for number, pair in enumerate(pairs, start=1):
        if len(pair) != 2 or not all(isinstance(text, str) and text.strip() for text in pair):
            raise ConfigError(
                f"examples is wrong at its place {number}; expected a message and its reply, for example "
                f'["I want to eat soup", "A spoon."]'
            )
    return tuple((message, reply) for message, reply in pairs)


@dataclass(frozen=True)
class FromageConfig:
    """Everything that decides what an embedding or a reply is, apart from the weights themselves."""

    language_model: str = DEFAULT_LANGUAGE_MODEL
    """The frozen LM: the embedded default, a hub id, or a local folder."""
    vision_encoder: str = DEFAULT_VISION_ENCODER
    """The frozen vision encoder: the embedded default, or a CLIP by hub id or local folder."""
    visual_tokens: int = 4
    """Input embeddings that a picture becomes (FROMAGe section 3.1: k)."""
    shared_width: int | None = 256
    """Width of the shared space in which pictures and [RET] meet (FROMAGe: q); None is the states' own, unprojected."""
    text_layers: tuple[int, ...] = (-1,)
    """Layers whose state at [RET] is projected, each by a map of its own, and summed; -1 is the last."""
    text_hidden: int = 0
    """Units of a hidden layer that reads the states of all those layers together, and whose own map is added to theirs;
    0, as in the paper, for none."""
    ret_hidden: int = 0
    """Units of a hidden layer that reads the states at which a chat's reply begins and says whether products are
    wanted; 0, as in the paper, lets [RET]'s output row decide there as at all places."""
    ret_layers: tuple[int, ...] = (-1,)
    """Layers whose states it reads; -1 is the last."""
    two_ret_rows: bool = False
    """Whether [RET] has an output row of its own even where the LM ties its embeddings (untied LMs always have two)."""
    caption_prompt: str = "A picture of"
    """Text between a picture and its caption, and before a caption that is searched for."""
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    """First turn of every chat that brings none of its own; empty for none."""
    examples: tuple[tuple[str, str], ...] = ()
    """Messages and replies that stand as turns before every chat: few-shot demonstrations, from which the LM reads what
    a wish asks for, and with it [RET]."""
    original_captions: bool = False
    """Whether the LM reads picture, caption prompt, start token, caption, and learns all from the start token on (as in
    the original); otherwise start token, picture, caption prompt, and learns the caption as a sentence that ends."""
    image_dropout: float = 0.0
    """Dropout in training on what a picture becomes, after the maps (the original's image_embed_dropout_prob)."""
    text_dropout: float = 0.0
    """The same for each layer's projected state at [RET] (text_embed_dropout_prob)."""
    picture_weight: float = 0.0
    """What a picture's own retrieval embedding counts beside [RET]'s where a prompt shows it; 0, as in the paper,
    leaves what was seen to the LM alone."""
    max_tokens_before_ret: int | None = None
    """How many tokens of a chat's reply may stand before [RET], where a request does not say: 0 for a model that
    learned to ask at once or not at all, as `jobs.finetune` teaches it; None, as in the original, for any number."""
    after_ret: str = ""
    """How a chat's reply goes on that begins with [RET], where a request does not say and the last message has no
    picture; the LM finishes the sentence. Of what was found it knows nothing, and left alone it may answer that there
    is no such thing."""
    show_calibration: tuple[float, float] = (1.0, 0.0)
    """Scale and offset that make of the log-odds of [RET] against all other tokens those that products are wanted
    (Platt 1999), fitted to messages of people who want some and of others."""
    show_threshold: float | None = None
    """Least probability that products are wanted at which a chat's reply shows them, where a request brings no
    `ret_scale_factor` and the last message has no picture; None, as in the original, lets [RET] be chosen like any
    token."""
    show_log_odds_pictured: float | None = None
    """The same where the last message has a picture, as log-odds of [RET] against all other tokens: what people ask for
    under a picture is parted from what they ask about it at another place."""

    def __post_init__(self):
        object.__setattr__(self, "text_layers", tuple(self.text_layers))
        object.__setattr__(self, "ret_layers", tuple(self.ret_layers))
        object.__setattr__(self, "examples", exchanges(self.examples))
        if not 1 <= self.visual_tokens <= 64:
            raise ConfigError(f"visual_tokens is {self.visual_tokens}; expected 1 to 64, for example 4")
        if self.shared_width is not None and self.shared_width < 1:
            raise ConfigError(f"shared_width is {self.shared_width}; expected 1 or more or None, for example 256")
        if self.text_hidden < 0 or (self.text_hidden and self.shared_width is None):
            raise ConfigError(
                f"text_hidden is {self.text_hidden}; expected 0, or with a shared_width 1 or more, for example 512"
            )
        if self.picture_weight < 0:
            raise ConfigError(f"picture_weight is {self.picture_weight}; expected 0 or more, for example 1.0")
        if self.max_tokens_before_ret is not None and self.max_tokens_before_ret < 0:
            most = self.max_tokens_before_ret
            raise ConfigError(f"max_tokens_before_ret is {most}; expected 0 or more or None, for example 0")
        if self.ret_hidden < 0 or (self.ret_hidden and self.max_tokens_before_ret != 0):
            raise ConfigError(
                f"ret_hidden is {self.ret_hidden}; expected 0, or 1 or more, for example 256, beside a "
                f"max_tokens_before_ret of 0 (it is {self.max_tokens_before_ret}): it knows no later place in a reply"
            )
        object.__setattr__(self, "show_calibration", tuple(self.show_calibration))
        if (
            len(self.show_calibration) != 2
            or not self.show_calibration[0] > 0
            or not all(map(isfinite, self.show_calibration))
        ):
            raise ConfigError(
                f"show_calibration is {self.show_calibration}; expected a scale above 0 and an offset, "
                f"for example (1.0, 0.0)"
            )
        if self.show_threshold is not None and not 0 < self.show_threshold < 1:
            raise ConfigError(
                f"show_threshold is {self.show_threshold}; expected above 0 and below 1, for example 0.5, or None"
            )
        if self.show_log_odds_pictured is not None and not isfinite(self.show_log_odds_pictured):
            raise ConfigError(
                f"show_log_odds_pictured is {self.show_log_odds_pictured}; expected a number, for example 0.0, or None"
            )
        for name in ("text_layers", "ret_layers"):
            layers = getattr(self, name)
            if not layers or len(set(layers)) != len(layers):
                raise ConfigError(f"{name} is {layers}; expected different layers, for example (-1,)")
        for name in ("image_dropout", "text_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 to below 1, for example 0.1")
        if self.shared_width is None and self.text_dropout:
            raise ConfigError(
                f"text_dropout is {self.text_dropout}, but without a shared_width no map is there for it to follow; "
                f"text_dropout 0.0 works, or a shared_width, for example 256"
            )

    @property
    def state_layers(self) -> tuple[int, ...]:
        """Layers of which the LM gives states: the text head's, and behind them those that only the decision reads."""
        further = self.ret_layers if self.ret_hidden else ()
        return (*self.text_layers, *(layer for layer in further if layer not in self.text_layers))

    @property
    def show_log_odds(self) -> float | None:
        """The threshold as log-odds of [RET] against all other tokens; None without one."""
        if self.show_threshold is None:
            return None
        scale, offset = self.show_calibration
        return (log(self.show_threshold / (1 - self.show_threshold)) - offset) / scale

    def to_dict(self) -> dict[str, Any]:
        """The fields as they are written; those that came later only where they differ from their default."""
        values = dataclasses.asdict(self)
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if name in ALWAYS_WRITTEN or value != defaults[name]}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, sort_keys=True)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Raises ConfigError naming a field that is not ours."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(f"unknown fields {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**values)
