"""LoRA's hyper-parameters (Hu et al., 2022). Knows no tensors."""

from dataclasses import dataclass

from fromage_model.errors import ConfigError


@dataclass(frozen=True)
class LoraSettings:
    """How large the trained matrices are, and beside which layers they stand."""

    rank: int
    """R: rows of A and columns of B."""
    alpha: int = 16
    """B A x is scaled by alpha / rank."""
    dropout: float = 0.0
    """On the inputs of A, in training only."""
    targets: tuple[str, ...] = ()
    """Last parts of the names of the LM's linear layers; empty for the family's maps of queries and values."""

    def __post_init__(self):
        object.__setattr__(self, "targets", tuple(self.targets))
        if self.rank < 1:
            raise ConfigError(f"rank is {self.rank}; expected 1 or more, for example 8")
        if self.alpha <= 0:
            raise ConfigError(f"alpha is {self.alpha}; expected more than 0, for example 16")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; expected a share from 0 to below 1, for example 0.05")
