"""What ingest accepted, no later job refuses."""

import pytest
from PIL import Image

from fromage_model.catalogue import SCHEMA, Catalogue
from fromage_model.vision.images import ImageLimits
from jobs.caption import job as caption
from jobs.common.stages.pictures import PictureReader, limits_of
from jobs.embed import job as embed
from tests.pictures import write_png

SETTINGS = {"max_image_mib": 40.0, "max_image_megapixels": 0.2}


def test_the_limits_are_those_of_the_ingest_that_made_the_catalogue():
    assert limits_of(SETTINGS) == ImageLimits(max_bytes=40 << 20, max_pixels=200_000)
    assert limits_of({}) == ImageLimits()


def test_embed_and_caption_read_with_the_limits_of_their_catalogue(tmp_path):
    catalogue = Catalogue(tmp_path, table=SCHEMA.empty_table(), info={"settings": SETTINGS})
    settings = {"device": "cpu", "compute": "float32", "views": ["full"]}
    decode = embed._stages(embed.EmbedArgs(), catalogue, settings)[0]
    show = caption._stages(caption.CaptionArgs(), catalogue)[0]
    for stage in (decode, show):
        assert stage.options["image_limits"] == limits_of(SETTINGS)
    assert show.make(**show.options)._reader.image_limits == limits_of(SETTINGS)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("pillows_cap", [100, 250])
def test_pillows_own_cap_gives_way_to_a_higher_limit(tmp_path, monkeypatch, pillows_cap):
    """Above its cap it warns, above twice that it refuses: 400 pixels are both."""
    path = str(write_png(tmp_path / "a.png", side_px=20))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillows_cap)
    picture, _ = PictureReader(image_limits=ImageLimits(max_pixels=400)).read(path)
    assert picture is not None
    assert picture.size == (20, 20)
    picture, why = PictureReader(image_limits=ImageLimits(max_pixels=399)).read(path)
    assert picture is None
    assert "20 x 20, at most 399 are read" in why["message"]
