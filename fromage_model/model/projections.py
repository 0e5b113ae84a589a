"""The trained maps: what joins a frozen vision encoder to a frozen LM. Knows nothing of tokens, batching or devices.

Shapes: B batch, F feature width, D LM width, S shared width, N visual tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STD_FLOOR = 0.3
"""Smallest scale, as a share of the mean one: a feature that is dead in training must not explode on a photograph."""


class Standardise(nn.Module):
    """To zero mean and unit variance, by statistics of the training split. Not trained; the identity until fitted."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """(B, F) -> sets the statistics; a scale under the floor is raised to it."""
        self.mean.copy_(features.mean(dim=0))
        std = features.std(dim=0)
        self.std.copy_(std.clamp(min=max(float(STD_FLOOR * std.mean()), 1e-6)))

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) -> (B, F)."""
        return (features.to(self.mean.dtype) - self.mean) / self.std


class VisualPrefix(nn.Module):
    """Features -> N input embeddings of the LM (FROMAGe section 3.1, Frozen section 3.1)."""

    def __init__(self, feature_width: int, lm_width: int, *, visual_tokens: int = 1, dropout: float = 0.0):
        super().__init__()
        self.visual_tokens = visual_tokens
        self.project = nn.Linear(feature_width, lm_width * visual_tokens)
        self.dropout = nn.Dropout(dropout)

    @torch.no_grad()
    def scale_to(self, row_norm: float) -> None:
        """Start the prefix at the length of the LM's own token rows, for features of unit variance."""
        width = self.project.out_features // self.visual_tokens
        nn.init.normal_(self.project.weight, std=row_norm / (width * self.project.in_features) ** 0.5)
        nn.init.zeros_(self.project.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) -> (B, N, D)."""
        prefix = self.project(features).unflatten(-1, (self.visual_tokens, -1))
        return self.dropout(prefix)


class ImageHead(nn.Module):
    """Features -> a unit vector in the shared space (FROMAGe section 3.2: W_i).

    `dropout` falls on features, `output_dropout` on what the map makes of them, as the original's does.
    """

    def __init__(self, feature_width: int, shared_width: int, *, dropout: float = 0.0, output_dropout: float = 0.0):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(feature_width, shared_width)
        self.output_dropout = nn.Dropout(output_dropout)

    @property
    def shared_width(self) -> int:
        return self.project.out_features

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) -> (B, S), each of length 1."""
        return F.normalize(self.output_dropout(self.project(self.dropout(features))), dim=-1)


class RetDecision(nn.Module):
    """Whether products are wanted, by the states at which a chat's reply begins: the log-odds of [RET] there against
    all other tokens, by a hidden layer that reads several of the LM's layers. The paper has none: there as at later
    places of a reply [RET]'s output row decides. 0 until it is fitted.
    """

    def __init__(self, widths: Sequence[int], hidden: int, *, places: Sequence[int]):
        """`widths` of the states that it reads, and their `places` among those that the LM gives."""
        super().__init__()
        self.places = tuple(places)
        self.standardise = Standardise(sum(widths))
        self.hidden = nn.Linear(sum(widths), hidden)
        self.of_hidden = nn.Linear(hidden, 1)
        self.reset()

    def reset(self) -> None:
        """As before it is fitted, but for the statistics."""
        self.hidden.reset_parameters()
        nn.init.zeros_(self.of_hidden.weight)
        nn.init.zeros_(self.of_hidden.bias)

    @property
    def hidden_units(self) -> int:
        return self.hidden.out_features

    def read(self, states: Sequence[Tensor]) -> Tensor:
        """States of all layers that the LM gives, (..., D) each -> those that count, (..., W) float32."""
        return torch.cat([states[place].float() for place in self.places], dim=-1)

    def forward(self, read: Tensor) -> Tensor:
        """(..., W) -> (...)."""
        return self.of_standard(self.standardise(read))

    def of_standard(self, states: Tensor) -> Tensor:
        """The same of states that are standardised already."""
        return self.of_hidden(F.gelu(self.hidden(states))).squeeze(-1)


class TextHead(nn.Module):
    """States at [RET], one from each chosen layer -> a unit vector in the shared space (FROMAGe section 3.2: W_t).

    Each layer has a map of its own and the maps' outputs are summed, as in the original's `text_emb_layers`. Without a
    `shared_width` the states themselves are summed; they must then be equally wide. With `hidden` units, which the
    paper has not, a map through GELU that reads all layers is added. `dropout` falls on the states and on those units,
    `output_dropout` on what each map makes of them.
    """

    def __init__(
        self,
        widths: Sequence[int],
        shared_width: int | None,
        *,
        hidden: int = 0,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
    ):
        super().__init__()
        self.standardise = nn.ModuleList(Standardise(width) for width in widths)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.ModuleList(
            nn.Identity() if shared_width is None else nn.Linear(width, shared_width) for width in widths
        )
        self.hidden = nn.Linear(sum(widths), hidden) if hidden else None
        self.of_hidden = nn.Linear(hidden, shared_width) if hidden and shared_width else None
        self.output_dropout = nn.Dropout(output_dropout)

    def fit(self, states: Sequence[Tensor]) -> None:
        """One (B, D) for each layer -> sets the statistics by which states are standardised."""
        for standardise, state in zip(self.standardisers, states, strict=True):
            standardise.fit(state.float())

    @property
    def hidden_units(self) -> int:
        """0 where there is no hidden layer."""
        return 0 if self.hidden is None else self.hidden.out_features

    @property
    def standardisers(self) -> list[Standardise]:
        """One for each layer."""
        return [module for module in self.standardise if isinstance(module, Standardise)]

    def forward(self, states: Sequence[Tensor]) -> Tensor:
        """One (..., D) for each layer, and perhaps further ones behind them, -> (..., S), each of length 1."""
        if len(states) < len(self.project):
            raise ValueError(f"expected the states of {len(self.project)} layers, got {len(states)}")
        states = states[: len(self.project)]
        standard = [standardise(state.float()) for standardise, state in zip(self.standardise, states, strict=True)]
        projected = [project(self.dropout(state)) for project, state in zip(self.project, standard, strict=True)]
        if self.hidden is not None and self.of_hidden is not None:
            units = F.gelu(self.hidden(self.dropout(torch.cat(standard, dim=-1))))
            projected.append(self.of_hidden(self.dropout(units)))
        return F.normalize(torch.stack([self.output_dropout(one) for one in projected]).sum(dim=0), dim=-1)
