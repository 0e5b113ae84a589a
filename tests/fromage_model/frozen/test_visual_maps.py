"""The four maps, each against loops over cells; and how long the prefixes are that they start with."""

import math

import pytest
import torch

from fromage_model.errors import ConfigError
from fromage_model.frozen.visual_maps import GELU_OF_NORMAL_RMS, DuelMap, GlobalMap, GridMap, LocalMap, build_visual_map
from tests.fromage_model.tiny_frozen import unsettle_batch_norm

F, D = 5, 6


def maps(height: int = 7, width: int = 7) -> torch.Tensor:
    return torch.randn(2, F, height, width, generator=torch.Generator().manual_seed(0))


def by_global(module: GlobalMap, grid: torch.Tensor) -> torch.Tensor:
    """One row's (F, h, w) -> (N, D)."""
    _, height, width = grid.shape
    mean = sum(grid[:, y, x] for y in range(height) for x in range(width)) / (height * width)
    flat = module.prefix.project.weight @ mean + module.prefix.project.bias
    return torch.stack([flat[start : start + D] for start in range(0, len(flat), D)])


def by_local(module: LocalMap, grid: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Cell (i, j) averages rows floor(i h / rows) to ceil((i + 1) h / rows), and columns alike."""
    _, height, width = grid.shape
    tokens = []
    for i in range(rows):
        for j in range(columns):
            top, bottom = i * height // rows, math.ceil((i + 1) * height / rows)
            left, right = j * width // columns, math.ceil((j + 1) * width / columns)
            cell = grid[:, top:bottom, left:right].mean(dim=(1, 2))
            tokens.append(module.prefix.project.weight @ cell + module.prefix.project.bias)
    return torch.stack(tokens)


def by_grid(module: GridMap, grid: torch.Tensor) -> torch.Tensor:
    for convolution, norm, _ in module.layers:
        _, height, width = grid.shape
        padded = torch.zeros(len(grid), height + 2, width + 2)
        padded[:, 1:-1, 1:-1] = grid
        rows = []
        for y in range(0, height, 2):
            row = []
            for x in range(0, width, 2):
                value = torch.einsum("fyx,dfyx->d", padded[:, y : y + 3, x : x + 3], convolution.weight)
                value = (value - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
                row.append(value * 0.5 * (1 + torch.erf(value / 2**0.5)))
            rows.append(torch.stack(row, dim=1))
        grid = torch.stack(rows, dim=1)
    return torch.stack([grid[:, y, x] for y in range(grid.shape[1]) for x in range(grid.shape[2])])


@torch.no_grad()
def test_global_is_the_spatial_mean_through_one_linear_map():
    module = build_visual_map("global", F, D, global_tokens=3)
    expected = torch.stack([by_global(module, row) for row in maps()])
    assert expected.shape == (2, 3, D)
    torch.testing.assert_close(module(maps()), expected)


@pytest.mark.parametrize("cells", [(2, 2), (4, 3), (7, 7)])
@torch.no_grad()
def test_local_pools_to_cells_and_maps_each_row_by_row(cells):
    module = build_visual_map("local", F, D, local_cells=cells)
    expected = torch.stack([by_local(module, row, *cells) for row in maps(7, 9)])
    assert expected.shape == (2, cells[0] * cells[1], D)
    torch.testing.assert_close(module(maps(7, 9)), expected)


@torch.no_grad()
def test_duel_is_global_then_local():
    module = build_visual_map("duel", F, D, global_tokens=2, local_cells=(2, 3))
    assert isinstance(module, DuelMap)
    expected = [torch.cat([by_global(module.of_whole, row), by_local(module.of_cells, row, 2, 3)]) for row in maps()]
    torch.testing.assert_close(module(maps()), torch.stack(expected))


@pytest.mark.parametrize(("layers", "tokens"), [(1, 4 * 3), (2, 2 * 2), (3, 1)])
@torch.no_grad()
def test_grid_is_strided_convolutions_flattened_row_by_row(layers, tokens):
    module = build_visual_map("grid", F, D, grid_layers=layers).eval()
    unsettle_batch_norm(module)
    expected = torch.stack([by_grid(module, row) for row in maps(7, 6)])
    assert expected.shape == (2, tokens, D)
    torch.testing.assert_close(module(maps(7, 6)), expected, atol=1e-5, rtol=1e-5)


def test_in_training_grid_normalises_by_the_batch_and_in_eval_by_what_it_learned():
    module = build_visual_map("grid", F, D)
    before = module.layers[0][1].running_mean.clone()
    together, alone = module(maps()), module(maps()[:1])
    assert not torch.allclose(together[:1], alone, atol=1e-3)
    assert not torch.equal(module.layers[0][1].running_mean, before)
    module.eval()
    torch.testing.assert_close(module(maps())[:1], module(maps()[:1]))


@pytest.mark.parametrize("kind", ["global", "local", "duel", "grid"])
def test_prefixes_start_near_the_length_that_is_asked_for(kind):
    torch.manual_seed(0)
    module = build_visual_map(kind, 64, 96, local_cells=(7, 7))
    module.scale_to(3.0)
    features = torch.randn(16, 64, 7, 7) + torch.randn(16, 64, 1, 1)
    assert 2.0 < float(module(features).detach().norm(dim=-1).mean()) < 4.5


def test_the_constant_of_gelu_is_its_root_mean_square():
    x = torch.linspace(-9, 9, 200_001, dtype=torch.float64)
    density = torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    mean_square = torch.trapezoid(torch.nn.functional.gelu(x) ** 2 * density, x)
    assert float(mean_square.sqrt()) == pytest.approx(GELU_OF_NORMAL_RMS, abs=1e-3)


def test_another_name_is_refused_with_those_that_work():
    with pytest.raises(ConfigError, match="'dual'; expected one of global, local, duel, grid"):
        build_visual_map("dual", F, D)
