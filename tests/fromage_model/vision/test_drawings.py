import base64
import io

import numpy as np
import pytest
from PIL import Image

from fromage_model.errors import InvalidInput
from fromage_model.vision.drawings import rasterised

SVG = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def pixels(svg: str, *, side_px: int = 40) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(rasterised(svg.encode(), side_px=side_px))).convert("RGB"))


@pytest.mark.parametrize(
    ("size", "height_px", "width_px"),
    [
        ('width="20" height="10"', 20, 40),
        ('width="10mm" height="30mm"', 40, 13),
        ('viewBox="-5 0 10 10"', 40, 40),
        ('width="100000" height="1"', 1, 40),
    ],
)
def test_the_longer_side_has_the_pixels_that_are_asked_for(size, height_px, width_px):
    assert pixels(f"<svg {SVG} {size}/>").shape == (height_px, width_px, 3)


def test_what_is_drawn_lies_on_white_where_it_was_put():
    left_half = pixels(f'<svg {SVG} width="4" height="4"><rect width="2" height="4" fill="#f00"/></svg>')
    assert (left_half[:, :20] == (255, 0, 0)).all()
    assert (left_half[:, 20:] == 255).all()


def test_a_picture_within_is_drawn():
    file = io.BytesIO()
    Image.new("RGB", (1, 1), "blue").save(file, "PNG")
    within = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    shown = pixels(f'<svg {SVG} width="4" height="4"><image href="{within}" width="4" height="4"/></svg>')
    assert (shown == (0, 0, 255)).all()


@pytest.mark.parametrize("element", ["image", "feImage"])
@pytest.mark.parametrize("attribute", ["href", "xlink:href"])
def test_a_file_of_this_machine_is_not_shown(tmp_path, element, attribute):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "secret.png")
    address = tmp_path / "secret.png"
    with pytest.raises(InvalidInput, match=r"it shows a picture that is not its own, '.*'"):
        rasterised(f'<svg {SVG}><{element} {attribute}="{address}"/></svg>'.encode(), side_px=4)


def test_prefixes_of_its_own_hide_nothing(tmp_path):
    address = tmp_path / "secret.png"
    spaces = 'xmlns:s="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"'
    drawing = f'<s:svg {spaces}><s:image x:href="{address}"/></s:svg>'
    with pytest.raises(InvalidInput, match="not its own"):
        rasterised(drawing.encode(), side_px=4)


@pytest.mark.parametrize(
    ("svg", "reason"),
    [
        (b"", "not XML: no element found"),
        (b"<p>no drawing</p>", "no SVG: its first element is <p>"),
        (b"<svg", "not XML: unclosed token"),
        (b"\xff\xfe\x00", "not XML"),
        (f'<!DOCTYPE x [<!ENTITY a "b">]><svg {SVG}>&a;</svg>'.encode(), "it declares entities"),
        (f'<svg {SVG} width="0" height="5"/>'.encode(), "resvg can't draw it: .*InvalidSize"),
    ],
)
def test_what_can_not_be_drawn_is_bad_input(svg, reason):
    with pytest.raises(InvalidInput, match=reason):
        rasterised(svg, side_px=4)


def test_a_drawing_within_a_drawing_shows_no_file_either(tmp_path):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "secret.png")
    inner = f'<svg {SVG} width="4" height="4"><image href="{tmp_path / "secret.png"}" width="4" height="4"/></svg>'
    within = f"data:image/svg+xml;base64,{base64.b64encode(inner.encode()).decode()}"
    shown = pixels(f'<svg {SVG} width="4" height="4"><image href="{within}" width="4" height="4"/></svg>')
    assert (shown == 255).all()
