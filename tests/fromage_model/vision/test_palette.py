"""The palette against a plain loop over colours and pixels."""

import numpy as np
import torch

from fromage_model.vision.palette import CELL_PX, LEVELS, SOFTNESS, WIDTH, palette


def test_the_palette_is_the_root_of_each_colour_s_share_of_the_cells():
    side = 16
    pixels = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    cells = (
        ((pixels.numpy() + 1) / 2).reshape(2, 3, side // CELL_PX, CELL_PX, side // CELL_PX, CELL_PX).mean(axis=(3, 5))
    )
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, LEVELS)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    expected = np.zeros((2, WIDTH))
    for picture in range(2):
        colours = cells[picture].reshape(3, -1).T
        for colour in colours:
            near = np.exp(-((grid - colour) ** 2).sum(axis=1) / SOFTNESS)
            expected[picture] += near / near.sum() / len(colours)
    np.testing.assert_allclose(palette(pixels).numpy(), np.sqrt(expected * WIDTH), atol=2e-4)


def test_one_colour_fills_one_place_of_the_palette():
    white = palette(torch.ones(1, 3, 8, 8))[0]
    assert white.argmax() == WIDTH - 1
    torch.testing.assert_close(white[-1], torch.tensor(WIDTH**0.5), rtol=0.05, atol=0)
    red = torch.stack([torch.ones(8, 8), -torch.ones(8, 8), -torch.ones(8, 8)])[None]
    assert palette(red)[0].argmax() == (LEVELS - 1) * LEVELS**2


def test_half_precision_pixels_give_the_palette_of_full_precision():
    pixels = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    torch.testing.assert_close(palette(pixels.half()), palette(pixels), atol=0.05, rtol=0)
