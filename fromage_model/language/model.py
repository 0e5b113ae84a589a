"""The frozen LM and the [RET] row: embeddings -> states and logits, with a KV cache. Knows no pictures and no prompts.

Shapes: B batch, T tokens, D LM width, V vocabulary (the tokenizer's length; padding rows of the table are out).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fromage_model.errors import ConfigError
from fromage_model.language import frozen_linear
from fromage_model.language.decoder import Decoder, PackedWeights
from fromage_model.language.module_decoder import ModuleDecoder, read_alone
from fromage_model.language.one_position import use_one_position
from fromage_model.storage.pretrained import load_pretrained

DEFAULT_POSITIONS = 2048
"""Of an LM whose config names none."""


@dataclass(frozen=True)
class States:
    """What one forward pass leaves: `last`, (B, T, D), feeds the logits; `layers` are those asked for."""

    last: Tensor
    layers: tuple[Tensor, ...]
    cache: Any

    def at(self, rows: Tensor, positions: Tensor) -> tuple[Tensor, ...]:
        """The layers' states at one position for each row, (B, D) for each."""
        return tuple(layer[rows, positions] for layer in self.layers)


class LanguageModel(nn.Module):
    """A frozen causal LM of transformers, seen as embeddings -> states -> logits."""

    def __init__(self, backbone: Any, *, vocabulary: int, state_layers: Sequence[int] = (-1,)):
        super().__init__()
        frozen_linear.use_frozen_linear(backbone)
        use_one_position(backbone)
        self.backbone = backbone.requires_grad_(False).eval()
        self.vocabulary = vocabulary
        self.state_layers: tuple[int, ...] = ()
        """Layers whose states are given."""
        self.give_states_of(state_layers)
        table, head = self._table, self._head
        if min(len(table), len(head)) < vocabulary:
            raise ConfigError(
                f"the LM's token table has {len(table)} rows, its tokenizer {vocabulary} tokens: two models' files"
            )
        self.width = table.shape[1]
        self.head_width = head.shape[1]
        self.tied = table.data_ptr() == head.data_ptr()
        self.has_merged_lora = False
        self.fingerprint = ""
        """Of its files, where whoever loaded them knew it."""
        self.packed: PackedWeights | None = None
        """What decodes instead of transformers' modules, which then have lost their weights."""
        self._packed_head: frozen_linear.PackedLinear | None = None
        self.pack_positions = 0
        """Positions of the rows that short sequences share where gradients are wanted; 0 for rows of their own."""
        self._mean_norms: dict[bool, float] = {}
        self.max_positions: int = getattr(backbone.config, "max_position_embeddings", DEFAULT_POSITIONS)
        self.window = attention_window(backbone.config)

    def give_states_of(self, layers: Sequence[int]) -> None:
        """From now on. Raises ConfigError for layers that it has not."""
        check_layers(layers, depth=self.backbone.config.num_hidden_layers)
        self.state_layers = tuple(layers)

    def train(self, mode: bool = True) -> "LanguageModel":
        """Stays in eval mode: a frozen LM has no dropout to switch on."""
        return super().train(False)

    def pack_modules(self) -> None:
        """Lay the modules' weights out so that few rows are multiplied in half the time or less on a CPU.

        For inference alone: afterwards no gradient goes through, and the weights can't be saved, changed or moved.
        Memory grows by the head alone, whose rows the token table may share. Elsewhere than on a CPU nothing happens.
        """
        head, bias = self.head_rows
        if frozen_linear.can_pack(head):
            self._packed_head = frozen_linear.PackedLinear(head, bias)
        frozen_linear.pack(self.backbone.base_model)
        self.let_go_of_the_file()

    def let_go_of_the_file(self) -> None:
        """Weights may be views of a mapped file: as long as one of them is, all of it counts as memory in use."""
        for parameter in self.backbone.parameters():
            parameter.data = parameter.data.clone()

    def decoder(self, slots: int) -> Decoder:
        """At most `slots` rows that are read side by side."""
        if self.packed is not None:
            return self.packed.decoder(slots)
        layers = self.backbone.config.num_hidden_layers
        return ModuleDecoder(self, layers=layers, slots=slots, device=self.device)

    def read_opening(self, embeddings: Tensor) -> Any:
        """(O, D) -> what the rows of a decoder may begin with."""
        return read_alone(self, embeddings) if self.packed is None else self.packed.read_opening(embeddings)

    @property
    def layer_widths(self) -> list[int]:
        """Width of the state that each chosen layer gives."""
        hidden = self.backbone.config.hidden_size
        last = self.backbone.config.num_hidden_layers
        return [self.head_width if layer in (-1, last) else hidden for layer in self.state_layers]

    @property
    def dtype(self) -> torch.dtype:
        return self._table.dtype

    @property
    def device(self) -> torch.device:
        return self._table.device

    @property
    def _table(self) -> Tensor:
        return self.backbone.get_input_embeddings().weight

    @property
    def _head(self) -> Tensor:
        return self.backbone.get_output_embeddings().weight

    @property
    def _head_bias(self) -> Tensor | None:
        return getattr(self.backbone.get_output_embeddings(), "bias", None)

    @property
    def head_rows(self) -> tuple[Tensor, Tensor | None]:
        """The head's weights, (V, D), and its bias, (V,), without padding rows."""
        bias, rows = self._head_bias, slice(self.vocabulary)
        return self._head[rows].detach(), None if bias is None else bias[rows].detach()

    def embed(self, ids: Tensor) -> Tensor:
        """(B, T) ids below V -> (B, T, D)."""
        return self.backbone.get_input_embeddings()(ids)

    def forward(
        self,
        embeddings: Tensor,
        *,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: Any = None,
    ) -> States:
        """(B, T, D) -> states; `attention_mask`, (B, cached + T), and `position_ids`, (B, T), for padded batches.

        With a `cache` the tokens follow those that it holds, and it grows in place. Raises RuntimeError where the
        modules have lost their weights to `packed`.
        """
        if self.packed is not None:
            raise RuntimeError("packed weights let no gradient through and are read by `decoder` alone; load it again")
        inner = self.state_layers != (-1,)
        output = self.backbone.base_model(
            inputs_embeds=embeddings.to(self.dtype),
            attention_mask=attention_mask,
            past_key_values=cache,
            use_cache=cache is not None,
            output_hidden_states=inner,
            **({} if position_ids is None else {"position_ids": position_ids}),
        )
        last = output.last_hidden_state
        layers = tuple(self._layer(output, layer) for layer in self.state_layers)
        return States(last=last, layers=layers, cache=output.past_key_values if cache is not None else None)

    def _layer(self, output: Any, layer: int) -> Tensor:
        if layer in (-1, self.backbone.config.num_hidden_layers):
            return output.last_hidden_state
        return output.hidden_states[layer]

    def logits(self, last: Tensor) -> Tensor:
        """(..., D) -> (..., V), in the LM's dtype or in that of the product that is fastest for so few rows."""
        if self.packed is not None:
            return self.packed.logits(last.reshape(-1, self.head_width)).view(*last.shape[:-1], -1)
        if self._packed_head is not None:
            return self._packed_head(last)
        return frozen_linear.linear(last, *self.head_rows)

    @torch.no_grad()
    def mean_row_norm(self, *, output: bool = False) -> float:
        """Mean length of the token table's rows (or of the head's); computed once, they are frozen."""
        if output not in self._mean_norms:
            rows = (self._head if output else self._table)[: self.vocabulary]
            self._mean_norms[output] = float(rows.norm(dim=-1, dtype=torch.float32).mean())
        return self._mean_norms[output]

    @torch.no_grad()
    def mean_row(self, *, output: bool = False) -> Tensor:
        """(D,) float32: where a new row starts."""
        return (self._head if output else self._table)[: self.vocabulary].float().mean(dim=0)


def check_layers(layers: Sequence[int], *, depth: int, name: str = "text_layers") -> None:
    """Raises ConfigError where an LM of `depth` layers has not all of these."""
    for layer in layers:
        if not -depth - 1 <= layer <= depth:
            raise ConfigError(f"{name} has {layer}, but the LM has layers 0 (its input) to {depth}, or -1 for the last")


def attention_window(config: Any) -> int | None:
    """How many positions back, itself included, the most short-sighted layer sees; None where all see everything."""
    if "local" in getattr(config, "attention_layers", ()):
        return config.window_size
    return getattr(config, "sliding_window", None)


class RetToken(nn.Module):
    """The trained row (or rows) of [RET], in float32 whatever the LM's dtype.

    One parameter serves as input and output embedding where the LM ties them, as in the original; two otherwise.
    """

    def __init__(self, width: int, *, output_width: int | None = None):
        super().__init__()
        self.input_row = nn.Parameter(torch.empty(width))
        self.output_row = None if output_width is None else nn.Parameter(torch.empty(output_width))

    @property
    def head_row(self) -> Tensor:
        return self.input_row if self.output_row is None else self.output_row

    @torch.no_grad()
    def initialise(self, lm: LanguageModel, *, start: Tensor, generator: torch.Generator | None = None) -> None:
        """The input row starts near `start`, (D,), an output row of its own near the mean of the others."""
        starts = (start, lm.mean_row(output=True).cpu())
        for (row, _), centre in zip(self._rows(), starts, strict=False):
            noise = torch.randn(centre.shape, generator=generator) * centre.norm() / centre.numel() ** 0.5
            row.copy_(centre + 0.1 * noise)
        self.renormalise(lm)

    @torch.no_grad()
    def renormalise(self, lm: LanguageModel) -> None:
        """Set each row's length to the mean length of all other rows, as the original does after each step."""
        for row, output in self._rows():
            row.mul_(lm.mean_row_norm(output=output) / row.norm())

    def _rows(self) -> list[tuple[nn.Parameter, bool]]:
        return [(self.input_row, False)] + ([] if self.output_row is None else [(self.output_row, True)])


def load_language_model(
    folder: Path,
    *,
    vocabulary: int,
    state_layers: Sequence[int] = (-1,),
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> LanguageModel:
    """A folder as `save_pretrained` writes it -> the frozen LM. Raises what `load_pretrained` raises."""
    from transformers import AutoModelForCausalLM

    backbone = load_pretrained(AutoModelForCausalLM, folder, dtype=dtype)
    return LanguageModel(backbone.to(device), vocabulary=vocabulary, state_layers=state_layers)


def width_of(folder: Path) -> int:
    """D of the LM in a folder, without its weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder, trust_remote_code=False))
    return model.get_input_embeddings().weight.shape[1]
