"""Between our trained parts and the original's pruned weights. Knows no files.

The original standardises nothing. Ours does, by fixed statistics, which a linear map can take in: W((x - m) / s) + b is
(W / s) x + (b - W (m / s)). So weights go out exactly, and come in with the identity for statistics.

Shapes: D LM width, F feature width, S shared width, N visual tokens.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fromage_model.errors import CheckpointError
from fromage_model.interop import original_keys as keys
from fromage_model.model.projections import Standardise
from fromage_model.model.trained import TrainedParts


@torch.no_grad()
def to_original(trained: TrainedParts, *, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Trained parts -> tensors by the original's names, on the CPU, statistics taken into the maps.

    Raises CheckpointError where [RET] has an output row of its own, as the original knows one row for both ends, and
    where the text head has a hidden layer, or [RET] a decision beside its row.
    """
    if trained.text_head.hidden is not None:
        raise CheckpointError(
            "this model's text head has a hidden layer (text_hidden), and the original's form holds linear maps alone; "
            "a model trained with text_hidden=0 can be written"
        )
    if trained.decision is not None:
        raise CheckpointError(
            "this model has a decision of its own (ret_hidden) on when to show products, and the original's form holds "
            "[RET]'s row alone; a model trained with ret_hidden=0 can be written"
        )
    if trained.ret.output_row is not None:
        raise CheckpointError(
            "this model's [RET] is untied: it has an output row of its own (two_ret_rows, or an LM whose head is not "
            "tied to its token table), and the original's form holds one row for both; a model trained with "
            "two_ret_rows=False over a tied LM, such as OPT, can be written"
        )
    weights: dict[str, Tensor] = {keys.LOG_SCALE: trained.log_scale}
    maps = _text_maps(trained)
    for layer, (project, standardise) in enumerate(zip(maps, trained.text_head.standardisers, strict=bool(maps))):
        weights |= _folded(keys.text_map(layer), project, standardise)
    if not maps and any(
        standardise.mean.any() or (standardise.std != 1).any() for standardise in trained.text_head.standardisers
    ):
        raise CheckpointError(
            "this model standardises the states at [RET] and has no shared_width, so no map is there to take the "
            "statistics in; a model with a shared_width can be written"
        )
    weights |= _folded(keys.PREFIX, trained.prefix.project, trained.standardise)
    weights |= _folded(keys.IMAGE, trained.image_head.project, trained.standardise)
    weights[keys.RET_ROW] = trained.ret.input_row[None]
    return {name: tensor.detach().to("cpu", dtype).clone() for name, tensor in weights.items()}


@torch.no_grad()
def lay_over(trained: TrainedParts, weights: Mapping[str, Tensor], *, where: str) -> None:
    """Tensors by the original's names -> into `trained`, whose statistics become the identity.

    Raises CheckpointError with every missing, extra and wrongly shaped key.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in to_original(trained).items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    keys.check_keys(found, wanted, where=where, seen=weights)
    for standardise in (trained.standardise, *trained.text_head.standardisers):
        standardise.mean.zero_()
        standardise.std.fill_(1.0)
    trained.log_scale.copy_(weights[keys.LOG_SCALE])
    trained.ret.input_row.copy_(weights[keys.RET_ROW][0])
    maps = {keys.text_map(layer): project for layer, project in enumerate(_text_maps(trained))}
    maps |= {keys.PREFIX: trained.prefix.project, keys.IMAGE: trained.image_head.project}
    for name, project in maps.items():
        project.weight.copy_(weights[f"{name}.weight"])
        project.bias.copy_(weights[f"{name}.bias"])


def _text_maps(trained: TrainedParts) -> list[nn.Linear]:
    return [module for module in trained.text_head.project if isinstance(module, nn.Linear)]


def _folded(name: str, project: nn.Linear, standardise: Standardise) -> dict[str, Tensor]:
    weight = project.weight.double() / standardise.std.double()
    return {
        f"{name}.weight": weight,
        f"{name}.bias": project.bias.double() - weight @ standardise.mean.double(),
    }
