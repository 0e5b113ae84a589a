"""The example of the docs runs on a small bundle as it would on the shipped one, and says what it should."""

import runpy
from pathlib import Path

from fromage_model.bundle import save_bundle
from fromage_model.vision.encoders import load_vision_encoder
from tests.fromage_model import tiny

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "fromage.py"
ITEMS = {"red ellipse", "red rectangle", "blue ellipse", "blue rectangle"}


def test_the_example_retrieves_writes_and_scores(lms, clip, own_home, tmp_path, capsys):
    model = tiny.build(lms.chat, vision_encoder=str(clip))
    encoder = load_vision_encoder(str(clip)).fingerprint
    save_bundle(model, tmp_path / "b", feature_width=tiny.FEATURE_WIDTH, encoder_fingerprint=encoder, lineage={})
    runpy.run_path(str(EXAMPLE))["main"](str(tmp_path / "b"))
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines() if ": " in line)
    assert {"reply", "products", "written", "retrieved", "captions", "answers"} <= set(said)
    assert sum(item in said["products"] for item in ITEMS) == 2
    assert said["retrieved"].startswith("but blue [RET] ")
    assert sum(item in said["retrieved"] for item in ITEMS) == 3
    assert all(" yes" in said[name] or "red circle" in said[name] for name in ("captions", "answers"))
