"""What several workers of one run give each other; one alone has it all. Knows no model and no loss.

Shapes: B batch of one worker, W workers, S shared width.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn


def world_size() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def gather(own: Tensor) -> Tensor:
    """(B, S) of each worker -> (W * B, S) in rank order; the gradient flows into this worker's rows, W times over.

    Averaged over workers, that is the gradient of one loss over all rows, for what every worker shares as well.
    """
    if world_size() == 1:
        return own
    parts = [torch.empty_like(own) for _ in range(world_size())]
    distributed.all_gather(parts, own.detach().contiguous())
    parts[rank()] = own.detach() + world_size() * (own - own.detach())
    return torch.cat(parts)


def gather_objects(own: list) -> list:
    """Each worker's list -> all of them in rank order."""
    if world_size() == 1:
        return own
    parts: list = [None] * world_size()
    distributed.all_gather_object(parts, own)
    return [value for part in parts for value in part]


def from_first_worker(value: Any) -> Any:
    """What the first worker has, everywhere."""
    if world_size() == 1:
        return value
    parts = [value]
    distributed.broadcast_object_list(parts, src=0)
    return parts[0]


def sum_of_all(own: float) -> float:
    """Over all workers."""
    if world_size() == 1:
        return own
    total = torch.tensor([float(own)], dtype=torch.float64)
    if distributed.get_backend() == "nccl":
        total = total.cuda()
    distributed.all_reduce(total)
    return float(total)


def averaged(step: nn.Module, device: torch.device) -> nn.Module:
    """The same step, its gradients averaged over all workers. Buffers are statistics that all workers fit alike."""
    if world_size() == 1:
        return step
    devices = [device] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(step, device_ids=devices, forward_sync_buffers=False)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Over all workers, in place, after a step that was differentiated in several parts; one without any has zeros."""
    if world_size() == 1:
        return
    learned = [parameter for parameter in parameters if parameter.requires_grad]
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in learned]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    for parameter, whole in zip(learned, flat.div_(world_size()).split([one.numel() for one in learned]), strict=True):
        parameter.grad = whole.view_as(parameter).clone()


def random_state(device: torch.device) -> list[Tensor]:
    """Where torch's random numbers are: those of the CPU and, with one, those of the GPU."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def set_random_state(state: list[Tensor], device: torch.device) -> None:
    """What `random_state` gave; the GPU's is taken where both that worker and this one have one."""
    torch.set_rng_state(state[0])
    if device.type == "cuda" and len(state) > 1:
        torch.cuda.set_rng_state(state[1], device)
