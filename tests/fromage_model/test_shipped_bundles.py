"""The bundles that come with the project open by name, hold numbers, and say how they were made and measured."""

import json

import pytest
import torch

from fromage_model.bundle import load_bundle
from fromage_model.header import read_header
from fromage_model.storage.artefacts import SHIPPED_BUNDLES, locate
from fromage_model.vision.encoders import load_vision_encoder

NAMES = sorted(path.name for path in SHIPPED_BUNDLES.iterdir() if path.is_dir())


def test_there_is_one_for_emoji_and_one_for_garments():
    assert NAMES == ["default", "openmoji"]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_bundle_was_trained_with_an_encoder_that_is_here(name):
    header, _ = read_header(locate("bundle", name))
    encoder = load_vision_encoder(header.config.vision_encoder)
    assert (encoder.fingerprint, encoder.feature_width) == (header.encoder_fingerprint, header.feature_width)
    assert header.lineage["settings"]["catalogue"] in ("openmoji", "wardrobe")
    assert header.lineage["split"] == "train"


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_bundle_says_what_it_reached_on_what_was_held_out(name):
    figures = json.loads((locate("bundle", name) / "metrics.json").read_text())
    assert figures["recall-held-out"]["text_to_image"]["r_at_1"] > 0


def test_the_default_bundle_embeds_texts_and_pictures_in_one_space():
    width = read_header(locate("bundle", "default"))[0].feature_width
    model = load_bundle("default", device="cpu", vision=False)
    texts = model.text_embeddings(["A picture of a red dress.", "A picture of a pair of navy socks."])
    pictures = model.image_embeddings(torch.zeros(1, width))
    assert texts.shape[1] == pictures.shape[1]
    assert torch.isfinite(texts).all()
    assert torch.isfinite(pictures).all()
    assert float(texts[0] @ texts[1]) < 0.9
