"""The model card says what was measured of the shipped bundles: their own metrics, number by number."""

import json
import re

import pytest

from fromage_model.storage.artefacts import SHIPPED_BUNDLES
from tests.documents import ROOT


def figures_of(row: str) -> list[float]:
    """The numbers in the one row of the model card that begins so, behind its first cells."""
    (cells,) = re.findall(
        rf"^\| {re.escape(row)} \| (.*) \|$", (ROOT / "docs" / "model-card.md").read_text(), flags=re.MULTILINE
    )
    return [float(number) for number in re.findall(r"\d+\.\d+", cells)]


def test_the_model_card_says_what_was_measured_of_the_default():
    metrics = json.loads((SHIPPED_BUNDLES / "default" / "metrics.json").read_text())
    recall, chat = metrics["recall-held-out"], metrics["queries-wardrobe"]
    at = ("r_at_1", "r_at_5", "r_at_10")
    for row, part, name in (
        ("all | 487 held-out items | text to image", recall, "text_to_image"),
        ("all | 487 held-out items | image to text", recall, "image_to_text"),
        ("all | all 3,000 items | text to image", recall, "text_to_image_among_all"),
        ("387 new combinations | themselves | text to image", recall["by_combination"], "text_to_image"),
        ("387 new combinations | themselves | image to text", recall["by_combination"], "image_to_text"),
        ("387 new combinations | all 3,000 items | text to image", recall["by_combination"], "text_to_image_among_all"),
        ("100 of kinds never seen | themselves | text to image", recall["by_kind"], "text_to_image"),
        ("100 of kinds never seen | all 3,000 items | text to image", recall["by_kind"], "text_to_image_among_all"),
    ):
        measured = [figure for k in at for figure in (part[name][k], *part["intervals"][name][k])]
        assert figures_of(row) == pytest.approx(measured, abs=0.0501), row
    for row, part, name in (
        ("wishes, products come", chat, "products_on_wishes"),
        ("other messages, products come", chat, "products_on_others"),
        ("wishes by look with an answer in the first five", chat["by_look"], "hit_at_5_auto"),
        ("wishes by need with an answer in the first five", chat["by_need"], "hit_at_5_auto"),
        ("turns: what must hold after a turn holds for the products shown", chat["turns"], "held"),
        ("under a picture, an answer in the first five", chat["pictures"], "hit_at_5_auto"),
        ("*what is this*: the kind is named", chat["what_is_this"], "kind_named"),
        ("*what is this*: the colour is named", chat["what_is_this"], "colour_named"),
    ):
        assert figures_of(row)[:3] == pytest.approx([part[name], *part["intervals"][name]], abs=0.00501), row


def test_the_model_card_says_what_was_measured_of_openmoji():
    metrics = json.loads((SHIPPED_BUNDLES / "openmoji" / "metrics.json").read_text())
    recall, chat = metrics["recall-held-out"], metrics["queries-openmoji"]
    own, every = f"{recall['items']} held-out items", f"all {recall['all_items']:,} items"
    for row, name in (
        (f"{own} | text to image", "text_to_image"),
        (f"{own} | image to text", "image_to_text"),
        (f"{every} | text to image", "text_to_image_among_all"),
    ):
        at = ("r_at_1", "r_at_5", "r_at_10")
        measured = [figure for k in at for figure in (recall[name][k], *recall["intervals"][name][k])]
        assert figures_of(row) == pytest.approx(measured, abs=0.0501), row
    for row, name in (
        ("an acceptable item in the first five, `auto`", "hit_at_5_auto"),
        ("an acceptable item in the first five, `always`", "hit_at_5_always"),
        ("wishes that bring products", "products_on_wishes"),
        ("other messages that bring products", "products_on_others"),
    ):
        assert figures_of(row) == pytest.approx([chat[name], *chat["intervals"][name]], abs=0.00501), row
    for row, name in (
        ("a sibling or an item of its subgroup", "related_at_5"),
        ("an item of its subgroup", "subgroup_at_5"),
        ("a sibling, where it has any (25 and 22 pictures)", "sibling_at_5"),
    ):
        splits = [chat["pictures"][split] for split in ("held-out", "train")]
        measured = []
        for split in splits:
            chance = [split[f"{name}_by_chance"]] if f"{name}_by_chance" in split else []
            measured += [split[name], *split["intervals"][name], *chance]
        assert figures_of(row) == pytest.approx(measured, abs=0.00501), row
